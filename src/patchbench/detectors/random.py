"""The control that a detector must beat: drop as many patches, whichever they are."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patchbench.noise import PatchView
from patchbench.seeds import derive


@dataclass(kw_only=True)
class Detector:
    """Scores drawn at random."""

    seed: int = 0
    threads: int = 1

    uses: ClassVar[str] = "nothing"
    uses_labels: ClassVar[bool] = False
    control: ClassVar[bool] = True
    summary: ClassVar[str] = "picked at random"
    source: ClassVar[str] = "none"

    def fit(self, train: PatchView) -> None:
        """Nothing is learned."""
        self._rng = np.random.default_rng(derive(self.seed, "detector", "random"))

    def score(self, patches: PatchView) -> np.ndarray:
        """Uniform between 0 and 1: float64 (n_patches,)."""
        return self._rng.random(len(patches))
