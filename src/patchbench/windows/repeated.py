"""An image of any size that repeats a small one: it costs a copy to read, and no memory to have."""

import numpy as np

from patchbench.windows.base import Windows


class RepeatedWindows(Windows):
    """Windows of a sheet that is laid side by side as often as it takes.

    Parameters
    ----------
    sheet : uint8 array, (rows, cols, n_channels)
        What is repeated.
    height_px, width_px : int
        Sides of the image.

    Examples
    --------
    >>> sheet = np.array([[[1], [2]]], np.uint8)
    >>> RepeatedWindows(sheet, 9, 9).read(3, 1, 1, 4)[0, :, 0]
    array([2, 1, 2, 1], dtype=uint8)
    """

    def __init__(self, sheet: np.ndarray, height_px: int, width_px: int) -> None:
        self.height_px, self.width_px, self.n_channels = height_px, width_px, sheet.shape[2]
        self._sheet = sheet

    def read(self, y_px: int, x_px: int, height_px: int, width_px: int) -> np.ndarray:
        """Pixels of a window; a copy."""
        rows = np.arange(y_px, y_px + height_px) % len(self._sheet)
        cols = np.arange(x_px, x_px + width_px) % self._sheet.shape[1]
        found: np.ndarray = self._sheet[rows[:, None], cols]
        return found

    def close(self) -> None:
        """Nothing is open."""
