"""Tiles of a large image hold its patches, and pictures of evidence are means over patches."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from patchbench import grid
from patchbench.bags import Bags
from patchbench.errors import UserError
from patchbench.fusions.mean_probability import Fusion
from patchbench.images import RESIZE_MODES, resize, resize_by
from patchbench.io import write_array, write_json, write_table
from patchbench.origins import origin
from patchbench.prediction.answer import Grid
from patchbench.prediction.evidence_map import spread, thumbnail
from patchbench.prediction.pictures import at_full_size, prepared
from patchbench.prediction.votes import Cutting, Voting, read_tile, tiles
from patchbench.records import Preparation
from patchbench.tables import empty
from patchbench.windows import ArrayWindows, shrinking


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (61, 83, 3), np.uint8)


class Corner:
    """An encoder that sees the first pixel of a patch, and the sum of it."""

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        assert len(pixels) <= 512
        sums = pixels.reshape(len(pixels), -1).sum(axis=1, keepdims=True)
        return np.concatenate([pixels[:, 0, 0], sums], axis=1).astype(np.float32)


class Same:
    """A patch classifier whose logits are the embeddings, small."""

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        return embeddings / np.float32(1000)


@pytest.mark.parametrize("edge", grid.EDGES)
@pytest.mark.parametrize("stride_px", [4, 7, 20])
@pytest.mark.parametrize("n_rows", [1, 3, 100])
def test_patches_of_tiles_are_those_of_the_image(
    image: np.ndarray, edge: str, stride_px: int, n_rows: int
) -> None:
    where = Cutting(12, stride_px, edge).grid(*image.shape[:2])
    whole = grid.cut(image, where.ys, where.xs, 12).reshape(*where.shape, 12, 12, 3)
    found = np.zeros_like(whole)
    for rows, cols in tiles(where, n_rows):
        pixels, ys, xs = read_tile(ArrayWindows(image), where, rows, cols)
        found[rows, cols] = grid.cut(pixels, ys, xs, 12).reshape(len(ys), len(xs), 12, 12, 3)
    np.testing.assert_array_equal(found, whole)


def test_places_are_told_relative_to_both_sides_of_the_image(image: np.ndarray) -> None:
    seen = []

    class Looking(Fusion):
        def fuse(self, bags: Bags) -> np.ndarray:
            seen.append(bags.centers)
            return super().fuse(bags)

    Voting(Corner(), Same(), Looking(), Cutting(9, 26, "shift-last"), None).decide(
        ArrayWindows(image), "image"
    )
    ys, xs = [4.5, 30.5, 56.5], [4.5, 30.5, 56.5, 78.5]
    expected = [(2 * y / 61 - 1, 2 * x / 83 - 1) for y in ys for x in xs]
    np.testing.assert_allclose(seen[0], expected)


@pytest.mark.parametrize("temperature", [None, 2.0])
def test_votes_of_many_tiles_are_those_of_one_pass(
    image: np.ndarray, temperature: float | None
) -> None:
    cutting = Cutting(9, 1, "reflect")
    where = cutting.grid(*image.shape[:2])
    assert len(tiles(where, cutting.tile_rows)) > 1
    found = Voting(Corner(), Same(), Fusion(), cutting, temperature).decide(
        ArrayWindows(image), "image"
    )
    patches = grid.cut(image, where.ys, where.xs, 9)
    sums = patches.reshape(len(patches), -1).sum(axis=1)[:, None]
    logits = np.concatenate([patches[:, 0, 0], sums], axis=1) / 1000 / (temperature or 1)
    votes = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert found.evidence is not None
    np.testing.assert_allclose(found.evidence.reshape(votes.shape), votes, rtol=1e-4)
    np.testing.assert_allclose(found.probabilities, votes.mean(axis=0), rtol=1e-5)


def test_a_tile_is_bounded_whatever_the_grid() -> None:
    for size_px, stride_px in [(32, 16), (32, 1), (224, 224), (1000, 1), (8, 500)]:
        n = Cutting(size_px, stride_px, "drop").tile_rows
        assert n >= 1 and n * n <= 512
        assert (n - 1) * stride_px + size_px <= max(384, size_px)


def test_evidence_spreads_over_what_patches_cover() -> None:
    rng, where = np.random.default_rng(1), Grid(np.array([0, 3, 8]), np.array([0, 4]), 5)
    values = rng.random(where.shape)
    found = spread(values, where, (14, 10), (14, 10))
    for y in range(14):
        for x in range(10):
            on = [
                values[i, j]
                for i, top in enumerate(where.ys)
                for j, left in enumerate(where.xs)
                if top <= y < top + 5 and left <= x < left + 5
            ]
            np.testing.assert_allclose(found[y, x], np.mean(on) if on else np.nan)


def test_thumbnails_keep_small_images_and_average_large_ones(image: np.ndarray) -> None:
    np.testing.assert_array_equal(thumbnail(ArrayWindows(image)), image)
    large = np.repeat(np.repeat(image, 20, axis=0), 20, axis=1)
    small = thumbnail(ArrayWindows(large))
    assert small.shape == (564, 768, 3)
    assert abs(small.mean() - large.mean()) < 1


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    sides_px=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    size_px=st.integers(1, 60),
    how=st.sampled_from(RESIZE_MODES),
    window_px=st.sampled_from([7, 16, 1000]),
)
def test_shrinking_by_windows_is_resizing_the_whole(
    sides_px: tuple[int, int], size_px: int, how: str, window_px: int
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*sides_px, 3), np.uint8)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shrinking, "_WINDOW_PX", window_px)
        shrink = partial(shrinking.shrunk, ArrayWindows(pixels))
        found = resize_by(shrink, sides_px, size_px, how).astype(int)
    tolerance = 1 if size_px <= min(sides_px) else 2  # an enlarged side spreads what was rounded
    assert np.abs(found - resize(pixels, size_px, how)).max() <= tolerance


@pytest.mark.parametrize("how", RESIZE_MODES)
def test_a_tiff_above_the_limit_is_prepared_as_one_below_it(
    image: np.ndarray, tmp_path: Path, how: str
) -> None:
    path = tmp_path / "it.tif"
    tifffile.imwrite(path, image, photometric="rgb", compression="zlib", tile=(32, 32))
    ordinary = Preparation(image_size_px=24, resize=how)
    whole, by_windows = (
        prepared(path, one).read(0, 0, 24, 24).astype(int)
        for one in (ordinary, replace(ordinary, max_image_megapixels=1e-4))
    )
    assert np.abs(whole - by_windows).max() <= 1


def test_above_the_limit_what_cannot_be_read_by_windows_says_what_can(
    image: np.ndarray, tmp_path: Path
) -> None:
    few = Preparation(image_size_px=24, max_image_megapixels=1e-4)
    png, tiny = tmp_path / "it.png", tmp_path / "tiny.tif"
    Image.fromarray(image).save(png)
    with pytest.raises(UserError, match=r"megapixels, more than .*; save it as tiled TIFF in RGB"):
        prepared(png, few)
    tifffile.imwrite(tiny, image[:7], photometric="rgb")
    with pytest.raises(UserError, match="83 x 7 px is smaller than min_source_px 8"):
        prepared(tiny, few)


def test_an_image_of_many_bands_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bands.tif"
    tifffile.imwrite(
        path, np.zeros((40, 40, 5), np.uint8), photometric="minisblack", planarconfig="contig"
    )
    with pytest.raises(UserError, match="5 bands"):
        at_full_size(path)
    Image.new("RGB", (40, 40)).save(tmp_path / "plain.png")
    with pytest.raises(UserError, match="another folder with --scratch"):
        at_full_size(tmp_path / "plain.png", tmp_path / "no folder")


def test_every_kind_of_result_tells_its_origin(tmp_path: Path) -> None:
    told = {"stage": "test", "spec": {"a": 1}}
    write_array(tmp_path / "a.npy", np.ones(3), told)
    write_json(tmp_path / "b.json", {"c": 2}, told)
    write_table(tmp_path / "d.parquet", empty("history"), "history", told)
    for path in tmp_path.iterdir():
        assert origin(path) == told
        path.write_bytes(path.read_bytes()[:-3])
        with pytest.raises(UserError, match="is damaged"):
            origin(path)
    Image.new("RGB", (2, 2)).save(tmp_path / "e.npy", "png")
    with pytest.raises(UserError, match="is damaged"):
        origin(tmp_path / "e.npy")
