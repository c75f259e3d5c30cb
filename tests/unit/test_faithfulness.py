"""Maps meet pixels exactly, and faithful maps score better than unfaithful ones."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbench import grid
from patchbench.faithfulness import (
    FRACTIONS,
    Perturbation,
    cell_edges,
    curve_area,
    energy_in_mask,
    interpolation,
    mean_over_images,
    patch_means,
    points_at_mask,
    resized,
    salience_order,
)


def slow_resize(cam: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """Bilinear interpolation, pixel by pixel, with the corners written out."""
    rows, cols = cam.shape
    large = np.empty((height_px, width_px))
    for y in range(height_px):
        for x in range(width_px):
            v = min(max((y + 0.5) * rows / height_px - 0.5, 0), rows - 1)
            u = min(max((x + 0.5) * cols / width_px - 0.5, 0), cols - 1)
            top, left = int(v), int(u)
            bottom, right = min(top + 1, rows - 1), min(left + 1, cols - 1)
            a, b = v - top, u - left
            upper = (1 - b) * cam[top, left] + b * cam[top, right]
            lower = (1 - b) * cam[bottom, left] + b * cam[bottom, right]
            large[y, x] = (1 - a) * upper + a * lower
    return large


shapes = st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(4, 23), st.integers(4, 23))


@settings(deadline=None, max_examples=40)
@given(shape=shapes, seed=st.integers(0, 99))
def test_resizing_equals_a_slow_loop(shape: tuple[int, int, int, int], seed: int) -> None:
    rows, cols, height_px, width_px = shape
    maps = np.random.default_rng(seed).normal(size=(2, rows, cols)).astype(np.float32)
    slow = [slow_resize(cam, height_px, width_px) for cam in maps]
    np.testing.assert_allclose(resized(maps, height_px, width_px), slow, atol=1e-6)


def test_resizing_is_that_of_pytorch() -> None:
    import torch
    from torch.nn import functional

    maps = np.random.default_rng(0).random((3, 6, 4), np.float32)
    theirs = functional.interpolate(torch.from_numpy(maps)[None], (96, 50), mode="bilinear")[0]
    np.testing.assert_allclose(resized(maps, 96, 50), theirs, atol=1e-5)


@pytest.mark.parametrize("n_places", [1, 3, 12, 24])
def test_interpolation_weights_sum_to_one_and_average_places_alike(n_places: int) -> None:
    weights = interpolation(24, n_places)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights.sum(axis=0), 24 / n_places)


@settings(deadline=None, max_examples=40)
@given(shape=shapes, seed=st.integers(0, 99), edge=st.sampled_from(grid.EDGES))
def test_patch_means_equal_means_of_patches_cut_from_resized_maps(
    shape: tuple[int, int, int, int], seed: int, edge: str
) -> None:
    rows, cols, height_px, width_px = shape
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(3, rows, cols)).astype(np.float32)
    side = int(rng.integers(1, min(height_px, width_px) + 1))
    stride = int(rng.integers(1, side + 1))
    ys, xs = (grid.starts(px, side, stride, edge) for px in (height_px, width_px))
    places = [(y, x, side, side) for y in ys for x in xs]
    map_of = np.repeat([2, 0, 1], len(places))
    slow = [
        grid.cut(cam, ys, xs, side).mean(axis=(1, 2))
        for cam in resized(maps, height_px, width_px)[[2, 0, 1]]
    ]
    means = patch_means(maps, map_of, np.array(places * 3), height_px, width_px)
    np.testing.assert_allclose(means, np.concatenate(slow), atol=1e-9)


def test_many_patches_are_the_same_in_pieces() -> None:
    maps = np.random.default_rng(0).random((2, 3, 3))
    boxes = np.tile([[0, 4, 8, 8], [8, 0, 4, 12]], (5000, 1))
    map_of = np.tile([0, 1], 5000)
    means = patch_means(maps, map_of, boxes, 16, 16).reshape(5000, 2)
    np.testing.assert_array_equal(means, np.broadcast_to(means[0], means.shape))


def test_the_order_is_that_of_values_and_seeded_where_they_tie() -> None:
    values = np.array([0.0, 3.0, 0.0, 5.0, 0.0, 0.0])
    order = salience_order(values, 0)
    assert list(order[:2]) == [3, 1]
    np.testing.assert_array_equal(order, salience_order(values, 0))
    orders = {tuple(salience_order(values, seed)) for seed in range(20)}
    assert len(orders) > 5


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 99))
def test_area_equals_a_slow_loop_and_stays_between_0_and_1(seed: int) -> None:
    curve = np.random.default_rng(seed).random(len(FRACTIONS))
    slow = sum(
        (b - a) * (curve[i] + curve[i + 1]) / 2 for i, (a, b) in enumerate(pairwise(FRACTIONS))
    )
    assert curve_area(curve) == pytest.approx(slow)
    assert 0 <= curve_area(curve) <= 1
    assert curve_area(np.ones(len(FRACTIONS))) == pytest.approx(1)


@pytest.mark.parametrize("side_px", [1, 5, 12, 96, 100, 224])
def test_cells_cover_a_side_without_gaps(side_px: int) -> None:
    edges = cell_edges(side_px)
    assert edges[0] == 0 and edges[-1] == side_px
    assert (np.diff(edges) > 0).all()
    assert np.ptp(np.diff(edges)) <= 1


BRIGHT = np.zeros((48, 36, 3), np.uint8)
BRIGHT[8:24, 12:24] = 200
MASK = BRIGHT[..., 0] > 0
FILL = np.array([50.0, 60.0, 70.0])


def seen(pixels: np.ndarray) -> np.ndarray:
    """A network that is sure of class 1 as far as it sees the bright object."""
    share = (pixels[:, MASK] == 200).all(axis=2).mean(axis=1)
    return np.stack([1 - share, share], axis=1)


def box_map(rows: int, cols: int) -> np.ndarray:
    """Mean of the mask in each cell of a coarse grid."""
    return MASK.reshape(rows, 48 // rows, cols, 36 // cols).mean(axis=(1, 3))


def test_a_faithful_map_beats_its_opposite_at_deletion_and_insertion() -> None:
    change = Perturbation(FILL)
    deletion, insertion = change.areas(seen, BRIGHT, box_map(12, 12), 1)
    worst_deletion, worst_insertion = change.areas(seen, BRIGHT, 1 - box_map(12, 12), 1)
    assert deletion < 0.1 < 0.9 < worst_deletion
    assert worst_insertion < 0.1 < 0.9 < insertion
    # taking away and putting back in opposite orders show the same pictures
    assert worst_deletion == pytest.approx(insertion, abs=0.05)


def test_deletion_begins_whole_and_ends_plain_and_insertion_the_other_way() -> None:
    shown = []

    def ask(pixels: np.ndarray) -> np.ndarray:
        shown.append(pixels)
        return seen(pixels)

    Perturbation(FILL).areas(ask, BRIGHT, box_map(6, 6), 1)
    (pictures,) = shown
    n = len(FRACTIONS)
    assert pictures.dtype == np.float32
    np.testing.assert_array_equal(pictures[0], BRIGHT)
    np.testing.assert_array_equal(pictures[2 * n - 1], BRIGHT)
    np.testing.assert_array_equal(pictures[n - 1], np.broadcast_to(FILL, BRIGHT.shape))
    np.testing.assert_array_equal(pictures[n], np.broadcast_to(FILL, BRIGHT.shape))
    visible = (pictures[:n] == BRIGHT).all(axis=3).mean(axis=(1, 2))
    np.testing.assert_allclose(visible, 1 - FRACTIONS, atol=0.01)


def test_energy_is_the_share_of_positive_evidence_in_the_object() -> None:
    cam = np.random.default_rng(0).normal(size=(6, 4))
    large = slow_resize(np.maximum(cam, 0), *MASK.shape)
    assert energy_in_mask(cam, MASK) == pytest.approx(large[MASK].sum() / large.sum())
    assert energy_in_mask(np.ones((6, 4)), MASK) == pytest.approx(MASK.mean())


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_map_without_positive_values_is_worth_a_guess(value: float) -> None:
    blank = np.full((6, 6), value)
    assert energy_in_mask(blank, MASK) == pytest.approx(MASK.mean())
    centre = np.zeros_like(MASK)
    centre[24, 18] = True
    assert points_at_mask(blank, centre)
    assert not points_at_mask(blank, ~centre)


def test_pointing_hits_where_the_highest_place_stands() -> None:
    cam = np.zeros((6, 6))
    cam[2, 3] = 1  # its middle is pixel (20, 21)
    assert points_at_mask(cam, MASK)
    cam[0, 0] = 2
    assert not points_at_mask(cam, MASK)


def test_the_interval_over_images_holds_the_mean() -> None:
    values = np.random.default_rng(0).random(60)
    found = mean_over_images(values, np.arange(60), 0)
    assert found.value == pytest.approx(values.mean(), abs=1e-6)
    assert found.low < found.value < found.high
    alike = mean_over_images(np.full(5, 0.25), np.arange(5), 0)
    assert alike.value == 0.25 and np.isnan([alike.low, alike.high]).all()
    assert mean_over_images(np.ones(5), np.arange(5), 0).low == pytest.approx(0.025**0.2)


def test_images_of_a_group_are_drawn_together() -> None:
    values = np.repeat(np.random.default_rng(0).random(12), 5)
    grouped = mean_over_images(values, np.arange(60) // 5, 0)
    by_scene = mean_over_images(values[::5], np.arange(12), 0)
    assert (grouped.low, grouped.high) == pytest.approx((by_scene.low, by_scene.high))
