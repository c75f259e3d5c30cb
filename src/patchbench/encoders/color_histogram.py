"""Colour histogram of a patch: a control that knows colours and no shape.

Swain & Ballard, "Color indexing", IJCV 1991. What a method adds to it, it has from structure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from patchbench import tables
from patchbench.checks import check_counts
from patchbench.patchset import checked

if TYPE_CHECKING:
    import pandas as pd

    from patchbench.patchset import TrainingData

_BATCH_PATCHES = 1024
_N_VALUES = 256


@dataclass(kw_only=True)
class Encoder:
    """Joint histogram of red, green and blue.

    Parameters
    ----------
    patch_size_px : int
        Side of the patches.
    bins : int
        Bins per colour, 1 to 256; an embedding has their cube.
    root : bool
        Take the square root of each share, so that distances are Hellinger's.
    """

    patch_size_px: int
    bins: int = 6
    root: bool = True
    seed: int = 0
    device: str = "cpu"
    threads: int = 1

    supervised: ClassVar[bool] = False
    trained: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False
    control: ClassVar[bool] = True
    summary: ClassVar[str] = "Shares of colours in a patch, places forgotten."
    source: ClassVar[str] = "Swain & Ballard, IJCV 1991"

    def __post_init__(self) -> None:
        check_counts(patch_size_px=self.patch_size_px, bins=self.bins)
        if self.bins > _N_VALUES:
            raise ValueError(f"bins is {self.bins}; a colour has only {_N_VALUES} values")
        self.device = "cpu"

    @property
    def receptive_field_px(self) -> int:
        """Side of what an embedding sees: the whole patch."""
        return self.patch_size_px

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.bins**3

    def fit(self, data: "TrainingData") -> "pd.DataFrame":
        """Do nothing: there is nothing to learn; the history is empty."""
        return tables.empty("history")

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Uint8 (n, patch_size_px, patch_size_px, 3) to float32 (n, dim)."""
        pixels = checked(pixels, self.patch_size_px)
        counts = np.empty((len(pixels), self.dim), np.float32)
        for start in range(0, len(pixels), _BATCH_PATCHES):
            batch = pixels[start : start + _BATCH_PATCHES]
            level = batch.reshape(len(batch), -1, 3).astype(np.int64) * self.bins // _N_VALUES
            cell = (level[..., 0] * self.bins + level[..., 1]) * self.bins + level[..., 2]
            cell += self.dim * np.arange(len(batch))[:, None]
            found = np.bincount(cell.ravel(), minlength=len(batch) * self.dim)
            counts[start : start + len(batch)] = found.reshape(len(batch), self.dim)
        shares = counts / np.float32(self.patch_size_px**2)
        return np.sqrt(shares) if self.root else shares

    def state(self) -> dict[str, np.ndarray]:
        """Nothing: all is in the settings."""
        return {}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Do nothing; see :meth:`state`."""
