"""A TIFF of any kind of pixels is by window what decoding it whole gives."""

import numpy as np
import pytest
import tifffile

from patchbench.errors import UserError
from patchbench.images import decode, resize
from patchbench.prediction.pictures import at_full_size, prepared
from patchbench.records import BadImageError, Preparation
from patchbench.windows import ArrayWindows, open_windows, tiff
from patchbench.windows.tiff import TiffWindows
from patchbench.windows.turned import TurnedWindows
from unit._windowed import HEIGHT_PX, STRIPS, TILED, WIDTH_PX, check, decoded_by


def some_pixels(n_channels: int, dtype, most: int, size=(HEIGHT_PX, WIDTH_PX)) -> np.ndarray:
    """Any values, so that rounding and transparency meet all there are."""
    found = np.random.default_rng(0).integers(0, most + 1, (*size, n_channels)).astype(dtype)
    return found if n_channels > 1 else found[..., 0]


def retag(path, code: int, value: int | None) -> None:
    """Give a tag of a TIFF another value, or a number that nobody knows."""
    with tifffile.TiffFile(path, mode="r+") as file:
        tag, order = file.pages.first.tags[code], file.byteorder
        if value is not None:
            tag.overwrite(value)
        at = tag.offset
    if value is None:
        content = bytearray(path.read_bytes())
        content[at : at + 2] = (65_000).to_bytes(2, "little" if order == "<" else "big")
        path.write_bytes(content)


RGB = {"photometric": "rgb"}
# name: channels, type, largest value, how it is written, what ExtraSamples is made to say
SAMPLES = {
    "rgb": (3, np.uint8, 255, RGB, ...),
    "straight": (4, np.uint8, 255, RGB | {"extrasamples": ["unassalpha"]}, ...),
    "premultiplied": (4, np.uint8, 255, RGB | {"extrasamples": ["assocalpha"]}, ...),
    "unspecified": (4, np.uint8, 255, RGB | {"extrasamples": ["unspecified"]}, ...),
    "unnamed": (4, np.uint8, 255, RGB | {"extrasamples": ["unassalpha"]}, None),
    "corel": (4, np.uint8, 255, RGB | {"extrasamples": ["unassalpha"]}, 999),
    "rgb16": (3, np.uint16, 65_535, RGB, ...),
    "grey8": (1, np.uint8, 255, {"photometric": "minisblack"}, ...),
    "grey16": (1, np.uint16, 65_535, {"photometric": "minisblack"}, ...),
    "inverted": (1, np.uint8, 255, {"photometric": "miniswhite"}, ...),
}


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize(
    "layout",
    [{}, STRIPS, {"compression": "zlib"} | TILED, {"compression": "lzw"} | STRIPS],
    ids=["one-piece", "strips", "tiles-zlib", "strips-lzw"],
)
def test_every_kind_of_pixel_is_by_window_what_it_is_whole(tmp_path, kind, byteorder, layout):
    path, (n_channels, dtype, most, options, extra) = tmp_path / "it.tif", SAMPLES[kind]
    image = some_pixels(n_channels, dtype, most)
    tifffile.imwrite(path, image, byteorder=byteorder, **options, **layout)
    if extra is not ...:
        retag(path, 338, extra)
    check(path, decode(path), TiffWindows)


@pytest.mark.parametrize("orientation", range(1, 10))
@pytest.mark.parametrize("layout", [{}, STRIPS, {"compression": "zlib"} | TILED])
@pytest.mark.parametrize("kind", ["rgb", "straight", "inverted"])
def test_a_turned_tiff_is_by_window_what_it_is_whole(tmp_path, orientation, layout, kind):
    path, (n_channels, dtype, most, options, _) = tmp_path / "it.tif", SAMPLES[kind]
    turned = [(274, 3, 1, orientation, True)]
    image = some_pixels(n_channels, dtype, most)
    tifffile.imwrite(path, image, extratags=turned, **options, **layout)
    check(path, decode(path), TurnedWindows if 1 < orientation < 9 else TiffWindows)


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_grey_of_sixteen_bits_whose_white_is_zero_is_inverted(tmp_path, byteorder):
    path, image = tmp_path / "it.tif", some_pixels(1, np.uint16, 65_535)
    tifffile.imwrite(path, image, photometric="miniswhite", byteorder=byteorder, **TILED)
    wanted = np.repeat(np.rint((65_535 - image) / 257).astype(np.uint8)[..., None], 3, axis=2)
    check(path, wanted, TiffWindows)
    if byteorder == "<":  # Pillow knows no other
        assert np.array_equal(decode(path), wanted)
    square = prepared(path, Preparation(image_size_px=16)).read(0, 0, 16, 16).astype(int)
    assert np.abs(square - resize(wanted, 16)).max() <= 1


def test_a_window_of_a_turned_tiff_decodes_only_the_tiles_it_touches(tmp_path, monkeypatch):
    path, seen = tmp_path / "it.tif", decoded_by(monkeypatch)
    image = some_pixels(3, np.uint8, 255)
    options = {"compression": "zlib", "extratags": [(274, 3, 1, 6, True)]} | RGB | TILED
    tifffile.imwrite(path, image, **options)
    with open_windows(path) as found:
        assert (found.height_px, found.width_px) == (WIDTH_PX, HEIGHT_PX)
        corner = found.read(0, 0, 20, 10)  # stored at the lower left
    assert np.array_equal(corner, np.rot90(image, -1)[:20, :10])
    assert seen == [6]


@pytest.mark.parametrize("n_bands", [3, 4, 5, 6])
def test_bands_are_refused_or_read_alike_at_any_size(tmp_path, n_bands):
    path, image = tmp_path / "it.tif", some_pixels(n_bands, np.uint8, 255)
    tifffile.imwrite(path, image, photometric="minisblack", planarconfig="contig", **TILED)
    told = f"has {n_bands} bands; save three of them as RGB"
    with pytest.raises(BadImageError, match=told):
        decode(path)
    if n_bands > 3:
        for way in (at_full_size, lambda path: prepared(path, Preparation(image_size_px=16))):
            with pytest.raises(UserError, match=f"it.tif {told}"):
                way(path)
    else:
        found = prepared(path, Preparation(image_size_px=16)).read(0, 0, 16, 16).astype(int)
        assert np.abs(found - resize(image, 16)).max() <= 1


def test_grey_of_twelve_bits_has_its_own_white(tmp_path):
    path = tmp_path / "it.tif"
    image = some_pixels(1, np.uint16, 4095, (HEIGHT_PX, 300))
    tifffile.imwrite(path, image, photometric="minisblack", bitspersample=12)
    wanted = np.rint(image / (4095 / 255)).astype(np.uint8)
    assert wanted.max() == 255
    check(path, np.repeat(wanted[..., None], 3, axis=2), ArrayWindows)
    assert np.array_equal(decode(path)[..., 0], wanted)


def test_strips_are_decoded_once_for_a_row_of_windows_up_to_a_limit(tmp_path, monkeypatch):
    path, image = tmp_path / "it.tif", some_pixels(3, np.uint8, 255, (64, 2000))
    tifffile.imwrite(path, image, compression="zlib", rowsperstrip=2, **RGB)
    strip_mib = 2 * 2000 * 3 / 2**20
    monkeypatch.setattr(tiff, "_CACHE_MIB", 3 * strip_mib)
    seen = decoded_by(monkeypatch)
    with open_windows(path) as found:
        for x in range(0, 2000, 200):
            assert np.array_equal(found.read(0, x, 32, 200), image[:32, x : x + 200])
        assert seen == list(range(16))
        found.read(40, 0, 2, 9)  # a small window needs little
        assert len(found._decoded) == 3
        monkeypatch.setattr(tiff, "_BAND_MIB", 8 * strip_mib)
        found.read(0, 0, 32, 200)
        assert len(found._decoded) == 8
