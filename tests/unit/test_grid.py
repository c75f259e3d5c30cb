"""Patches lie where the config says, and nowhere else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench import grid

SIDES = st.integers(1, 60)


@given(SIDES, st.integers(1, 60), st.integers(1, 70), st.sampled_from(grid.EDGES))
def test_starts_keep_their_promises(side: int, patch: int, stride: int, edge: str) -> None:
    if patch > side:
        with pytest.raises(ValueError, match="use a smaller patch or a larger image_size_px"):
            grid.starts(side, patch, stride, edge)
        return
    starts = grid.starts(side, patch, stride, edge)
    assert starts[0] == 0
    assert (np.diff(starts) > 0).all()
    assert (np.diff(starts)[:-1] == stride).all()
    covered = np.zeros(max(side, starts[-1] + patch), bool)
    for start in starts:
        covered[start : start + patch] = True
    if edge != "reflect":
        assert starts[-1] + patch <= side
    if edge == "shift-last" or (edge == "reflect" and stride <= patch):
        assert covered[side - 1]
    if edge != "drop" and stride <= patch:
        assert covered[:side].all()


def test_patches_cover_every_pixel_once_when_stride_equals_size() -> None:
    starts = grid.starts(12, 4, 4, "drop")
    image = np.arange(144).reshape(12, 12)
    patches = grid.cut(image, starts, starts, 4)
    assert sorted(patches.ravel()) == list(range(144))


@pytest.mark.parametrize("shape", [(20, 23, 3), (20, 23)])
@pytest.mark.parametrize("edge", grid.EDGES)
def test_cut_equals_a_slow_loop(shape: tuple[int, ...], edge: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    ys, xs = grid.starts(20, 6, 5, edge), grid.starts(23, 6, 4, edge)
    pad = [(0, 6), (0, 6)] + [(0, 0)] * (len(shape) - 2)
    mirrored = np.pad(image, pad, mode="symmetric")
    slow = [mirrored[y : y + 6, x : x + 6] for y in ys for x in xs]
    np.testing.assert_array_equal(grid.cut(image, ys, xs, 6), np.stack(slow))


@given(st.integers(1, 500), st.integers(1, 40))
def test_shards_hold_every_image_once(n_images: int, n_shards: int) -> None:
    ranges = [grid.image_range(k, n_shards, n_images) for k in range(n_shards)]
    assert [i for r in ranges for i in r] == list(range(n_images))
    sizes = [len(r) for r in ranges]
    assert max(sizes) - min(sizes) <= 1


def test_centers_are_symmetric_about_the_middle() -> None:
    centers = grid.relative_centers(np.array([0, 32, 64]), np.array([64, 32, 0]), 32, 96)
    np.testing.assert_allclose(centers, [[-2 / 3, 2 / 3], [0, 0], [2 / 3, -2 / 3]])


@pytest.mark.parametrize(("patch", "stride"), [(0, 4), (4, 0), (4, -1)])
def test_impossible_numbers_are_named(patch: int, stride: int) -> None:
    with pytest.raises(ValueError, match=f"patch_size_px is {patch} and stride_px is {stride}"):
        grid.starts(10, patch, stride, "drop")
