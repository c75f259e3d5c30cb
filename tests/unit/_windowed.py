"""A picture, and whether any window of a file holds the pixels that are wanted."""

import numpy as np

from patchbench.windows import open_windows
from patchbench.windows.tiff import TiffWindows

HEIGHT_PX, WIDTH_PX = 83, 118
TILED = {"tile": (32, 48)}
STRIPS = {"rowsperstrip": 7}


def pixels(*channels: int, dtype=np.uint8, size=(HEIGHT_PX, WIDTH_PX)) -> np.ndarray:
    # smooth enough for JPEG, and different everywhere
    y, x = np.mgrid[: size[0], : size[1]]
    found = np.stack([(3 * y + 2 * x * (c + 1)) % 256 for c in range(*channels or (1,))], axis=-1)
    found = found if channels else found[..., 0]
    return (found * (257 if dtype == np.uint16 else 1)).astype(dtype)


def windows_of(image) -> list[tuple[int, int, int, int]]:
    """Corners, edges, the inside, the whole."""
    full = image.height_px, image.width_px
    return [
        (0, 0, *full),
        (0, 0, 1, 1),
        (full[0] - 1, full[1] - 1, 1, 1),
        (31, 47, 2, 2),
        (5, 40, 70, min(60, full[1] - 40)),
        (full[0] - 20, 3, 20, min(90, full[1] - 3)),
    ]


def check(path, wanted: np.ndarray, of_kind: type, tolerance: int = 0) -> None:
    with open_windows(path) as image:
        assert type(image) is of_kind
        assert (image.height_px, image.width_px, image.n_channels) == wanted.shape
        for y, x, height, width in windows_of(image):
            found = image.read(y, x, height, width)
            assert found.dtype == np.uint8
            expected = wanted[y : y + height, x : x + width]
            assert np.abs(found.astype(int) - expected).max() <= tolerance, (y, x, height, width)


def decoded_by(monkeypatch) -> list[int]:
    """Numbers of the tiles or strips that are decoded from now on."""
    decoded, decode_segment = [], TiffWindows._decode
    monkeypatch.setattr(
        TiffWindows, "_decode", lambda self, i: decoded.append(i) or decode_segment(self, i)
    )
    return decoded
