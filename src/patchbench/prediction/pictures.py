"""Open an image file as a pipeline is to see it."""

from functools import partial
from pathlib import Path

from patchbench.errors import UserError
from patchbench.images import decode, resize, resize_by
from patchbench.records import BadImageError, Preparation
from patchbench.windows import ArrayWindows, Windows, open_tiff, open_windows
from patchbench.windows.decoded import refused
from patchbench.windows.shrinking import shrunk


def prepared(path: Path, how: Preparation) -> ArrayWindows:
    """Bring an image to the size of a dataset's images, as these were.

    It is decoded whole, up to their limit of megapixels. A larger TIFF is shrunk window by window,
    so that memory does not grow with its pixels; what comes out differs by the rounding of means,
    at most 1 of 255, or 2 along a side that is enlarged. So is one of bands that only windows know.

    Raises
    ------
    UserError
        If it cannot be decoded, or is too small or too large for that.
    """
    windows, refusal = _opened(path)
    try:
        pixels = decode(path, how.max_image_megapixels)
    except BadImageError as error:
        if windows is None:
            raise (refusal or refused(path, error)) from error
        return _by_windows(windows, path, how)
    finally:
        if windows is not None:
            windows.close()
    _check_size(path, pixels.shape[:2], how)
    return ArrayWindows(resize(pixels, how.image_size_px, how.resize))


def _opened(path: Path) -> tuple[Windows | None, UserError | None]:
    """A TIFF's windows, or why it has none: what cannot be read is told in the same words."""
    try:
        return open_tiff(path), None
    except UserError as error:
        return None, error


def _by_windows(windows: Windows, path: Path, how: Preparation) -> ArrayWindows:
    sides_px = _in_colour(windows, path).height_px, windows.width_px
    _check_size(path, sides_px, how)
    return ArrayWindows(
        resize_by(partial(shrunk, windows), sides_px, how.image_size_px, how.resize)
    )


def _check_size(path: Path, sides_px: tuple[int, ...], how: Preparation) -> None:
    if min(sides_px) < how.min_source_px:
        raise UserError(
            f"{path}: {sides_px[1]} x {sides_px[0]} px is smaller than min_source_px "
            f"{how.min_source_px} of the dataset"
        )


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
    return _in_colour(windows, path)


def _in_colour(windows: Windows, path: Path) -> Windows:
    if windows.n_channels != 3:
        windows.close()
        raise UserError(f"{path} has {windows.n_channels} bands; save three of them as RGB")
    return windows
