"""Open an image file as a pipeline is to see it."""

from pathlib import Path

from patchbench.errors import UserError
from patchbench.images import decode, resize
from patchbench.records import BadImageError, Preparation
from patchbench.windows import ArrayWindows, Windows, open_windows


def prepared(path: Path, how: Preparation) -> ArrayWindows:
    """Decode an image and bring it to the size of a dataset's images, as these were.

    Raises
    ------
    UserError
        If it cannot be decoded, or is too small or too large for that.
    """
    try:
        pixels = decode(path, how.max_image_megapixels)
    except BadImageError as error:
        way_out = "; --full-size reads it by windows" if "megapixels" in str(error) else ""
        raise UserError(f"{path}: {error}{way_out}") from error
    height, width = pixels.shape[:2]
    if min(height, width) < how.min_source_px:
        raise UserError(
            f"{path}: {width} x {height} px is smaller than min_source_px {how.min_source_px} of "
            "the dataset"
        )
    return ArrayWindows(resize(pixels, how.image_size_px, how.resize))


def at_full_size(path: Path, scratch: Path | None = None) -> Windows:
    """Open an image to be read by windows; see :func:`patchbench.windows.open_windows`.

    Raises
    ------
    UserError
        If it cannot be read, or has other channels than RGB.
    """
    try:
        windows = open_windows(path, scratch)
    except OSError as error:
        raise UserError(
            f"{path}: there is no room for its pixels ({error.strerror}); name another folder with "
            "--scratch"
        ) from error
    if windows.n_channels != 3:
        windows.close()
        raise UserError(f"{path} has {windows.n_channels} bands; choose three of them as RGB")
    return windows
