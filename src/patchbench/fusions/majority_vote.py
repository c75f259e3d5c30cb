"""Majority vote: each patch names one class, the share of votes is the score.

Lam & Suen, "Application of majority voting to pattern recognition", IEEE Trans. SMC-A 27(5),
1997. The share is kept as the score, so that a ranking (and an AUC) exists. A patch whose
highest logit is shared by several classes splits its vote between them.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import Bags


@dataclass
class Fusion:
    """Share of the patches that name each class."""

    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = False
    summary: ClassVar[str] = "share of patches that name the class"
    source: ClassVar[str] = "Lam & Suen 1997"

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Nothing to fit."""
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        return bags.mean(bags.votes)
