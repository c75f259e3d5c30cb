"""Scenes kept on disk, shrunk, recoloured and turned: what benchmarks/highres.py looks at."""

import os
import tempfile
from collections.abc import Callable
from itertools import pairwise, permutations, product

import cv2
import numpy as np

from patchbench.datasets.scenes_highres import Dataset
from patchbench.windows import Windows

SHRUNK_PX = 224
# the ways to put three channels, each as it is or as a negative
RECOLOURINGS = tuple(product(permutations(range(3)), (False, True)))
_BAND_PX, _MOST_KEPT_BYTES = 256, 8 << 30


class KeptScene(Windows):
    """A scene in a file of many, read row by row.

    A memory map would count among the memory of the process what the system keeps of the file.
    """

    def __init__(self, file: int, number: int, side_px: int) -> None:
        self.height_px = self.width_px = side_px
        self.n_channels = 3
        self._file, self._start, self._row_bytes = file, number * 3 * side_px**2, 3 * side_px

    def read(self, y_px: int, x_px: int, height_px: int, width_px: int) -> np.ndarray:
        """Pixels of a window, uint8 (height_px, width_px, 3)."""
        pixels = np.empty((height_px, width_px, 3), np.uint8)
        start = self._start + y_px * self._row_bytes + 3 * x_px
        for row in range(height_px):
            os.preadv(self._file, [pixels[row]], start + row * self._row_bytes)
        return pixels

    def close(self) -> None:
        """Leave the file open for the other scenes."""


class Varied(Windows):
    """An image in other colours, whose windows are turned and mirrored, each image in one way.

    Colours and directions tell nothing here, but a network that sees few images learns them by
    heart. Windows stay where they are; those that are not square are turned by half a turn only.
    """

    def __init__(self, image: Windows, rng: np.random.Generator) -> None:
        self.height_px, self.width_px, self.n_channels = image.height_px, image.width_px, 3
        self._image, self._how = image, int(rng.integers(len(RECOLOURINGS)))
        self._turns, self._mirrored = int(rng.integers(4)), bool(rng.integers(2))

    def read(self, *window: int) -> np.ndarray:
        """Pixels of a window, uint8 (height_px, width_px, 3)."""
        height_px, width_px = window[2:]
        n_turns = self._turns if height_px == width_px else self._turns // 2 * 2
        pixels = np.rot90(recoloured(self._image.read(*window), self._how), n_turns)
        return np.ascontiguousarray(pixels[:, ::-1] if self._mirrored else pixels)

    def close(self) -> None:
        """Close the image."""
        self._image.close()


def recoloured(pixels: np.ndarray, how: int) -> np.ndarray:
    """Pixels (..., 3) in one of ``RECOLOURINGS``."""
    order, negative = RECOLOURINGS[how]
    pixels = pixels[..., list(order)]
    return 255 - pixels if negative else pixels


def copies_of(images: np.ndarray, n_copies: int, rng: np.random.Generator) -> np.ndarray:
    """Each image as often as asked, every time in other colours; copies of an image in a row."""
    hows = [rng.permutation(len(RECOLOURINGS))[:n_copies] for _ in images]
    pairs = zip(images, hows, strict=True)
    return np.stack([recoloured(image, how) for image, drawn in pairs for how in drawn])


def shrunk(image: Windows) -> np.ndarray:
    """The image at 224 px, each pixel the mean of what it covers; read a band at a time."""
    sides = image.height_px, image.width_px
    edges = np.linspace(0, sides[0], SHRUNK_PX + 1).round().astype(int)
    rows = [
        cv2.resize(
            image.read(top, 0, bottom - top, sides[1]).mean(axis=0, dtype=np.float32)[None],
            (SHRUNK_PX, 1),
            interpolation=cv2.INTER_AREA,
        )
        for top, bottom in pairwise(edges)
    ]
    return np.concatenate(rows).round().astype(np.uint8)


def kept(scenes: Dataset) -> Callable[[int], Windows]:
    """Open the scenes: drawn once into a file without a name, or anew each time if it were huge."""
    side_px = scenes.image_size_px
    if 3 * side_px**2 * scenes.n_images > _MOST_KEPT_BYTES:
        return scenes.windows
    with tempfile.TemporaryFile() as opened:
        file = os.dup(opened.fileno())  # open to the end of the process
    with os.fdopen(os.dup(file), "wb") as out:
        for i in range(scenes.n_images):
            with scenes.windows(i) as image:
                for top in range(0, side_px, _BAND_PX):
                    height_px = min(_BAND_PX, side_px - top)
                    out.write(image.read(top, 0, height_px, side_px).tobytes())
    return lambda i: KeptScene(file, i, side_px)
