"""Maps are brought to where the network really looks."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from patchbench.faithfulness import resized
from patchbench.networks.bagnet import BagNet
from patchbench.networks.places import in_equal_cells, places_along
from patchbench.networks.torchvision_models import build


@pytest.fixture(scope="module")
def bagnet() -> nn.Module:
    torch.manual_seed(0)
    return BagNet(17, 4, 4, (1, 1, 1, 1)).eval()


def seen_by(network: nn.Module, layer: str, place: int, side_px: int) -> float:
    """Middle of the rows that a middle place of a layer depends on, px."""
    images = torch.randn(6, 3, side_px, side_px, requires_grad=True)
    kept: list[Tensor] = []
    handle = network.get_submodule(layer).register_forward_hook(lambda *seen: kept.append(seen[2]))
    network(images)
    handle.remove()
    kept[0][:, :, place, place].sum().backward()
    rows = (images.grad.abs().sum(dim=(0, 1, 3)) > 0).nonzero()
    return float(rows.min() + rows.max() + 1) / 2


@pytest.mark.parametrize(("layer", "place"), [("layer1", 20), ("layer2", 10)])
def test_places_of_a_resnet_stand_where_it_looks(layer: str, place: int) -> None:
    torch.manual_seed(0)
    network = build("resnet18", 2).eval()
    places = places_along(network, layer, 160, 160 // 4 if layer == "layer1" else 160 // 8)
    assert places is not None
    middle_px = places.first_px + place * places.step_px
    assert middle_px == pytest.approx(seen_by(network, layer, place, 160), abs=1.5)


@pytest.mark.parametrize("receptive_field_px", [9, 17, 33])
def test_places_of_a_bagnet_stand_where_it_looks(receptive_field_px: int) -> None:
    torch.manual_seed(0)
    network = BagNet(receptive_field_px, 2, 4, (1, 1, 1, 1)).eval()
    n_places = (64 - receptive_field_px) // 8 + 1
    places = places_along(network, "layer4", 64, n_places)
    assert places is not None
    assert places.first_px + 2 * places.step_px == seen_by(network, "layer4", 2, 64)


def test_a_peak_is_brought_to_the_middle_of_what_its_place_sees(bagnet) -> None:
    maps = np.zeros((1, 6, 8), np.float32)
    maps[0, 1, 5] = 1
    cells = in_equal_cells(maps, bagnet, "layer4", 64, 80)
    assert cells.dtype == np.float32 and cells.shape == (1, 16, 20)
    large = resized(cells, 64, 80)[0]
    y_px, x_px = np.unravel_index(large.argmax(), large.shape)
    assert abs(y_px + 0.5 - (8.5 + 8)) <= 2 and abs(x_px + 0.5 - (8.5 + 5 * 8)) <= 2


def test_equal_shares_stay_as_they_are(bagnet) -> None:
    maps = np.random.default_rng(0).random((2, 4, 4), np.float32)
    with torch.device("meta"):
        vgg = build("vgg16_bn", 2)
    assert in_equal_cells(maps, vgg, "features.42", 64, 64) is maps
    # an early layer of a BagNet, whose places are not those of the logits
    assert places_along(bagnet, "layer1", 64, 31) is None
    constant = np.full((1, 6, 6), 0.5, np.float32)
    assert (in_equal_cells(constant, bagnet, "layer4", 64, 64) == 0.5).all()
