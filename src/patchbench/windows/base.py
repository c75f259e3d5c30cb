"""What is read by windows: the interface, arrays, and a file that must stay as it is."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

import numpy as np

from patchbench.errors import UserError


class Origin:
    """A file as it was when it was opened.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    UserError
        If it cannot be looked at, or is a folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._seen = self._look()
        except OSError as error:
            raise UserError(f"{path}: {_reason(error)}; check the name of the image") from error
        if path.is_dir():
            raise UserError(f"{path}: a folder; name the images in it")

    def _look(self) -> tuple[int, int, int, int]:
        found = self.path.stat()
        # programs may set the time of the last change of a file's content back, but not the other
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def check(self) -> None:
        """Raise a `UserError` if the file is another one by now."""
        try:
            same = self._look() == self._seen
        except OSError:
            same = False
        if not same:
            raise UserError(
                f"{self.path} was changed or removed while it was being read; leave it alone and "
                "start again"
            )


def _reason(error: OSError) -> str:
    return "no such file" if isinstance(error, FileNotFoundError) else os.strerror(error.errno or 0)


class Windows(ABC):
    """An image of which any window can be read.

    Attributes
    ----------
    height_px, width_px, n_channels : int
        Its size.
    """

    height_px: int
    width_px: int
    n_channels: int

    @abstractmethod
    def read(self, y_px: int, x_px: int, height_px: int, width_px: int) -> np.ndarray:
        """Pixels of a window inside the image: uint8 (height_px, width_px, n_channels).

        Raises
        ------
        UserError
            If the file behind it has changed, or is damaged there.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class ArrayWindows(Windows):
    """Windows of an array, which may be mapped into memory.

    Parameters
    ----------
    pixels : uint8 array, (height_px, width_px, n_channels)
        The image.
    origin : Origin or None
        The file it was decoded from.

    Raises
    ------
    UserError
        If the array is of another type or shape.
    """

    def __init__(self, pixels: np.ndarray, origin: Origin | None = None) -> None:
        if pixels.dtype != np.uint8:
            raise UserError(
                f"the image has pixels of type {pixels.dtype}; give uint8, from 0 to 255, or a "
                "scaled tensor"
            )
        if pixels.ndim != 3:
            raise UserError(
                f"the image is an array of shape {pixels.shape}; give (height, width, channels)"
            )
        self.height_px, self.width_px, self.n_channels = pixels.shape
        self._pixels, self._origin = pixels, origin

    def read(self, y_px: int, x_px: int, height_px: int, width_px: int) -> np.ndarray:
        """Pixels of a window; a view."""
        if self._origin is not None:
            self._origin.check()
        return self._pixels[y_px : y_px + height_px, x_px : x_px + width_px]

    def close(self) -> None:
        """Let go of the array."""
        self._pixels = np.empty((0, 0, self.n_channels), np.uint8)
