"""Random projection of the pixels: a control that has learned nothing and designed nothing.

Distances between patches survive a Gaussian projection (Johnson & Lindenstrauss, 1984), so
this is what raw pixels are worth. An encoder that does not beat it has no reason to be run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from patchbench import tables
from patchbench.networks.settings import check_counts
from patchbench.seeds import derive

if TYPE_CHECKING:
    import pandas as pd

    from patchbench.patchset import TrainingData

_BATCH_PATCHES = 256
_GREY = 128
# Weights are whole multiples of this, so every sum below is exact in float64 and a patch's
# embedding has the same bits in whatever order and company it is computed.
_WEIGHT_UNIT = 2.0**-20


@dataclass(kw_only=True)
class Encoder:
    """Gaussian random projection of the centred pixels.

    Parameters
    ----------
    patch_size_px : int
        Side of the patches.
    dim : int
        Length of an embedding.
    """

    patch_size_px: int
    dim: int = 64
    seed: int = 0
    device: str = "cpu"
    threads: int = 1

    supervised: ClassVar[bool] = False
    trained: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False
    control: ClassVar[bool] = True
    summary: ClassVar[str] = "Gaussian random projection of the pixels; nothing is learned."
    source: ClassVar[str] = "Johnson & Lindenstrauss, Contemporary Mathematics 26, 1984"

    def __post_init__(self) -> None:
        check_counts(patch_size_px=self.patch_size_px, dim=self.dim)
        self.device = "cpu"

    @property
    def receptive_field_px(self) -> int:
        """Side of what an embedding sees: the whole patch."""
        return self.patch_size_px

    def fit(self, data: "TrainingData") -> "pd.DataFrame":
        """Draw the projection; nothing is learned, the history is empty."""
        rng = np.random.default_rng(derive(self.seed, "encoder", "random_projection"))
        n_values = 3 * self.patch_size_px**2
        weights = rng.normal(size=(n_values, self.dim)) / (255 * np.sqrt(self.dim))
        self._projection = np.round(weights / _WEIGHT_UNIT) * _WEIGHT_UNIT
        return tables.empty("history")

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Uint8 (n, patch_size_px, patch_size_px, 3) to float32 (n, dim)."""
        embeddings = np.empty((len(pixels), self.dim), np.float32)
        for start in range(0, len(pixels), _BATCH_PATCHES):
            rows = slice(start, start + _BATCH_PATCHES)
            values = pixels[rows].reshape(len(pixels[rows]), -1).astype(np.float64) - _GREY
            embeddings[rows] = values @ self._projection
        return embeddings

    def state(self) -> dict[str, np.ndarray]:
        """Give the projection, float64 (3 * patch_size_px ** 2, dim)."""
        return {"projection": self._projection}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take back what :meth:`state` gave."""
        self._projection = state["projection"]
