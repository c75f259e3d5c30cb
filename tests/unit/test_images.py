"""Images of every common kind become RGB; broken ones say why."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile

from patchbench.images import RESIZE_MODES, decode, decode_mask, resize
from patchbench.records import BadImageError


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(height: int = 20, width: int = 30) -> np.ndarray:
    rows, cols = np.mgrid[:height, :width]
    return np.stack([rows * 5, cols * 5, rows + cols], axis=2).astype(np.uint8)


def test_rgb_png_comes_back_as_it_was() -> None:
    pixels = gradient()
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(pixels))), pixels)


def test_a_path_and_its_bytes_decode_alike(tmp_path) -> None:
    content = encoded(Image.fromarray(gradient()), "JPEG")
    (tmp_path / "a.jpg").write_bytes(content)
    np.testing.assert_array_equal(decode(tmp_path / "a.jpg"), decode(content))


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "LA", "RGBA", "YCbCr"])
def test_every_colour_mode_becomes_uint8_rgb(mode: str) -> None:
    kind = "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"
    pixels = decode(encoded(Image.new(mode, (7, 5)), kind))
    assert pixels.dtype == np.uint8
    assert pixels.shape == (5, 7, 3)


def test_transparency_is_laid_on_white() -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert (decode(encoded(image)) == 255).all()
    palette = Image.new("P", (4, 4), 0)
    assert (decode(encoded(palette, transparency=0)) == 255).all()


def test_cmyk_white_is_white() -> None:
    assert (decode(encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "TIFF")) == 255).all()


def test_16_bit_grey_is_scaled_not_cut() -> None:
    grey = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(grey)))[0, :, 0], [0, 1, 128, 255])


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    pixels = gradient(20, 30)
    turned = decode(encoded(Image.fromarray(pixels), exif=exif))
    np.testing.assert_array_equal(turned, np.rot90(pixels, -1))


def test_truncated_files_say_so() -> None:
    for kind in ("JPEG", "PNG"):
        content = encoded(Image.fromarray(np.resize(gradient(), (200, 200, 3))), kind)
        with pytest.raises(BadImageError, match="cannot be decoded"):
            decode(content[: len(content) // 2])


def test_other_files_are_no_images() -> None:
    for content in (b"", b"hello", b"<html></html>"):
        with pytest.raises(BadImageError, match="not an image"):
            decode(content)


def test_a_missing_file_is_a_bad_image(tmp_path) -> None:
    with pytest.raises(BadImageError, match="no such file"):
        decode(tmp_path / "none.png")


def test_absurdly_large_images_are_refused_before_decoding() -> None:
    with pytest.raises(BadImageError, match="megapixels"):
        decode(encoded(Image.new("1", (2000, 1000))), max_megapixels=1)
    with pytest.raises(BadImageError, match=r"^more than 80 megapixels"):
        decode(encoded(Image.new("1", (20000, 10000))))


def test_floating_point_pixels_are_refused_with_a_way_out() -> None:
    with pytest.raises(BadImageError, match="8 or 16 bits"):
        decode(encoded(Image.fromarray(np.zeros((3, 3), np.float32)), "TIFF"))


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "uint32", "float32", "float64"])
@pytest.mark.parametrize("colours", [False, True])
def test_a_tiff_whose_numbers_are_no_brightness_is_refused(kind: str, colours: bool) -> None:
    buffer, shape = io.BytesIO(), (9, 8, 3) if colours else (9, 8)
    photometric = "rgb" if colours else "minisblack"
    tifffile.imwrite(buffer, np.full(shape, 7, kind), photometric=photometric)
    with pytest.raises(BadImageError, match=f"has pixels of type {kind}; save it with 8 or 16"):
        decode(buffer.getvalue())
    if not colours and kind != "float64":  # masks may count by any numbers
        assert decode_mask(buffer.getvalue()).all()


def test_a_folder_is_no_image(tmp_path) -> None:
    with pytest.raises(BadImageError, match="a folder; name the images in it"):
        decode(tmp_path)


def test_what_pillow_warns_of_is_told_in_words() -> None:
    content = encoded(Image.fromarray(gradient(200, 200)), "TIFF", compression="tiff_lzw")
    with pytest.raises(BadImageError, match=r"not an image|cannot be decoded"):
        decode(content[:-100])  # within what the file says of itself


@pytest.mark.parametrize("on", [1, 255])
def test_masks_of_zeros_and_ones_or_255_mean_the_same(on: int) -> None:
    expected = np.zeros((6, 8), bool)
    expected[2:4, 3:7] = True
    image = Image.fromarray(expected.astype(np.uint8) * on)
    for mode in ("L", "RGB"):
        np.testing.assert_array_equal(decode_mask(encoded(image.convert(mode))), expected)


def test_an_empty_mask_is_all_false() -> None:
    assert not decode_mask(encoded(Image.new("L", (4, 4)))).any()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 32), st.sampled_from(RESIZE_MODES))
def test_resize_always_gives_a_square_of_the_same_dtype(
    h: int, w: int, size: int, how: str
) -> None:
    assert resize(gradient(h, w), size, how).shape == (size, size, 3)
    mask = resize(np.ones((h, w), bool), size, how)
    assert mask.shape == (size, size)
    assert mask.dtype == bool
    assert mask.all() or how == "pad"


def test_crop_takes_the_middle() -> None:
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 200
    assert (resize(pixels, 10, "crop") == 200).all()


def test_pad_keeps_the_whole_image_and_fills_with_its_mean() -> None:
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, :10] = 100
    square = resize(pixels, 20, "pad")
    np.testing.assert_array_equal(square[5:15], pixels)
    assert (square[:5] == 50).all()
    assert not resize(np.ones((10, 20), bool), 20, "pad")[:5].any()


def test_shrinking_averages() -> None:
    checkers = np.indices((64, 64)).sum(axis=0) % 2 * 255
    pixels = np.repeat(checkers[..., None], 3, axis=2).astype(np.uint8)
    assert np.abs(resize(pixels, 8).astype(int) - 127).max() <= 1


def test_image_and_mask_stay_aligned() -> None:
    mask = np.zeros((40, 70), bool)
    mask[8:24, 20:44] = True
    pixels = np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * 255
    for how in RESIZE_MODES:
        agree = (resize(pixels, 20, how)[..., 0] > 127) == resize(mask, 20, how)
        inside = resize(np.ones_like(mask), 20, how)
        assert agree[inside].mean() > 0.95


def test_an_unknown_mode_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="crop, squash, pad"):
        resize(gradient(), 8, "stretch")


def test_a_decoder_without_memory_says_nothing_of_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sound.png"
    Image.new("RGB", (9, 9)).save(path)

    def refused(self: ImageFile.ImageFile) -> None:
        raise OSError("out of memory when reading image file")  # as Pillow words its error -9

    monkeypatch.setattr(ImageFile.ImageFile, "load", refused)
    with pytest.raises(MemoryError, match="out of memory"):
        decode(path)
