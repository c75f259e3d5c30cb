"""What a TIFF says of its pixels, asked of its first page before any of them is decoded."""

from __future__ import annotations

import struct
import zlib
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from tifffile import TiffPage

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# PhotometricInterpretation
WHITE_IS_ZERO, GREY, RGB, YCBCR = 0, 1, 2, 6
_KINDS = ("bool", "uint8", "uint16")


def damages() -> tuple[type[Exception], ...]:
    """What tifffile raises on files that are cut off, mangled or no TIFF at all."""
    from tifffile import TiffFileError

    return (
        *(TiffFileError, NotImplementedError, RuntimeError, ValueError, IndexError, KeyError),
        *(TypeError, OSError, struct.error, zlib.error),
    )


def refused_kind(page: TiffPage) -> str | None:
    """Why pixels of this type cannot become 8 bits per channel; None where they can."""
    kind = str(page.dtype or f"{page.bitspersample} bit")
    if kind in _KINDS:
        return None
    return f"has pixels of type {kind}; save it with 8 or 16 bits per channel"


def refused_colours(content: IO[bytes]) -> str | None:
    """Why a file cannot become RGB, if it is a TIFF whose first page says so.

    Where Pillow does not know a type it takes the file for no image, or its numbers for others.
    What cannot even be asked is left to it, as is any other file.
    """
    if content.read(4) not in MAGIC:
        content.seek(0)
        return None
    import tifffile

    content.seek(0)
    try:
        with tifffile.TiffFile(content) as file:
            page = file.pages.first
            found, n_channels = refused_kind(page), page.samplesperpixel
            if found is None and page.photometric in (WHITE_IS_ZERO, GREY) and n_channels > 2:
                found = f"has {n_channels} bands; save three of them as RGB"
            return found
    except damages():
        return None
    finally:
        content.seek(0)
