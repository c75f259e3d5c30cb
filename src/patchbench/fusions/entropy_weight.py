"""Mean of the patch probabilities, weighted by how far each patch is from guessing.

The weight is 1 minus the entropy over that of equal probabilities (Shannon, "A mathematical theory
of communication", 1948): 1 for a patch that is certain, 0 for one that knows nothing.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy.special import entr

from patchbench.bags import Bags


@dataclass
class Fusion:
    """Patches that know nothing are not asked."""

    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = False
    summary: ClassVar[str] = "mean probability weighted by 1 minus the entropy"
    source: ClassVar[str] = "Shannon 1948"

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Nothing to fit."""
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        entropy = entr(bags.probabilities).sum(axis=1) / np.log(bags.patch_logits.shape[1])
        # rounding may leave a patch that knows nothing a hair below 0
        return bags.mean(bags.probabilities, np.maximum(1 - entropy, 0.0))
