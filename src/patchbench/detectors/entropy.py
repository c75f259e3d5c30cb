"""A patch on which the classifier cannot decide tells little about any class."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patchbench.noise import PatchView


@dataclass(kw_only=True)
class Detector:
    """Noisier the more even the class probabilities of the patch."""

    seed: int = 0
    threads: int = 1

    uses: ClassVar[str] = "probabilities"
    uses_labels: ClassVar[bool] = False
    control: ClassVar[bool] = False
    summary: ClassVar[str] = "undecided: high entropy of the out-of-fold prediction"
    source: ClassVar[str] = "Shannon 1948; used as in self-training"

    def fit(self, train: PatchView) -> None:
        """Nothing is learned beyond the probabilities."""

    def score(self, patches: PatchView) -> np.ndarray:
        """Entropy of the probabilities, nats: float64 (n_patches,)."""
        if patches.probabilities is None:
            raise ValueError("entropy needs probabilities, but none were handed over")
        p = np.clip(patches.probabilities.astype(np.float64), 1e-12, 1)
        return -(p * np.log(p)).sum(axis=1)
