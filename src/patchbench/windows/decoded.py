"""Image files that only decode as a whole: once, into a file mapped into memory."""

import tempfile
from pathlib import Path

import numpy as np

from patchbench.errors import UserError
from patchbench.images import decode_bands
from patchbench.records import BadImageError, TooLargeImageError
from patchbench.windows.base import ArrayWindows, Origin


def opened(origin: Origin, scratch: Path | None) -> ArrayWindows:
    """Decode a file; pixels as `images.decode` gives them.

    Raises
    ------
    UserError
        If it is no image, cut off, too large to decode whole, or there is no room for its pixels.
    """
    path = origin.path
    with tempfile.TemporaryFile(dir=scratch) as file:
        try:
            height_px, width_px, bands = decode_bands(path)
            for band in bands:
                file.write(band.tobytes())
            file.flush()
        except BadImageError as error:
            raise refused(path, error) from error
        except OSError as error:
            raise UserError(
                f"{path}: no room for its pixels in {scratch or tempfile.gettempdir()} "
                f"({error.strerror}); name another folder as scratch"
            ) from error
        # the mapping keeps the file, which has no name any more, until it is let go itself
        pixels = np.memmap(file, np.uint8, "r", shape=(height_px, width_px, 3))
    origin.check()
    return ArrayWindows(pixels, origin)


def refused(path: Path, error: BadImageError) -> UserError:
    """What to say of a file that cannot be decoded as a whole."""
    too_large = isinstance(error, TooLargeImageError)
    way_out = "; save it as tiled TIFF in RGB, which may have any size" if too_large else ""
    return UserError(f"{path}: {error}{way_out}")
