"""Any window of an image file holds the pixels that decoding it whole gives."""

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from patchbench.errors import UserError
from patchbench.images import decode
from patchbench.prediction.pictures import prepared
from patchbench.records import Preparation
from patchbench.windows import ArrayWindows, open_windows, tiff
from patchbench.windows.tiff import TiffWindows
from unit._windowed import HEIGHT_PX, STRIPS, TILED, WIDTH_PX, check, decoded_by, pixels


@pytest.mark.parametrize("layout", [TILED, STRIPS, {}], ids=["tiles", "strips", "one-piece"])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_a_tiff_of_any_layout_is_read_by_window(tmp_path, layout, compression, bigtiff):
    path = tmp_path / "it.tif"
    options = {"compression": compression, "photometric": "rgb", "bigtiff": bigtiff} | layout
    tifffile.imwrite(path, pixels(3), **options)
    check(path, pixels(3), TiffWindows)
    assert np.array_equal(decode(path), pixels(3))


@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}, {"predictor": True}])
@pytest.mark.parametrize("layout", [TILED, {}])
def test_sixteen_bits_become_eight_as_they_do_whole(tmp_path, options, layout):
    path, grey = tmp_path / "it.tif", pixels(dtype=np.uint16)
    compression = "zlib" if "predictor" in options else None
    tifffile.imwrite(
        path, grey, photometric="minisblack", compression=compression, **layout, **options
    )
    check(path, np.repeat(pixels()[..., None], 3, axis=2), TiffWindows)
    assert np.array_equal(decode(path)[..., 0], pixels())


def test_jpeg_tiles_are_nearly_what_another_decoder_makes_of_them(tmp_path):
    path = tmp_path / "it.tif"
    y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    smooth = np.stack([y + x, 200 - y, 255 - x], axis=-1).astype(np.uint8)
    tifffile.imwrite(path, smooth, photometric="rgb", compression="jpeg", tile=(32, 48))
    check(path, decode(path), TiffWindows, tolerance=3)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("layout", [TILED, {}])
def test_planes_one_after_the_other_are_put_together(tmp_path, planar, layout):
    path, image = tmp_path / "it.tif", pixels(3)
    stored = np.moveaxis(image, -1, 0) if planar == "separate" else image
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar, **layout)
    check(path, image, TiffWindows)


def test_transparency_is_laid_on_white_as_it_is_whole(tmp_path):
    path, image = tmp_path / "it.tif", pixels(4)
    tifffile.imwrite(path, image, photometric="rgb", extrasamples=["unassalpha"], tile=(32, 48))
    check(path, decode(path), TiffWindows)
    tifffile.imwrite(path, image, photometric="rgb", extrasamples=["unspecified"], tile=(32, 48))
    check(path, image[..., :3], TiffWindows)


def test_bands_without_a_colour_model_stay_as_many_as_they_are(tmp_path):
    path = tmp_path / "it.tif"
    tifffile.imwrite(path, pixels(5), photometric="minisblack", planarconfig="contig", **TILED)
    check(path, pixels(5), TiffWindows)


def test_of_a_pyramid_the_full_size_is_read(tmp_path):
    path = tmp_path / "it.tif"
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        file.write(pixels(3), subifds=1, photometric="rgb", **TILED)
        file.write(pixels(3)[::2, ::2], subfiletype=1, photometric="rgb", **TILED)
        file.write(pixels(3)[::4, ::4], photometric="rgb")
    check(path, pixels(3), TiffWindows)


def test_a_tile_that_the_file_leaves_out_is_empty(tmp_path):
    path, image = tmp_path / "it.tif", pixels(3)
    image[:32, 48:96] = 0
    tiles = [np.ascontiguousarray(tile) for tile in tiles_of(image)]
    tiles[1] = None
    tifffile.imwrite(
        path, iter(tiles), shape=image.shape, dtype=np.uint8, photometric="rgb", **TILED
    )
    check(path, image, TiffWindows)


def tiles_of(image: np.ndarray) -> list[np.ndarray]:
    padded = np.pad(image, ((0, 96 - HEIGHT_PX), (0, 144 - WIDTH_PX), (0, 0)))
    return [padded[y : y + 32, x : x + 48] for y in (0, 32, 64) for x in (0, 48, 96)]


def test_a_window_decodes_only_the_tiles_it_touches_and_each_once(tmp_path, monkeypatch):
    path, decoded = tmp_path / "it.tif", decoded_by(monkeypatch)
    tifffile.imwrite(path, pixels(3), photometric="rgb", compression="zlib", **TILED)
    with open_windows(path) as image:
        image.read(33, 49, 20, 40)
        assert decoded == [4]
        image.read(30, 49, 20, 40)
        assert decoded == [4, 1]


def test_decoded_tiles_are_forgotten_before_they_fill_the_memory(tmp_path, monkeypatch):
    path = tmp_path / "it.tif"
    tifffile.imwrite(path, pixels(3), photometric="rgb", compression="zlib", **TILED)
    n_kept = 2
    monkeypatch.setattr(tiff, "_CACHE_MIB", n_kept * 32 * 48 * 3 / 2**20)
    check(path, pixels(3), TiffWindows)
    with open_windows(path) as image:
        image.read(0, 0, HEIGHT_PX, WIDTH_PX)
        assert len(image._decoded) == n_kept


@pytest.mark.parametrize(
    ("name", "mode"), [("it.png", "RGB"), ("it.png", "LA"), ("it.bmp", "P"), ("it.tif", "CMYK")]
)
def test_other_files_are_decoded_once_and_gone_when_closed(tmp_path, name, mode):
    path, scratch = tmp_path / name, tmp_path / "scratch"
    scratch.mkdir()
    Image.fromarray(pixels(3)).convert(mode).save(path)
    check(path, decode(path), ArrayWindows)
    with open_windows(path, scratch) as image:
        found = image.read(3, 4, 50, 60)
        assert np.array_equal(found, decode(path)[3:53, 4:64])
    assert not list(scratch.iterdir())


@settings(max_examples=20, deadline=None, derandomize=True)
@given(height_px=st.integers(1, 700), width_px=st.integers(1, 40))
def test_a_tall_image_is_converted_band_by_band(tmp_path_factory, height_px, width_px):
    path, image = tmp_path_factory.mktemp("tall") / "it.png", pixels(3, size=(height_px, width_px))
    Image.fromarray(image).save(path)
    with open_windows(path) as found:
        assert np.array_equal(found.read(0, 0, height_px, width_px), image)


def test_a_turned_photograph_stands_upright(tmp_path):
    path, exif = tmp_path / "it.png", Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels(3)).save(path, exif=exif)
    check(path, np.rot90(pixels(3), -1), ArrayWindows)


def damaged_files(folder) -> dict[str, str]:
    """Files that cannot be read, and what is to be said of them."""
    tifffile.imwrite(
        folder / "whole.tif", pixels(3), photometric="rgb", compression="zlib", **TILED
    )
    content = (folder / "whole.tif").read_bytes()
    (folder / "half.tif").write_bytes(content[: len(content) // 2])
    (folder / "head.tif").write_bytes(content[:11])
    Image.fromarray(pixels(3)).save(folder / "whole.png")
    (folder / "half.png").write_bytes((folder / "whole.png").read_bytes()[:300])
    (folder / "text.png").write_text("no image")
    tifffile.imwrite(folder / "float.tif", pixels(3).astype(np.float32), photometric="rgb", **TILED)
    for kind in ("int8", "int16", "int32", "uint32"):
        tifffile.imwrite(folder / f"{kind}.tif", pixels().astype(kind), photometric="minisblack")
    for kind in ("int16", "uint32", "float64"):
        tifffile.imwrite(folder / f"rgb-{kind}.tif", pixels(3).astype(kind), photometric="rgb")
    tifffile.imwrite(
        folder / "cut.tif", pixels(3), photometric="rgb", compression="lzw", rowsperstrip=9
    )
    cut = (folder / "cut.tif").read_bytes()
    (folder / "cut.tif").write_bytes(cut[: len(cut) // 2])
    (folder / "folder").mkdir()
    (folder / "empty.tif").write_bytes(b"")
    for name, tag, value in [("tiles.tif", 322, 2**30), ("sizes.tif", 257, 0)]:
        (folder / name).write_bytes(content)
        with tifffile.TiffFile(folder / name, mode="r+") as file:
            file.pages.first.tags[tag].overwrite(value)
    kinds = ["int8", "int16", "int32", "uint32", "rgb-int16", "rgb-uint32", "rgb-float64"]
    unknown = "has pixels of type {}; save it with 8 or 16 bits per channel"
    return {f"{kind}.tif": unknown.format(kind.removeprefix("rgb-")) for kind in kinds} | {
        "cut.tif": "is cut off: it has",
        "folder": "a folder; name the images in it",
        "tiles.tif": "is a damaged TIFF \\(impossible tiles",
        "sizes.tif": "is a damaged TIFF \\(impossible sizes",
        "half.tif": "is cut off: it has",
        "head.tif": "is a damaged TIFF",
        "half.png": "cannot be decoded",
        "text.png": "not an image",
        "float.tif": "has pixels of type float32; save it with 8 or 16 bits per channel",
        "empty.tif": "not an image",
        "absent.tif": "no such file",
    }


def test_what_cannot_be_read_is_told_in_one_sentence_with_its_name(tmp_path):
    ways = (open_windows, lambda path: prepared(path, Preparation(image_size_px=16)))
    for name, sentence in damaged_files(tmp_path).items():
        told = []
        for way in ways:
            with pytest.raises(UserError, match=sentence) as error:
                way(tmp_path / name)
            told.append(str(error.value))
        assert name in told[0] and "\n" not in told[0] and told[0] == told[1]


def test_a_number_that_is_all_a_library_says_becomes_words(tmp_path, monkeypatch):
    path = tmp_path / "it.tif"
    tifffile.imwrite(path, pixels(3), photometric="rgb")

    def refuse(*arguments):
        raise KeyError(0)

    monkeypatch.setattr(tiff, "_check_complete", refuse)
    with pytest.raises(UserError, match=r"is a damaged TIFF \(unexpected value 0\); copy"):
        open_windows(path)


def test_damage_inside_a_tiff_is_told_when_its_window_is_read(tmp_path):
    path = tmp_path / "it.tif"
    tifffile.imwrite(path, pixels(3), photometric="rgb", compression="zlib", **TILED)
    with tifffile.TiffFile(path) as file:
        start = file.pages.first.dataoffsets[4]
    content = bytearray(path.read_bytes())
    content[start : start + 40] = bytes(40)
    path.write_bytes(content)
    with open_windows(path) as image:
        image.read(0, 0, 20, 20)
        with pytest.raises(UserError, match="is a damaged TIFF"):
            image.read(40, 50, 8, 8)


def test_a_disk_without_room_is_told(tmp_path, monkeypatch):
    from patchbench.windows import decoded

    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *exception):
            return None

        def write(self, data):
            raise OSError(28, "No space left on device")

    path = tmp_path / "it.png"
    Image.fromarray(pixels(3)).save(path)
    monkeypatch.setattr(decoded.tempfile, "TemporaryFile", lambda dir: Full())
    with pytest.raises(UserError, match=r"no room for its pixels in .*name another folder"):
        open_windows(path)
