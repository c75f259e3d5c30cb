"""Mean of the highest patch probabilities of each class: the strongest evidence alone.

Durand, Thome & Cord, "WELDON: weakly supervised learning of deep convolutional neural networks",
CVPR 2016. Between the maximum and the mean; means are scaled to sum to 1.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import Bags, shares


@dataclass
class Fusion:
    """Each class is scored by its own best patches.

    Parameters
    ----------
    share : float
        Share of the patches that count, above 0 to 1; rounded up.
    """

    share: float = 0.2
    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = False
    summary: ClassVar[str] = "mean of the highest fifth of patch probabilities, scaled to sum to 1"
    source: ClassVar[str] = "Durand, Thome & Cord 2016"

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share is {self.share}; give a share above 0, at most 1")

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Nothing to fit."""
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        n_best = np.ceil(self.share * np.repeat(bags.bag_sizes, bags.bag_sizes))
        best = bags.place_in_bag < n_best
        return shares(bags.mean(bags.sorted_probabilities, best.astype(np.float64)))
