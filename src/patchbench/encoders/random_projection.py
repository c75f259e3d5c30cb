"""Random projection of the pixels: a control that has learned nothing and designed nothing.

Distances between patches survive a Gaussian projection (Johnson & Lindenstrauss, 1984), so
this is what raw pixels are worth. An encoder that does not beat it has no reason to be run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from patchbench import tables
from patchbench.checks import check_counts
from patchbench.encoders._projection import exact, project
from patchbench.seeds import derive

if TYPE_CHECKING:
    import pandas as pd

    from patchbench.patchset import TrainingData


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
        self._projection = exact(weights)
        return tables.empty("history")

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Uint8 (n, patch_size_px, patch_size_px, 3) to float32 (n, dim)."""
        return project(pixels, self._projection)

    def state(self) -> dict[str, np.ndarray]:
        """Give the projection, float64 (3 * patch_size_px ** 2, dim)."""
        return {"projection": self._projection}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take back what :meth:`state` gave."""
        self._projection = state["projection"]
