"""Logistic regression on a summary of the patch probabilities of an image.

Wolpert, "Stacked generalization", Neural Networks 5(2), 1992. Of each class: mean, standard
deviation, quartiles and maximum of its probabilities, and the share of votes. It is learned on val,
which no patch classifier was fitted on.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from patchbench.bags import Bags
from patchbench.fusions._stacking import fit_stack, refuse_missing_classes

_QUARTILES = (0.25, 0.5, 0.75)


@dataclass
class Fusion:
    """How votes are spread tells more than their mean."""

    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = True
    summary: ClassVar[str] = "logistic regression on moments, quartiles and votes of the patches"
    source: ClassVar[str] = "Wolpert 1992"

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Learn from these (val) images."""
        refuse_missing_classes(labels, bags.patch_logits.shape[1], "stacking_summary")
        self._stack: Any = fit_stack(self._features(bags), labels)
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        found: np.ndarray = self._stack.predict_proba(self._features(bags))
        return found

    @property
    def chosen(self) -> dict[str, float]:
        """What was fitted, apart from the weights."""
        return {"strength": float(self._stack[-1].C)}

    @staticmethod
    def _features(bags: Bags) -> np.ndarray:
        """Summary of each image: float64 (n_images, 7 * n_classes)."""
        p, ranked = bags.probabilities, bags.sorted_probabilities
        mean = bags.mean(p)
        spread = np.sqrt(np.maximum(bags.mean(p**2) - mean**2, 0.0))
        starts = np.cumsum(bags.bag_sizes) - bags.bag_sizes
        places = [starts + np.rint(q * (bags.bag_sizes - 1)).astype(int) for q in _QUARTILES]
        parts = [mean, spread, bags.max(p), bags.mean(bags.votes), *(ranked[at] for at in places)]
        return np.concatenate(parts, axis=1)
