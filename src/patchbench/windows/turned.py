"""An image that is stored mirrored or on its side, read upright."""

import numpy as np

from patchbench.windows.base import Windows

# by the number that TIFF and EXIF give it: whether rows, and columns, are stored from the other
# end, and whether rows are stored as columns
_STORED = {
    2: (False, True, False),
    3: (True, True, False),
    4: (True, False, False),
    5: (False, False, True),
    6: (True, False, True),
    7: (True, True, True),
    8: (False, True, True),
}


def upright(stored: Windows, orientation: int) -> Windows:
    """Windows of an image as it is meant to be seen; what is no orientation counts as upright."""
    if orientation not in _STORED:
        return stored
    return TurnedWindows(stored, *_STORED[orientation])


class TurnedWindows(Windows):
    """Windows of an image that is stored otherwise than it is meant to be seen.

    Parameters
    ----------
    stored : Windows
        Closed with these.
    upside_down, mirrored : bool
        Whether rows, and columns, are stored from the other end.
    on_its_side : bool
        Whether, after that, rows are columns.

    Examples
    --------
    >>> from patchbench.windows.base import ArrayWindows
    >>> stored = ArrayWindows(np.array([[[1], [2]], [[3], [4]]], np.uint8))
    >>> TurnedWindows(stored, True, False, True).read(0, 0, 1, 2)[..., 0]
    array([[3, 1]], dtype=uint8)
    """

    def __init__(
        self, stored: Windows, upside_down: bool, mirrored: bool, on_its_side: bool
    ) -> None:
        self._stored, self._on_its_side = stored, on_its_side
        self._upside_down, self._mirrored = upside_down, mirrored
        sides = stored.height_px, stored.width_px
        self.height_px, self.width_px = sides[::-1] if on_its_side else sides
        self.n_channels = stored.n_channels

    def read(self, y_px: int, x_px: int, height_px: int, width_px: int) -> np.ndarray:
        """Pixels of a window, uint8 (height_px, width_px, n_channels)."""
        y, x, height, width = y_px, x_px, height_px, width_px
        if self._on_its_side:
            y, x, height, width = x, y, width, height
        if self._upside_down:
            y = self._stored.height_px - y - height
        if self._mirrored:
            x = self._stored.width_px - x - width
        found = self._stored.read(y, x, height, width)
        found = found[:: -1 if self._upside_down else 1, :: -1 if self._mirrored else 1]
        return np.ascontiguousarray(found.swapaxes(0, 1) if self._on_its_side else found)

    def close(self) -> None:
        """Close what is stored."""
        self._stored.close()
