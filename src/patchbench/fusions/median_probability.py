"""Median of the patch probabilities, class by class: half of the patches may be wrong.

Kittler et al., "On combining classifiers", IEEE TPAMI 20(3), 1998 (the median rule). Of an even
number of patches it is the mean of the two in the middle. Medians are scaled to sum to 1.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import Bags, shares


@dataclass
class Fusion:
    """A few patches that are far off change nothing."""

    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = False
    summary: ClassVar[str] = "median patch probability, scaled to sum to 1"
    source: ClassVar[str] = "Kittler et al. 1998"

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Nothing to fit."""
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        starts = np.cumsum(bags.bag_sizes) - bags.bag_sizes
        upper, lower = starts + (bags.bag_sizes - 1) // 2, starts + bags.bag_sizes // 2
        ranked = bags.sorted_probabilities
        return shares((ranked[upper] + ranked[lower]) / 2)
