"""Mean of the patch probabilities, weighted by a cone around the image centre.

The weight falls evenly from 1 in the middle to 0 in the corners: the centre bias of photographs
(Judd et al., "Learning to predict where humans look", ICCV 2009) with nothing to choose.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import Bags


@dataclass
class Fusion:
    """Patches near the centre weigh more."""

    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = False
    uses_position: ClassVar[bool] = True
    fitted: ClassVar[bool] = False
    summary: ClassVar[str] = "mean probability weighted by 1 minus the distance from the centre"
    source: ClassVar[str] = "centre bias: Judd et al. 2009"

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Nothing to fit."""
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        distance = np.sqrt((bags.centers**2).sum(axis=1) / 2)
        return bags.mean(bags.probabilities, np.maximum(1 - distance, 0.0))
