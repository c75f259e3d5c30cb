"""Where the places of a layer's map stand in the image, and maps brought to equal cells.

Whoever spreads a map evenly over the image assumes that each place sees the middle of its share.
Few networks are so: torchvision's ResNets pad such that the first place of every layer is centred
on the first pixel, half a share too early; BagNets pad nothing, so that their places keep away
from the borders. On small images the difference is as large as an object.
"""

from dataclasses import dataclass

import numpy as np
from torch import nn

from patchbench.faithfulness import between
from patchbench.networks.bagnet import FEATURE_STRIDE_PX, BagNet
from patchbench.networks.torchvision_models import torchvision_models

_RESNET_STEPS_PX = {
    "conv1": 2,
    "bn1": 2,
    "relu": 2,
    "maxpool": 4,
    "layer1": 4,
    "layer2": 8,
    "layer3": 16,
    "layer4": 32,
}
# files of maps stay small beside those of images
_SMALLEST_CELL_PX = 4


@dataclass(frozen=True)
class Places:
    """Places along one side of an image.

    Attributes
    ----------
    first_px, step_px : float
        Middle of the first place, from the border, and distance from one to the next.
    """

    first_px: float
    step_px: float

    def to_cells(self, side_px: int, n_places: int) -> np.ndarray:
        """Weights from places to equal cells, a quarter of a step wide: (n_cells, n_places).

        Cells are that small so that bilinear interpolation between them is close to that
        between the places, but not below `_SMALLEST_CELL_PX`; beyond the outer places, the map
        goes on as it ends.
        """
        n_cells = max(1, round(side_px / max(self.step_px / 4, _SMALLEST_CELL_PX)))
        middles_px = (np.arange(n_cells) + 0.5) * side_px / n_cells
        return between((middles_px - self.first_px) / self.step_px, n_places)


def places_along(network: nn.Module, layer: str, side_px: int, n_places: int) -> Places | None:
    """How the places of a layer stand along a side; None for an equal share each.

    Parameters
    ----------
    network : Module
    layer : str
        Name of a layer of ``network``.
    side_px, n_places : int
        Side of the image, and places of the layer along it.
    """
    if isinstance(network, BagNet):
        field_px, step_px = network.receptive_field_px, FEATURE_STRIDE_PX
        if n_places == (side_px - field_px) // step_px + 1:
            return Places(field_px / 2, step_px)
    elif isinstance(network, torchvision_models().ResNet):
        step_px = _RESNET_STEPS_PX.get(layer.split(".")[0], 1)
        if n_places == -(-side_px // step_px):
            return Places(0.5, step_px)
    return None


def in_equal_cells(
    maps: np.ndarray, network: nn.Module, layer: str, height_px: int, width_px: int
) -> np.ndarray:
    """Maps of a layer, (n, rows, cols), as if each place had an equal share of the image.

    Returns
    -------
    maps : float32 array, (n, n_cells_down, n_cells_across)
        Unchanged where the layer's places have equal shares already.
    """
    down = places_along(network, layer, height_px, maps.shape[1])
    across = places_along(network, layer, width_px, maps.shape[2])
    if down is None or across is None:
        return maps
    vertical = down.to_cells(height_px, maps.shape[1])
    horizontal = across.to_cells(width_px, maps.shape[2])
    return (vertical @ maps.astype(np.float64) @ horizontal.T).astype(np.float32)
