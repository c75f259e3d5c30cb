"""Mean of the patch logits, softmax after: evidence adds up linearly, as in BagNet.

Brendel & Bethge, "Approximating CNNs with Bag-of-local-Features models works surprisingly
well on ImageNet", ICLR 2019, arXiv:1904.00760. The average is taken before the softmax, so
the image's logit splits exactly into parts, one per patch. Up to normalisation it equals the
logarithmic opinion pool with equal weights.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import Bags, softmax


@dataclass
class Fusion:
    """Average before the softmax: a confident patch can outweigh many doubtful ones."""

    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = False
    summary: ClassVar[str] = "softmax of the mean patch logit"
    source: ClassVar[str] = "Brendel & Bethge 2019"

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Nothing to fit."""
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        return softmax(bags.mean(bags.patch_logits.astype(np.float64)))
