"""Load an image file with Pillow, upright; what is wrong with it is told in words."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from patchbench import limits, tiffs
from patchbench.memory import is_short
from patchbench.records import BadImageError, TooLargeImageError

if TYPE_CHECKING:
    from PIL.Image import Image

WHITE, INVERTED = "patchbench white", "patchbench inverted"
"""Notes on an image of 16 bits: the value of white, and whether that is 0 instead."""

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262
# Pillow opens more, some of it by starting other programs (EPS by Ghostscript)
_FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000"),
    *("PCX", "PNG", "PPM", "SGI", "TGA", "TIFF", "WEBP"),
)

# What Pillow's readers raise on files that are cut off, mangled or no image at all.
_DECODE_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error),
    *(TypeError, OverflowError, KeyError),  # TIFFs whose numbers are of another kind or too large
)


def load(
    source: Path | str | bytes, max_megapixels: float | None = None, in_colour: bool = False
) -> Image:
    """Read the first frame of a file as it is stored, turned as its EXIF data says.

    Parameters
    ----------
    source : path or bytes
        A file, or the content of one.
    max_megapixels : float or None
        Larger images are refused before their pixels are decoded; None takes the limit that
        holds (see `limits`).
    in_colour : bool
        Refuse a TIFF whose pixels Pillow would take for others than they are.

    Raises
    ------
    BadImageError
        If there is no such image, in words.
    """
    from PIL import Image, UnidentifiedImageError

    most = limits.current().max_image_megapixels if max_megapixels is None else max_megapixels
    try:
        with _opened(source) as content, _quiet():
            refused = tiffs.refused_colours(content) if in_colour else None
            if refused:
                raise BadImageError(refused)
            return _loaded(content, most)
    except FileNotFoundError as error:
        raise BadImageError("no such file") from error
    except IsADirectoryError as error:
        raise BadImageError("a folder; name the images in it") from error
    except UnidentifiedImageError as error:
        raise BadImageError("not an image") from error
    except Image.DecompressionBombError as error:
        raise TooLargeImageError(f"more than {most:g} megapixels") from error
    except _DECODE_ERRORS as error:
        if is_short(error):  # which says nothing of the image
            raise MemoryError(str(error)) from error
        reason = str(error).split("\n")[0] or type(error).__name__
        raise BadImageError(f"cannot be decoded: {reason}") from error


def _loaded(content: IO[bytes], most: float) -> Image:
    from PIL import Image

    with Image.open(content, formats=_FORMATS) as image:
        megapixels = image.width * image.height / 1e6
        if megapixels > most:
            raise TooLargeImageError(f"{megapixels:.0f} megapixels, more than {most:g}")
        _note_white(image)
        image.load()
        return _upright(image)


@contextmanager
def _quiet() -> Iterator[None]:
    """Pillow warns of half of what it refuses, and of damage that is told in words anyway."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def _note_white(image: Image) -> None:
    """Note, for all copies too, how a TIFF stores white where Pillow takes it for 65535."""
    tags = getattr(image, "tag_v2", {})
    if tags.get(_BITS_PER_SAMPLE) == (12,):
        image.info[WHITE] = 2**12 - 1
    if tags.get(_PHOTOMETRIC) == tiffs.WHITE_IS_ZERO and image.mode.startswith("I"):
        image.info[INVERTED] = True


class _Bounded(io.BufferedReader):
    """A file of which no more is read than it has; a damaged one may state any length."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(io.FileIO(path))
        self._end = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1) -> bytes:
        """Read ``size`` bytes, or what is left; no room is made for more."""
        left = max(0, self._end - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def _opened(source: Path | str | bytes) -> IO[bytes]:
    return io.BytesIO(source) if isinstance(source, bytes) else _Bounded(source)


def _upright(image: Image) -> Image:
    from PIL import ExifTags, ImageOps

    try:
        if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
            return image
        return ImageOps.exif_transpose(image)
    except _DECODE_ERRORS:
        return image.copy()  # the pixels are fine, only the EXIF block is broken
