"""Project pixels onto fixed directions, to the same bytes whatever stands beside a patch."""

import numpy as np

from patchbench.patchset import checked

_BATCH_PATCHES = 1024
_GREY = 128
# Weights on a coarse binary grid times whole numbers from -128 to 127 sum without rounding in
# float64, so the order in which a library sums, which depends on the batch, does not matter.
_WEIGHT_UNIT = 2.0**-28


def exact(weights: np.ndarray) -> np.ndarray:
    """Round weights, well below 1 in size, such that :func:`project` sums them exactly."""
    rounded: np.ndarray = np.round(weights / _WEIGHT_UNIT) * _WEIGHT_UNIT
    return rounded


def centred(pixels: np.ndarray) -> np.ndarray:
    """Uint8 patches as float64 rows around grey, (n, 3 * side ** 2)."""
    return pixels.reshape(len(pixels), -1).astype(np.float64) - _GREY


def project(
    pixels: np.ndarray, weights: np.ndarray, offset: np.ndarray | float = 0.0
) -> np.ndarray:
    """Project patches onto directions.

    Parameters
    ----------
    pixels : uint8 array, (n, side, side, 3)
        Patches.
    weights : float64 array, (3 * side ** 2, dim)
        From :func:`exact`.
    offset : float64 array, (dim,), or float
        Taken away from the result.

    Returns
    -------
    values : float32 array, (n, dim)
    """
    pixels = checked(pixels, round((len(weights) / 3) ** 0.5))
    values = np.empty((len(pixels), weights.shape[1]), np.float32)
    for start in range(0, len(pixels), _BATCH_PATCHES):
        rows = slice(start, start + _BATCH_PATCHES)
        values[rows] = centred(pixels[rows]) @ weights - offset
    return values
