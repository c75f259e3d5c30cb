"""Hand a network the tiles of an image, from wherever the image is."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from patchbench.errors import UserError
from patchbench.networks.bagnet import BagNet
from patchbench.networks.pixels import Scale
from patchbench.streaming.tiles import Tile
from patchbench.windows import ArrayWindows, Windows

Image = Tensor | np.ndarray | Windows
"""Float tensor (channels, height, width), scaled; uint8 array (height, width, channels); windows"""


@dataclass(frozen=True)
class Source:
    """An image as a network takes it.

    Attributes
    ----------
    image : Tensor or Windows
        Where its pixels are.
    scale : Scale or None
        What the network was trained on; None for tensors.
    dtype, device : torch.dtype, torch.device
        Of the network.
    """

    image: Tensor | Windows
    scale: Scale | None
    dtype: torch.dtype
    device: torch.device

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width."""
        if isinstance(self.image, Windows):
            return self.image.height_px, self.image.width_px
        return self.image.shape[1], self.image.shape[2]

    def tile(self, tile: Tile) -> Tensor:
        """Pixels of a tile, (1, channels, height_px, width_px), scaled."""
        if isinstance(self.image, Windows):
            assert self.scale is not None
            pixels = self.image.read(tile.y_px, tile.x_px, tile.height_px, tile.width_px)
            return self.scale.tensor(pixels[None], str(self.device)).to(self.dtype)
        ends = tile.y_px + tile.height_px, tile.x_px + tile.width_px
        part = self.image[None, :, tile.y_px : ends[0], tile.x_px : ends[1]]
        part = part.detach().to(self.device, self.dtype)
        return part.contiguous(memory_format=torch.channels_last)


def source_of(model: nn.Module, image: Image, scale: Scale | None) -> Source:
    """Check that network and image belong together.

    Raises
    ------
    UserError
        If they do not, or cannot be streamed.
    """
    if not isinstance(model, BagNet):
        raise UserError(
            f"the model is a {type(model).__name__}; only a BagNet, which pads nothing, is the "
            "same on tiles"
        )
    if isinstance(image, np.ndarray):
        image = ArrayWindows(image)
    if isinstance(image, Windows):
        n_channels = image.n_channels
        if scale is None:
            raise UserError(
                "the image has pixels from 0 to 255 and no scale; give the scale that the model "
                "was trained on, or a scaled tensor"
            )
    else:
        n_channels = _checked(image)
        scale = None
    wanted = model.conv1.in_channels
    if n_channels != wanted:
        raise UserError(
            f"the image has {n_channels} channels, but the model takes {wanted}; convert the image "
            "or take another model"
        )
    if scale is not None and {scale.mean.shape, scale.deviation.shape} != {(n_channels,)}:
        raise UserError(
            f"the scale has {scale.mean.size} channels and the image {n_channels}; give the scale "
            "that the model was trained on"
        )
    weight = model.conv2.weight
    return Source(image, scale, weight.dtype, weight.device)


def _checked(image: Tensor) -> int:
    if image.ndim != 3:
        raise UserError(
            f"the image is a tensor of shape {tuple(image.shape)}; give (channels, height, width)"
        )
    if not image.is_floating_point():
        raise UserError(
            f"the image is a tensor of {image.dtype}; give a scaled floating-point tensor, or a "
            "uint8 array (height, width, channels) and a scale"
        )
    return image.shape[0]
