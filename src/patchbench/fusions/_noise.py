"""Patches weigh the more, the cleaner a detector finds them."""

from typing import Self

import numpy as np

from patchbench.bags import Bags
from patchbench.errors import UserError


class WeighedByNoise:
    """Mean of the patch probabilities, weighed by place in the order from noisy to clean.

    Weights are ranks within the image, since scores of different images have no common unit: of
    *n* patches the cleanest weighs 1 - 1/2n, the noisiest 1/2n; equal scores weigh alike.
    Subclasses have ``detector``, the detector's entry.
    """

    detector: str

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Nothing is learned."""
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        if self.detector not in bags.noise:
            raise UserError(
                f"there are no scores of the detector {self.detector!r}, only of "
                f"{', '.join(bags.noise) or 'none'}; add it to benchmark.detectors"
            )
        rank = bags.rank_in_bag(bags.noise[self.detector]) + 0.5
        return bags.mean(bags.probabilities, 1 - rank / np.repeat(bags.bag_sizes, bags.bag_sizes))
