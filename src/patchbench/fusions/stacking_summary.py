"""Logistic regression on a summary of the patch probabilities of an image.

Wolpert, "Stacked generalization", Neural Networks 5(2), 1992. Of each class: mean, standard
deviation, quartiles and maximum of its probabilities, and the share of votes. It is learned on val,
which no patch classifier was fitted on.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patchbench.bags import Bags
from patchbench.fusions._stacking import Stack

_QUARTILES = (0.25, 0.5, 0.75)


@dataclass
class Fusion(Stack):
    """How votes are spread tells more than their mean."""

    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = True
    summary: ClassVar[str] = "logistic regression on moments, quartiles and votes of the patches"
    source: ClassVar[str] = "Wolpert 1992"

    def _features(self, bags: Bags) -> np.ndarray:
        """Summary of each image: float64 (n_images, 7 * n_classes)."""
        p, ranked = bags.probabilities, bags.sorted_probabilities
        mean = bags.mean(p)
        spread = np.sqrt(np.maximum(bags.mean(p**2) - mean**2, 0.0))
        starts = np.cumsum(bags.bag_sizes) - bags.bag_sizes
        places = [starts + np.rint(q * (bags.bag_sizes - 1)).astype(int) for q in _QUARTILES]
        parts = [mean, spread, bags.max(p), bags.mean(bags.votes), *(ranked[at] for at in places)]
        return np.concatenate(parts, axis=1)
