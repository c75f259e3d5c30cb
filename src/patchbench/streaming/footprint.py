"""What a BagNet takes for a tile, by counting: memory forward, memory backward, multiply-adds.

The counts follow `networks/bagnet.py` line by line: which feature maps are alive at once. They
are in values, so they hold for numbers of any size, and a test holds them against what a process
really takes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from patchbench.networks.bagnet import EXPANSION, BagNet, Bottleneck
from patchbench.networks.norms import ChannelNorm

# Measured on top of the maps: what the library convolves with, and, mostly, what the allocator
# holds back. glibc keeps freed maps below 32 MiB, with gaps between them; having it give them back
# at once would cost 1.4 times the time.
_MARGIN_INFERENCE, _MARGIN_TRAINING, _FIXED_MIB = 1.65, 1.9, 8.0


@dataclass(frozen=True)
class BlockShape:
    """A block at work on one tile.

    Attributes
    ----------
    n_in, width : int
        Channels it is given, and inside.
    kernel_size : int
        Side of its middle convolution.
    places_in, places_out : int
        Places of the feature maps before and after that convolution.
    places_shortcut : int
        Places of a shortcut with a convolution of its own; 0 where there is none.
    stride : int
        Step of the middle convolution, and of the shortcut.
    """

    n_in: int
    width: int
    kernel_size: int
    places_in: int
    places_out: int
    places_shortcut: int
    stride: int

    @property
    def given(self) -> int:
        """Values it is given."""
        return self.n_in * self.places_in

    @property
    def inner(self) -> int:
        """Values before its middle convolution."""
        return self.width * self.places_in

    @property
    def outer(self) -> int:
        """Values after its middle convolution."""
        return self.width * self.places_out

    @property
    def shortcut(self) -> int:
        """Values of the shortcut, where it has a convolution."""
        return EXPANSION * self.width * self.places_shortcut

    @property
    def stepped(self) -> int:
        """Values that a strided shortcut picks before it convolves them."""
        return self.n_in * self.places_shortcut if self.stride > 1 else 0

    @property
    def multiply_adds(self) -> int:
        """Work of its convolutions."""
        n_out = EXPANSION * self.width
        inside = self.outer * (self.width * self.kernel_size**2 + n_out)
        return self.n_in * (self.inner + n_out * self.places_shortcut) + inside


def _stages(model: BagNet, height_px: int, width_px: int) -> Iterator[list[BlockShape]]:
    kernel = model.conv2.kernel_size[0]
    sides = (height_px - kernel + 1, width_px - kernel + 1)
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        blocks = []
        for block in stage.children():
            assert isinstance(block, Bottleneck)
            (size, _), (stride, _) = block.conv2.kernel_size, block.conv2.stride
            after = tuple((side - size) // stride + 1 for side in sides)
            beside = tuple((side - 1) // stride + 1 for side in sides)
            has_own = block.downsample is not None
            n_in, width = block.conv1.in_channels, block.conv1.out_channels
            places = (sides[0] * sides[1], after[0] * after[1], beside[0] * beside[1] * has_own)
            blocks.append(BlockShape(n_in, width, size, *places, stride))
            sides = (after[0], after[1])
        yield blocks


def multiply_adds(model: BagNet, height_px: int, width_px: int) -> int:
    """Work of the convolutions of one pass over an image or a tile."""
    stages = list(_stages(model, height_px, width_px))
    kernel, n_colours = model.conv2.kernel_size[0], model.conv1.in_channels
    stem = stages[0][0].given * n_colours * kernel**2
    return stem + sum(block.multiply_adds for blocks in stages for block in blocks)


def inference_mib(model: BagNet, height_px: int, width_px: int) -> float:
    """Memory of the largest set of feature maps that are alive at once, without gradients."""
    # a norm writes a map of its own before the one it was given can go
    maps = 1 if isinstance(model.bn1, nn.Identity) else 2
    tile = model.conv1.in_channels * height_px * width_px
    stages = list(_stages(model, height_px, width_px))
    peaks = [maps * stages[0][0].given]
    for blocks in stages:
        for place, block in enumerate(blocks):
            # the stage's input stays until the stage is through, the block's until its end
            kept = blocks[0].given + (block.given if place else 0)
            wide = EXPANSION * block.outer
            peaks += [
                kept + maps * block.inner,
                kept + block.inner + maps * block.outer,
                kept + block.outer + maps * wide,
                kept + wide + max(maps, 2) * block.shortcut,
                kept + wide + block.stepped + block.shortcut,
            ]
    return _mib(model, 5 * tile + max(peaks), _MARGIN_INFERENCE)


def training_mib(model: BagNet, height_px: int, width_px: int) -> float:
    """Memory of the feature maps that are kept for the backward pass, and of its beginning."""
    tile = model.conv1.in_channels * height_px * width_px
    stages = list(_stages(model, height_px, width_px))
    kept = 2 * stages[0][0].given
    for block in (block for blocks in stages for block in blocks):
        # before and after each norm; the sum with the shortcut is written over the last one
        inside = 2 * (block.inner + block.outer + EXPANSION * block.outer)
        kept += inside + block.shortcut + block.stepped
    if isinstance(model.bn1, ChannelNorm):
        # its gradient is copied, as what it gives is changed in place
        kept += stages[0][0].given
    # the gradients of the last maps, while all others are still there
    last = stages[-1][-1]
    return _mib(model, 5 * tile + kept + 3 * EXPANSION * last.outer, _MARGIN_TRAINING)


def _mib(model: BagNet, n_values: int, margin: float) -> float:
    return _FIXED_MIB + margin * n_values * model.conv1.weight.element_size() / 2**20
