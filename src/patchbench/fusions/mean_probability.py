"""Mean of the patch probabilities: the linear opinion pool, or soft vote.

Stone, "The opinion pool", Ann. Math. Statist. 32(4), 1961; Kittler et al., "On combining
classifiers", IEEE TPAMI 20(3), 1998 (the sum rule).
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import Bags


@dataclass
class Fusion:
    """Average after the softmax: a patch can add at most one vote."""

    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = False
    summary: ClassVar[str] = "mean of patch probabilities (soft vote)"
    source: ClassVar[str] = "Stone 1961; Kittler et al. 1998"

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Nothing to fit."""
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        return bags.mean(bags.probabilities)
