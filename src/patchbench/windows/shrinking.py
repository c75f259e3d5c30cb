"""Shrink a part of an image of any size by averaging areas, window by window."""

import numpy as np

from patchbench.windows.base import Windows

# side of what is in memory at once, with a few copies
_WINDOW_PX = 1024


def shrunk(windows: Windows, box: tuple[int, int, int, int], shape: tuple[int, int]) -> np.ndarray:
    """Pixels of a part of an image, each the mean of the area that it stands for.

    Parameters
    ----------
    windows : Windows
        The image.
    box : tuple of int
        ``y_px, x_px, height_px, width_px`` of the part.
    shape : pair of int
        Height and width of the result, at most those of the part.

    Returns
    -------
    pixels : uint8 array, (*shape, n_channels)
        As OpenCV averages areas of the whole part, but for rounding: within 1 of 255.
    """
    top, left, *sides_px = box
    found = np.zeros((*shape, windows.n_channels))
    for y in range(0, sides_px[0], _WINDOW_PX):
        height = min(_WINDOW_PX, sides_px[0] - y)
        rows, down = _shares(y, height, sides_px[0], shape[0])
        for x in range(0, sides_px[1], _WINDOW_PX):
            width = min(_WINDOW_PX, sides_px[1] - x)
            cols, along = _shares(x, width, sides_px[1], shape[1])
            pixels = windows.read(top + y, left + x, height, width)
            lower = down @ pixels.reshape(height, -1).astype(np.float64)
            found[rows, cols] += along @ lower.reshape(len(down), width, -1)
    return np.rint(found).astype(np.uint8)


def _shares(start: int, n_px: int, side_px: int, n: int) -> tuple[slice, np.ndarray]:
    """Of ``n`` equal parts of a side, those that some px lie in, and how far each px fills them.

    >>> _shares(0, 2, 3, 2)
    (slice(0, 2, None), array([[0.66666667, 0.33333333],
           [0.        , 0.33333333]]))
    """
    parts = slice(start * n // side_px, -(-(start + n_px) * n // side_px))
    edges = np.arange(parts.start, parts.stop + 1) * (side_px / n)
    starts = np.arange(start, start + n_px)
    ends = np.minimum(edges[1:, None], starts + 1)
    filled = np.clip(ends - np.maximum(edges[:-1, None], starts), 0, None)
    return parts, filled * (n / side_px)
