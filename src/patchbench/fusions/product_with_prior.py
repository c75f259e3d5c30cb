"""Product of the patch probabilities over the prior: Bayes' rule for independent patches.

Kittler et al., "On combining classifiers", IEEE TPAMI 20(3), 1998 (the product rule). Computed in
logs. Patches of one image are not independent, so the result is too sure of itself.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import Bags, softmax


@dataclass
class Fusion:
    """Every patch has a veto; priors are the class frequencies of val, none of them 0."""

    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = True
    summary: ClassVar[str] = (
        "product of patch probabilities over the prior to the power (patches minus 1)"
    )
    source: ClassVar[str] = "Kittler et al. 1998"

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Count the classes of these (val) images, each one more than there is."""
        counts = np.bincount(labels, minlength=bags.patch_logits.shape[1]) + 1.0
        self._log_prior = np.log(counts / counts.sum())
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        # logits are log-probabilities up to a number per patch, which the softmax forgets
        votes = bags.sum(bags.patch_logits.astype(np.float64))
        return softmax(votes - (bags.bag_sizes - 1)[:, None] * self._log_prior)

    @property
    def chosen(self) -> dict[str, list[float]]:
        """What was fitted."""
        return {"prior": np.exp(self._log_prior).tolist()}
