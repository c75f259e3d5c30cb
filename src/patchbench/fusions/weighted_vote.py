"""Majority vote whose votes weigh what they proved worth: log-odds of being right.

Kuncheva, "Combining Pattern Classifiers", 2004, for two classes; for more, the odds are against
guessing: Zhu et al., "Multi-class AdaBoost", Statistics and Its Interface 2, 2009. The patches of
an image come from one classifier, so a weight belongs to the class voted for, not to the voter.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import Bags, shares


@dataclass
class Fusion:
    """A vote for a class counts by how often such votes were right on val; at least 0."""

    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = True
    summary: ClassVar[str] = (
        "share of votes for the class, times the log-odds that such votes are right"
    )
    source: ClassVar[str] = "Kuncheva 2004; Zhu et al. 2009"

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Weigh each class by how often votes for it are right on these (val) images."""
        votes, n_classes = bags.votes, bags.patch_logits.shape[1]
        right = np.repeat(labels, bags.bag_sizes)[:, None] == np.arange(n_classes)
        # one vote right and one wrong more than there were, so that the odds are finite
        share = ((votes * right).sum(axis=0) + 1) / (votes.sum(axis=0) + 2)
        self._weights = np.maximum(np.log((n_classes - 1) * share / (1 - share)), 0.0)
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        votes = bags.mean(bags.votes)
        weighted = votes * self._weights
        # where only worthless votes were given, they are all there is
        return shares(np.where(weighted.any(axis=1, keepdims=True), weighted, votes))

    @property
    def chosen(self) -> dict[str, list[float]]:
        """What was fitted."""
        return {"weights": self._weights.tolist()}
