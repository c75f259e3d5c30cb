"""Mean of the patch probabilities, weighted by each patch's highest one.

Patches that hesitate count less; cf. Kuncheva, "Combining Pattern Classifiers", 2004, on weights by
confidence.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import Bags


@dataclass
class Fusion:
    """Sure patches weigh more."""

    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = False
    summary: ClassVar[str] = "mean probability weighted by the highest of the patch"
    source: ClassVar[str] = "Kuncheva 2004"

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Nothing to fit."""
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        return bags.mean(bags.probabilities, bags.probabilities.max(axis=1))
