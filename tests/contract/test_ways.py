"""Promises of every way to look at an image, found by file name."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from patchbench import plugins
from patchbench.errors import UserError
from patchbench.measuring import INFERENCE, TASKS
from patchbench.windows import ArrayWindows
from patchbench.windows.repeated import RepeatedWindows

NAMES = plugins.available("ways")
SMALL = {"width": 4, "layers": [1, 1, 1, 1]}
SETTINGS: dict[str, dict[str, Any]] = {"cnn": {"network": "resnet18"}}
SHEET = np.random.default_rng(0).integers(0, 256, (37, 41, 3), np.uint8)
SIDE_PX = 65


@cache
def looked(name: str, task: str) -> Any:
    way = plugins.build("ways", name, SETTINGS.get(name, SMALL), seed=0, device="cpu")
    return way.ready(task)(RepeatedWindows(SHEET, SIDE_PX, SIDE_PX))


@pytest.mark.parametrize("name", NAMES)
def test_a_look_gives_logits_or_a_loss_and_says_in_how_many_pieces(name: str) -> None:
    cls = plugins.load("ways", name).Way
    assert cls.summary and cls.source
    for task in TASKS:
        found = looked(name, task)
        assert found.values.shape == ((10,) if task == INFERENCE else (1,))
        assert np.isfinite(found.values).all()
        assert found.n_pieces >= 1 and 32 <= found.piece_px <= SIDE_PX


@pytest.mark.parametrize("task", TASKS)
def test_a_bagnet_says_the_same_in_every_way(task: str) -> None:
    whole, streamed, patches = (
        looked(name, task) for name in ("bagnet", "bagnet_streamed", "bagnet_patches")
    )
    np.testing.assert_allclose(streamed.values, whole.values, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(patches.values, whole.values, rtol=1e-4, atol=1e-5)
    assert (whole.n_pieces, patches.n_pieces) == (1, 25)


def test_a_share_of_the_patches_is_what_is_asked_about() -> None:
    way = plugins.build("ways", "bagnet_patches", SMALL | {"share": 0.25}, seed=0, device="cpu")
    assert way.ready(INFERENCE)(RepeatedWindows(SHEET, SIDE_PX, SIDE_PX)).n_pieces == 7


@pytest.mark.parametrize("task", TASKS)
def test_a_guided_share_is_that_of_most_contrast(task: str) -> None:
    image = np.full((SIDE_PX, SIDE_PX, 3), 128, np.uint8)
    image[:33, 32:] = SHEET[:33, :33]  # one patch of 25, and parts of its neighbours
    found = {
        guide: plugins.build(
            "ways", "bagnet_patches", SMALL | {"share": 0.04, "guide": guide}, seed=0, device="cpu"
        ).ready(task)(ArrayWindows(image))
        for guide in (None, "contrast")
    }
    alone = plugins.build("ways", "bagnet_patches", SMALL, seed=0, device="cpu").ready(task)
    loudest = alone(ArrayWindows(image[:33, 32:]))
    assert found["contrast"].n_pieces == loudest.n_pieces == 1
    np.testing.assert_allclose(found["contrast"].values, loudest.values, rtol=1e-5, atol=1e-6)
    assert (found[None].values != found["contrast"].values).any()


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("cnn", {}, "setting 'network' is missing"),
        ("bagnet", {"receptive_field_px": 20}, "BagNets have 9, 17 or 33"),
        ("bagnet_streamed", {"max_memory_mib": 0}, "give a number above 0"),
        ("bagnet_patches", {"share": 1.5}, "share is 1.5"),
        ("bagnet_patches", {"guide": "sharpness"}, "choose contrast, or null"),
        ("bagnet_patches", {"patch_px": 17}, "less than the 33 px that one feature sees"),
    ],
)
def test_a_senseless_setting_is_refused_in_one_sentence(
    name: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        plugins.build("ways", name, settings, seed=0, device="cpu")


def test_a_network_that_torchvision_has_not_is_refused() -> None:
    way = plugins.build("ways", "cnn", {"network": "resnet5o"}, seed=0, device="cpu")
    with pytest.raises(UserError, match="Did you mean 'resnet50'"):
        way.ready(INFERENCE)
