"""BagNet: a residual network whose last feature sees only a small square of the image.

The architecture of Brendel & Bethge, "Approximating CNNs with Bag-of-local-Features models
works surprisingly well on ImageNet", ICLR 2019, arXiv:1904.00760: ResNet-50 with most 3x3
convolutions made 1x1, no padding and no pooling before the last layer. Because nothing is
padded, a patch gives the same features alone as inside its image.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from patchbench.networks.norms import NORMS, Norm
from patchbench.networks.pointwise import convolution
from patchbench.networks.settings import BATCH, check_bagnet

# per receptive field: whether the first block of each stage has a 3x3 convolution
HAS_3X3 = {
    9: (True, True, False, False),
    17: (True, True, True, False),
    33: (True, True, True, True),
}
STAGE_STRIDES = (2, 2, 2, 1)
FEATURE_STRIDE_PX = 8
EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1, then 1x1 or 3x3, then 1x1, around a shortcut cropped at the right and the bottom."""

    norm_after: ClassVar[dict[str, str]] = {"conv1": "bn1", "conv2": "bn2", "conv3": "bn3"}

    def __init__(
        self,
        n_in: int,
        width: int,
        kernel_size: int = 1,
        stride: int = 1,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        n_out = width * EXPANSION
        self.conv1 = nn.Conv2d(n_in, width, 1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = convolution(width, width, kernel_size, stride)
        self.bn2 = norm(width)
        self.conv3 = nn.Conv2d(width, n_out, 1, bias=False)
        self.bn3 = norm(n_out)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or n_in != n_out:
            self.downsample = nn.Sequential(convolution(n_in, n_out, 1, stride), norm(n_out))

    def forward(self, features: Tensor) -> Tensor:
        """(n, n_in, rows, cols) to (n, 4 * width, rows', cols')."""
        out = functional.relu(self.bn1(self.conv1(features)), inplace=True)
        out = functional.relu(self.bn2(self.conv2(out)), inplace=True)
        out = self.bn3(self.conv3(out))
        shortcut = features if self.downsample is None else self.downsample(features)
        excess = [out.shape[side] - shortcut.shape[side] for side in (-2, -1)]
        if any(excess):
            # negative padding crops; its backward pass is faster than that of slicing
            shortcut = functional.pad(shortcut, (0, excess[1], 0, excess[0]))
        return functional.relu(out.add_(shortcut), inplace=True)


# A training of hundreds to thousands of steps: at the published 0.001 the statistics of the stem
# would still be near their initial values at its end.
SHORT_TRAINING_MOMENTUM = 0.1


class BagNet(nn.Module):
    """The published network: parameters, order of operations and state-dict names.

    Parameters
    ----------
    receptive_field_px : int
        Side of the square one feature sees: 9, 17 or 33.
    n_classes : int
        Length of the logits.
    width : int
        Channels of the stem; 64 as published. Features have ``32 * width`` channels.
    layers : sequence of 4 ints
        Blocks per stage; (3, 4, 6, 3) as published.
    stem_momentum : float
        How fast the stem's batch norm follows its input while training; 0.001 as published.
    norm : str
        ``batch``: batch norms as published; ``channels``: every place by itself
        (:class:`~patchbench.networks.norms.ChannelNorm`), which streams exactly while it learns.

    Raises
    ------
    ValueError
        If no BagNet has this receptive field, width or layers are not positive, or no norm has
        this name.
    """

    norm_after: ClassVar[dict[str, str]] = {"conv2": "bn1"}
    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module
    layer4: nn.Module

    def __init__(
        self,
        receptive_field_px: int = 33,
        n_classes: int = 1000,
        width: int = 64,
        layers: Sequence[int] = (3, 4, 6, 3),
        stem_momentum: float = 0.001,
        norm: str = BATCH,
    ) -> None:
        super().__init__()
        check_bagnet(receptive_field_px, width, layers, norm=norm)
        self.receptive_field_px = receptive_field_px
        self.dim = width * 8 * EXPANSION
        self.conv1 = nn.Conv2d(3, width, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, bias=False)
        self.bn1 = NORMS[norm](width)
        if isinstance(self.bn1, nn.BatchNorm2d):
            self.bn1.momentum = stem_momentum
        n_in = width
        for stage, has_3x3 in enumerate(HAS_3X3[receptive_field_px]):
            blocks = []
            for block in range(layers[stage]):
                kernel_size = 3 if has_3x3 and block == 0 else 1
                stride = STAGE_STRIDES[stage] if block == 0 else 1
                blocks.append(Bottleneck(n_in, width << stage, kernel_size, stride, NORMS[norm]))
                n_in = (width << stage) * EXPANSION
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(self.dim, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def _features(self, images: Tensor) -> Tensor:
        # Nothing stands between the two stem convolutions, so their product is one 3x3
        # convolution of the colours: the same function at a fraction of the work.
        stem = torch.einsum("ochw,ci->oihw", self.conv2.weight, self.conv1.weight[:, :, 0, 0])
        stem = stem.contiguous(memory_format=torch.channels_last)
        out = functional.relu(
            self.bn1(functional.conv2d(images, stem, self.conv2.bias)), inplace=True
        )
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            out = stage(out)
        return out

    def embed(self, images: Tensor) -> Tensor:
        """Features of every place: (n, 3, height, width) to (n, rows, cols, dim)."""
        return self._features(images).permute(0, 2, 3, 1)

    def patch_logits(self, images: Tensor) -> Tensor:
        """Logits of every place: (n, 3, height, width) to (n, rows, cols, n_classes)."""
        logits: Tensor = self.fc(self.embed(images))
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Mean of the patch logits: (n, 3, height, width) to (n, n_classes)."""
        logits: Tensor = self.fc(self._features(images).mean(dim=(2, 3)))
        return logits
