"""The network of Tile2Vec.

Jean, Wang, Samar, Azzari, Lobell & Ermon, "Tile2Vec: Unsupervised representation learning for
spatially distributed data", AAAI 2019, arXiv:1805.02855. `triplets.py` has how it learns.
"""

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from patchbench.networks.pointwise import convolution

N_STAGES = 5
BLOCKS_PER_STAGE = 2


class Block(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    norm_after: ClassVar[dict[str, str]] = {"conv1": "bn1", "conv2": "bn2"}

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(
                convolution(n_in, n_out, 1, stride), nn.BatchNorm2d(n_out)
            )

    def forward(self, features: Tensor) -> Tensor:
        """(n, n_in, rows, cols) to (n, n_out, rows / stride, cols / stride)."""
        out = functional.relu(self.bn1(self.conv1(features)), inplace=True)
        out = self.bn2(self.conv2(out)).add_(self.shortcut(features))
        return functional.relu(out, inplace=True)


class Tile2Vec(nn.Module):
    """The published change of ResNet-18: five stages of two blocks, 3x3 stem of stride 1.

    Parameters
    ----------
    dim : int
        Channels of the last stage, which are the embedding; 512 as published.
    width : int
        Channels of the first stage, doubled in each of the next three; 64 as published.
    """

    norm_after: ClassVar[dict[str, str]] = {"conv1": "bn1"}

    def __init__(self, dim: int = 512, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        n_in = width
        blocks = []
        for stage in range(N_STAGES):
            n_out = width << stage if stage < N_STAGES - 1 else dim
            for block in range(BLOCKS_PER_STAGE):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(Block(n_in, n_out, stride))
                n_in = n_out
        self.blocks = nn.Sequential(*blocks)

    def forward(self, tiles: Tensor) -> Tensor:
        """(n, 3, height, width) to embeddings (n, dim)."""
        out = functional.relu(self.bn1(self.conv1(tiles)), inplace=True)
        embeddings: Tensor = self.blocks(out).mean(dim=(2, 3))
        return embeddings
