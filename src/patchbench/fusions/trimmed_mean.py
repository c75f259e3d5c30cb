"""Mean of the patch probabilities without the highest and the lowest of each class.

Tukey, "The future of data analysis", Ann. Math. Statist. 33(1), 1962, for estimating a location;
as a way to combine classifiers: Kuncheva, "Combining Pattern Classifiers", 2004.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import Bags, shares


@dataclass
class Fusion:
    """Between the mean and the median.

    Parameters
    ----------
    trim : float
        Share of the patches left out at either end, from 0 to below 0.5; rounded down.
    """

    trim: float = 0.2
    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = False
    summary: ClassVar[str] = "mean patch probability without the outer fifths, scaled to sum to 1"
    source: ClassVar[str] = "Tukey 1962; Kuncheva 2004"

    def __post_init__(self) -> None:
        if not 0 <= self.trim < 0.5:
            raise ValueError(f"trim is {self.trim}; give a share from 0 to below 0.5")

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Nothing to fit."""
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        sizes = np.repeat(bags.bag_sizes, bags.bag_sizes)
        n_trimmed = np.floor(self.trim * sizes)
        place = bags.place_in_bag
        inside = (place >= n_trimmed) & (place < sizes - n_trimmed)
        return shares(bags.mean(bags.sorted_probabilities, inside.astype(np.float64)))
