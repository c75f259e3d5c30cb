"""Highest patch probability per class: one convincing patch is enough.

Maron & Ratan, "Multiple-instance learning for natural scene classification", ICML 1998. The
maxima of the classes are scaled to sum to 1.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import Bags, shares


@dataclass
class Fusion:
    """Each class is scored by its best patch."""

    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = False
    summary: ClassVar[str] = "highest patch probability of the class, scaled to sum to 1"
    source: ClassVar[str] = "Maron & Ratan 1998"

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Nothing to fit."""
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        return shares(bags.max(bags.probabilities))
