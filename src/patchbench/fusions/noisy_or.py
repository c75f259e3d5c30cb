"""Noisy-OR: a class is there unless every patch is no patch of it.

Maron & Lozano-Perez, "A framework for multiple-instance learning", NIPS 1997. Computed in logs and
scaled to sum to 1. Made for classes that one patch in many shows; where all patches give every
class some probability, all scores come close to 1, and to one another.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import Bags, shares


@dataclass
class Fusion:
    """Each patch may bring a class about, independently of the others."""

    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = False
    summary: ClassVar[str] = (
        "1 minus the product of (1 minus patch probability), scaled to sum to 1"
    )
    source: ClassVar[str] = "Maron & Lozano-Perez 1997"

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Nothing to fit."""
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        with np.errstate(divide="ignore"):  # a patch that is certain: the logarithm of 0
            none = bags.sum(np.log1p(-np.minimum(bags.probabilities, 1.0)))
        return shares(-np.expm1(none))
