"""Images of any size, read window by window: arrays, ordinary files, TIFF by its tiles."""

from pathlib import Path

from patchbench.windows import decoded, tiff
from patchbench.windows.base import ArrayWindows, Origin, Windows

__all__ = ["ArrayWindows", "Windows", "open_tiff", "open_windows"]


def open_windows(path: Path | str, scratch: Path | None = None) -> Windows:
    """Open an image file to be read by windows.

    A TIFF or BigTIFF is read tile by tile, or strip by strip, as its windows need them. Any other
    file, and a TIFF of a kind that Pillow alone knows (palette, CMYK, less than 8 bits), is decoded
    once into a file that is mapped into memory and gone when it is closed: up to 178 megapixels.

    Parameters
    ----------
    path : path
        The image; of several pages the first counts.
    scratch : path or None
        Folder for the decoded pixels, three bytes each; by default the system's temporary one.

    Returns
    -------
    windows : Windows
        To be closed; a context manager.

    Raises
    ------
    UserError
        If the file is missing, cut off, no image, of an unknown pixel type, or too large to be
        decoded whole where it has to be.
    """
    return open_tiff(path) or decoded.opened(Origin(Path(path)), scratch)


def open_tiff(path: Path | str) -> Windows | None:
    """Open a TIFF to be read tile by tile; None if it, or any other file, only decodes as a whole.

    Raises
    ------
    UserError
        As `open_windows`.
    """
    origin = Origin(Path(path))
    return tiff.opened(origin) if tiff.is_tiff(origin.path) else None
