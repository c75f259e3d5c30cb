"""Decode image files of any common kind to RGB, and bring pixels and masks to a square."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from patchbench import limits
from patchbench.loading import INVERTED, WHITE, load
from patchbench.records import BadImageError

if TYPE_CHECKING:
    from PIL.Image import Image

Box = tuple[int, int, int, int]
"""``y_px, x_px, height_px, width_px`` of a part of an image."""
RESIZE_MODES = ("crop", "squash", "pad")
_BAND_PX = 256


def decode(source: Path | str | bytes, max_megapixels: float | None = None) -> np.ndarray:
    """Read one image as it is meant to be seen.

    The EXIF orientation is applied, transparency is laid on white, and grey, palette, CMYK
    and 16-bit pixels become 8-bit RGB. Of several frames or pages the first counts. Colour
    profiles are ignored, as image classifiers usually do.

    Parameters
    ----------
    source : path or bytes
        A file, or the content of one.
    max_megapixels : float or None
        Larger images are refused before their pixels are decoded; None takes the limit that
        holds (see `limits`).

    Returns
    -------
    pixels : uint8 array, (h, w, 3)
        RGB.

    Raises
    ------
    BadImageError
        If there is no such image, in words.
    """
    return _to_rgb(load(source, max_megapixels, in_colour=True))


def decode_bands(
    source: Path | str, max_megapixels: float = limits.PILLOW_MEGAPIXELS
) -> tuple[int, int, Iterator[np.ndarray]]:
    """Read one large image as :func:`decode` does, converting only a band of rows at a time.

    Returns
    -------
    height_px, width_px : int
        Size of the image.
    bands : iterator of uint8 arrays, (n_rows, width_px, 3)
        From top to bottom. The image itself is decoded already; what no conversion can bring to
        RGB raises `BadImageError` here.
    """
    image = load(source, max_megapixels, in_colour=True)
    width, height = image.size
    bands = (
        _to_rgb(image.crop((0, top, width, min(top + _BAND_PX, height))))
        for top in range(0, height, _BAND_PX)
    )
    return height, width, bands


def decode_mask(source: Path | str | bytes, max_megapixels: float | None = None) -> np.ndarray:
    """Read an object mask: a bool array (h, w), True on the object.

    On the object are the non-zero entries of a palette or one-bit image, and otherwise the
    pixels brighter than half of the brightest: 0/1, 0/255 and JPEG masks all work.
    """
    image = load(source, max_megapixels)
    if image.mode in ("1", "P"):
        return np.asarray(np.asarray(image) != 0)
    values = np.asarray(image if image.mode.startswith(("L", "I", "F")) else image.convert("L"))
    values = values[..., 0] if values.ndim == 3 else values
    return np.asarray(values > values.max() / 2)


def decode_values(source: Path | str | bytes, max_megapixels: float | None = None) -> np.ndarray:
    """Read a picture whose numbers stand for something else than light: (h, w), as stored."""
    values = np.asarray(load(source, max_megapixels))
    if values.ndim != 2:
        raise BadImageError(f"has {values.shape[-1]} channels, not one number a pixel")
    return values


def _to_rgb(image: Image) -> np.ndarray:
    if image.mode.startswith("I"):
        grey, white = np.asarray(image), image.info.get(WHITE, 65535)
        return _from_16_bit(white - grey if INVERTED in image.info else grey, white)
    if image.mode == "F":
        raise BadImageError("has floating-point pixels; save it with 8 or 16 bits per channel")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return on_white(image.convert("RGBA"))
    return np.array(image.convert("RGB"))


def on_white(transparent: Image | np.ndarray, premultiplied: bool = False) -> np.ndarray:
    """Lay an RGBA image, or a uint8 array (h, w, 4), on white: uint8 (h, w, 3).

    ``premultiplied`` says that the colours of an array are multiplied by their opacity already.
    """
    from PIL import Image

    if isinstance(transparent, Image.Image):
        image = transparent
    else:
        size = transparent.shape[1], transparent.shape[0]
        kind = "RGBa" if premultiplied else "RGBA"
        image = Image.frombytes("RGBA", size, transparent.tobytes(), "raw", kind)
    white = Image.new("RGBA", image.size, "white")
    return np.array(Image.alpha_composite(white, image).convert("RGB"))


def _from_16_bit(grey: np.ndarray, white: int) -> np.ndarray:
    if grey.min() < 0 or grey.max() > 65535:
        raise BadImageError("has more than 16 bits per channel; save it with 8 or 16")
    scaled = np.rint(np.minimum(grey, white) / (white / 255)).astype(np.uint8)
    return np.repeat(scaled[..., None], 3, axis=2)


def resize(pixels: np.ndarray, size_px: int, how: str = "crop") -> np.ndarray:
    """Bring an image or a mask to a square.

    Images are shrunk by averaging areas and enlarged by cubic interpolation, axis by axis as
    needed; masks take the nearest value.

    Parameters
    ----------
    pixels : uint8 array (h, w, 3), or bool array (h, w)
        Image or mask.
    size_px : int
        Side of the result.
    how : str
        ``crop``: the middle square; ``squash``: the whole, aspect ratio not kept; ``pad``:
        the whole, aspect ratio kept, the rest filled with the image's mean colour (a mask
        with False).

    Returns
    -------
    square : array, (size_px, size_px, 3) or (size_px, size_px)
        Same dtype as ``pixels``.
    """

    def shrink(box: Box, shape: tuple[int, int]) -> np.ndarray:
        top, left, height, width = box
        return _scale(pixels[top : top + height, left : left + width], *shape)

    return resize_by(shrink, pixels.shape[:2], size_px, how)


def resize_by(
    shrink: Callable[[Box, tuple[int, int]], np.ndarray],
    sides_px: tuple[int, ...],
    size_px: int,
    how: str,
) -> np.ndarray:
    """:func:`resize`, of an image that need not be in memory.

    Parameters
    ----------
    shrink : callable
        From a part of the image, and the height and width that it is to have, each at most its
        own, to its pixels.
    sides_px : pair of int
        Height and width of the image.
    size_px, how
        As for `resize`.
    """
    if how not in RESIZE_MODES:
        raise ValueError(f"resize is {how!r}; choose one of {', '.join(RESIZE_MODES)}")
    height, width = sides_px
    box, shape = (0, 0, height, width), (size_px, size_px)
    if how == "crop":
        side = min(height, width)
        box = ((height - side) // 2, (width - side) // 2, side, side)
    if how == "pad":
        factor = size_px / max(height, width)
        shape = max(1, round(height * factor)), max(1, round(width * factor))
    least = min(shape[0], box[2]), min(shape[1], box[3])
    inner = _scale(shrink(box, least), *shape)
    return _pad(inner, size_px) if how == "pad" else inner


def _scale(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    import cv2

    if pixels.shape[:2] == (height, width):
        return np.ascontiguousarray(pixels)
    if pixels.ndim == 2:
        flat = pixels.astype(np.uint8)
        nearest = cv2.resize(flat, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        return np.asarray(nearest).astype(pixels.dtype)
    small = (min(width, pixels.shape[1]), min(height, pixels.shape[0]))
    shrunk = cv2.resize(np.ascontiguousarray(pixels), small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_CUBIC))


def _pad(inner: np.ndarray, size_px: int) -> np.ndarray:
    height, width = inner.shape[:2]
    top, left = (size_px - height) // 2, (size_px - width) // 2
    square = np.zeros((size_px, size_px, *inner.shape[2:]), inner.dtype)
    if inner.ndim == 3:
        square[:] = np.rint(inner.mean(axis=(0, 1))).astype(inner.dtype)
    square[top : top + height, left : left + width] = inner
    return square
