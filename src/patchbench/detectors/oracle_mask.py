"""The control that no detector can beat at its own game: the true object masks."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patchbench.noise import PatchView


@dataclass(kw_only=True)
class Detector:
    """Noisier the less of the patch is object."""

    seed: int = 0
    threads: int = 1

    uses: ClassVar[str] = "masks"
    uses_labels: ClassVar[bool] = False
    control: ClassVar[bool] = True
    summary: ClassVar[str] = "outside the true object mask"
    source: ClassVar[str] = "none"

    def fit(self, train: PatchView) -> None:
        """Nothing is learned."""

    def score(self, patches: PatchView) -> np.ndarray:
        """Minus the share of the patch inside the mask: float64 (n_patches,)."""
        if patches.foreground is None:
            raise ValueError("oracle_mask needs object masks, but the dataset has none")
        return -patches.foreground.astype(np.float64)
