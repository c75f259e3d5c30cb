"""Patches asked one by one are the whole image's places; a share of them is a seeded choice."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from patchbench.errors import UserError
from patchbench.networks.bagnet import BagNet
from patchbench.networks.pixels import Scale
from patchbench.networks.precision import in_float64
from patchbench.streaming import (
    ask_patches,
    choose_patches,
    choosing,
    count_patches,
    inference,
    local_contrast,
    patch_boxes,
    patch_gradients,
    patches,
    stream_gradients,
    stream_logits,
    training,
)
from patchbench.streaming.pools import top_places, top_share
from patchbench.streaming.tiles import Tile, laid_out, laid_out_alike
from patchbench.windows import ArrayWindows
from patchbench.windows.repeated import RepeatedWindows

torch.manual_seed(0)
MODEL = BagNet(17, 3, 2, (1, 1, 1, 1), norm="channels").double().eval()
IMAGE = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 75, 90)))  # 8 x 10 places
PATCH_PX = 33  # 3 x 3 places
PIXELS = np.zeros((75, 90, 3), np.uint8)
ONE_CHANNEL = Scale(np.zeros(1, np.float32), np.ones(1, np.float32))


def test_all_patches_give_what_streaming_gives():
    whole = stream_logits(MODEL, IMAGE, 60, evidence=True)
    found = ask_patches(MODEL, IMAGE, PATCH_PX)
    torch.testing.assert_close(found.logits, whole.logits)
    boxes = patch_boxes(MODEL, 75, 90, PATCH_PX)
    assert len(boxes) == len(found.patches) == 3 * 4
    assert found.n_places.sum() == 80 and boxes[:, 2:].max() == PATCH_PX
    pooled = ask_patches(MODEL, IMAGE, PATCH_PX, pool=top_share(0.1))
    torch.testing.assert_close(pooled.logits, top_share(0.1)(whole.evidence))
    few = ask_patches(MODEL, IMAGE, PATCH_PX, pool=top_places(8)).logits
    torch.testing.assert_close(few, pooled.logits)
    for (y, x, height, width), logits in zip(boxes, found.patch_logits, strict=True):
        part = whole.evidence[y // 8 : (y + height - 9) // 8, x // 8 : (x + width - 9) // 8]
        torch.testing.assert_close(logits, part.mean(dim=(0, 1)))


def walked(row_counts: list[int], col_counts: list[int]) -> list[Tile]:
    """Tiles as one walks over them, row by row."""
    found, row = [], 0
    for n_rows in row_counts:
        col = 0
        for n_cols in col_counts:
            sides = 8 * (n_rows - 1) + 17, 8 * (n_cols - 1) + 17
            places = slice(row, row + n_rows), slice(col, col + n_cols)
            found.append(Tile(8 * row, 8 * col, *sides, *places))
            col += n_cols
        row += n_rows
    return found


@settings(max_examples=50, deadline=None, derandomize=True)
@given(sides=st.tuples(st.integers(17, 200), st.integers(17, 200)), patch_px=st.integers(17, 90))
def test_a_tile_is_known_by_its_number(sides, patch_px):
    for layout in (laid_out(MODEL, *sides, patch_px), laid_out_alike(MODEL, *sides, patch_px)):
        wanted = walked(layout.row_counts, layout.col_counts)
        assert list(layout) == wanted
        assert layout.tile(layout.n_tiles - 1) == wanted[-1]
    boxes = np.array([(t.y_px, t.x_px, t.height_px, t.width_px) for t in wanted])
    assert count_patches(MODEL, *sides, patch_px) == len(wanted)
    np.testing.assert_array_equal(patch_boxes(MODEL, *sides, patch_px), boxes)
    some = np.arange(len(wanted))[::-3]
    np.testing.assert_array_equal(patch_boxes(MODEL, *sides, patch_px, some), boxes[some])


def test_of_a_huge_image_only_the_patches_that_are_asked_are_made():
    sheet = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
    image, chosen = RepeatedWindows(sheet, 65_536, 65_536), np.array([5, 8_190 * 4_000, 9])
    assert count_patches(MODEL, 65_536, 65_536, 17) == 8_190**2
    scale = Scale.imagenet()
    ask_patches(MODEL, image, 17, chosen, scale=scale)  # what is made on a first call is made
    tracemalloc.start()
    found = ask_patches(MODEL, image, 17, chosen, scale=scale)
    patch_gradients(MODEL, image, torch.sum, 17, chosen, scale=scale)
    boxes = patch_boxes(MODEL, 65_536, 65_536, 17, chosen)
    peak_mib = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    assert boxes[1].tolist() == [32_000, 0, 17, 17] and len(found.patch_logits) == 3
    assert peak_mib < 8  # two lists of the rows and columns, not one of 67 million patches


def test_chosen_patches_are_those_alone_and_nothing_else_is_read():
    class Seen(ArrayWindows):
        def read(self, y_px, x_px, height_px, width_px):
            seen.append((y_px, x_px, height_px, width_px))
            return super().read(y_px, x_px, height_px, width_px)

    seen: list[tuple[int, ...]] = []
    pixels = np.random.default_rng(0).integers(0, 256, (75, 90, 3), dtype=np.uint8)
    chosen, scale = np.array([1, 7, 10]), Scale.imagenet()
    every = ask_patches(MODEL, pixels, PATCH_PX, scale=scale)
    found = ask_patches(MODEL, Seen(pixels), PATCH_PX, chosen, scale=scale)
    assert seen == [tuple(box) for box in patch_boxes(MODEL, 75, 90, PATCH_PX)[chosen]]
    torch.testing.assert_close(found.patch_logits, every.patch_logits[chosen])
    weights = torch.from_numpy(found.n_places / found.n_places.sum())
    torch.testing.assert_close(found.logits, weights @ found.patch_logits)


@pytest.mark.parametrize("pool", [None, top_share(0.02)])
def test_gradients_through_all_patches_are_the_whole_image_s(pool):
    ways = [
        lambda loss: stream_gradients(MODEL, IMAGE, loss, 60, pool=pool).loss,
        lambda loss: patch_gradients(MODEL, IMAGE, loss, PATCH_PX, pool=pool),
        lambda loss: patch_gradients(MODEL, IMAGE, loss, PATCH_PX, np.array([0, 5]), pool=pool),
    ]
    found = []
    for way in ways:
        MODEL.zero_grad()
        loss = way(lambda logits: logits.logsumexp(1)[0] - logits[0, 1])
        gradient = torch.cat([part.grad.flatten() for part in MODEL.parameters()])
        found.append(torch.cat([gradient, torch.tensor([loss])]))
    torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-9)
    assert not torch.allclose(found[2], found[0], rtol=1e-3)


class NoDoubles(TorchDispatchMode):
    """Refuses float64 that is made of other numbers, as MPS does; but not within `in_float64`."""

    def __init__(self) -> None:
        super().__init__()
        self.n_allowed = 0

    def allowed(self, values):
        self.n_allowed += 1
        try:
            return values.double()
        finally:
            self.n_allowed -= 1

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        found = function(*arguments, **(options or {}))
        had, has = (
            any(isinstance(one, torch.Tensor) and one.dtype == torch.float64 for one in leaves)
            for leaves in (tree_leaves((arguments, options)), tree_leaves(found))
        )
        if has and not had and not self.n_allowed:
            raise TypeError(f"{function} makes float64")
        return found


@pytest.mark.parametrize(
    "ask",
    [
        lambda model, image: stream_logits(model, image, 40),
        lambda model, image: stream_gradients(model, image, torch.sum, 40),
        lambda model, image: stream_gradients(model, image, torch.sum, 40, pool=top_share(0.1)),
        lambda model, image: ask_patches(model, image, PATCH_PX),
        lambda model, image: patch_gradients(model, image, torch.sum, PATCH_PX),
        lambda model, image: local_contrast(model, image, PATCH_PX),
    ],
)
def test_float64_is_made_in_one_place_which_knows_devices_without_it(ask, monkeypatch):
    model, image, mode = BagNet(17, 3, 2, (1, 1, 1, 1)).eval(), IMAGE.float(), NoDoubles()
    for module in (choosing, inference, patches, training):
        monkeypatch.setattr(module, "in_float64", mode.allowed)
    with mode:
        ask(model, image)


def test_from_a_device_without_float64_values_come_to_the_processor_first():
    class OnMps:
        device = torch.device("mps")

        def cpu(self) -> torch.Tensor:
            return torch.ones(2)

    assert in_float64(OnMps()).dtype == torch.float64
    assert in_float64(torch.ones(2)).dtype == torch.float64


def test_a_share_is_seeded_nested_and_guided_by_scores():
    quarter, half = (choose_patches(40, share, seed=3) for share in (0.25, 0.5))
    assert len(quarter) == 10 and set(quarter) < set(half)
    assert (quarter == choose_patches(40, 0.25, seed=3)).all()
    assert (quarter != choose_patches(40, 0.25, seed=4)).any()
    scores = np.arange(40) % 4
    guided = choose_patches(40, 0.25, 0, scores)
    assert (scores[guided] == 3).all() and len(guided) == 10
    assert (choose_patches(40, 1, 0) == np.arange(40)).all()


def test_local_contrast_finds_the_patch_that_is_not_plain():
    pixels = np.full((75, 90, 3), 90, np.uint8)
    pixels[60:66, 40:50:2] = 255
    scores = local_contrast(MODEL, pixels, PATCH_PX, Scale.imagenet())
    y, x, height, width = patch_boxes(MODEL, 75, 90, PATCH_PX)[7]
    wanted = Scale.imagenet().tensor(pixels[None, y : y + height, x : x + width], "cpu")
    assert scores[7] == pytest.approx(wanted.std(dim=(2, 3), correction=0).mean().item(), abs=1e-6)
    (box,) = patch_boxes(MODEL, 75, 90, PATCH_PX)[choose_patches(12, 0.05, 0, scores)]
    assert box[0] <= 60 < box[0] + box[2] and box[1] <= 45 < box[1] + box[3]


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda: choose_patches(9, 0, 0), "share is 0; give"),
        (lambda: choose_patches(9, 0.5, 0, np.zeros(8)), r"scores have shape \(8,\) for 9 patches"),
        (lambda: ask_patches(MODEL, IMAGE, 33, np.array([12])), "give at least one, from 0 to 11"),
        (lambda: ask_patches(MODEL, IMAGE, 33, np.array([], int)), "has 0 patches; give at least"),
        (lambda: patch_boxes(MODEL, 75, 90, 33, np.array([-1, 3])), "has 2 patches, -1 to 3; give"),
        (lambda: ask_patches(MODEL, IMAGE, 33, np.arange(12) < 3), r"shape \(12,\) and type bool"),
        (lambda: patch_boxes(MODEL, 75, 90, 33, np.arange(12) < 3), "and type bool; give the numb"),
        (lambda: ask_patches(MODEL, IMAGE, 33, np.array([1.0])), "type float64; .* 0 to 11 in one"),
        (lambda: ask_patches(MODEL, IMAGE, 33, np.array([[1, 2]])), r"chosen has shape \(1, 2\)"),
        (lambda: ask_patches(MODEL, IMAGE, 40.5), "tile_px is 40.5, no whole number; give"),
        (lambda: stream_logits(MODEL, IMAGE, float("nan")), "tile_px is nan, no whole number"),
        (lambda: stream_logits(MODEL, IMAGE, 40, evidence=True, classes=[5]), "classes has 5, but"),
        (
            lambda: stream_logits(MODEL, IMAGE, 40, evidence=True, classes=[-1]),
            "has classes 0 to 2",
        ),
        (lambda: stream_logits(MODEL, IMAGE, 40, classes=[1.0]), "classes has 1.0, but the model"),
        (lambda: stream_logits(MODEL, IMAGE, 40, classes=[True]), "classes has True, but the mod"),
        (lambda: stream_logits(MODEL, PIXELS, 40, scale=ONE_CHANNEL), "1 channels and the image 3"),
        (lambda: ask_patches(MODEL, IMAGE, 16), "tile_px is 16, less than the receptive field"),
    ],
)
def test_what_makes_no_sense_is_told(ask, sentence):
    with pytest.raises(UserError, match=sentence):
        ask()
