"""Logistic regression on the patch probabilities of every place of the grid.

Wolpert, "Stacked generalization", Neural Networks 5(2), 1992. Each place is heard by itself, so an
arrangement of patches can be learned, as far as single patches tell their class at all. It is
learned on val, which no patch classifier was fitted on. A place that an image lacks says what the
mean of its patches says.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import Bags
from patchbench.fusions._cells import cell_of, distinct
from patchbench.fusions._stacking import Stack


@dataclass
class Fusion(Stack):
    """Every place has a say of its own in every class."""

    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = False
    uses_position: ClassVar[bool] = True
    fitted: ClassVar[bool] = True
    summary: ClassVar[str] = "logistic regression on the probabilities of every place of the grid"
    source: ClassVar[str] = "Wolpert 1992"

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Note the places of these (val) images, then learn."""
        self._cells = distinct(bags.centers)
        return super().fit(bags, labels)

    def _features(self, bags: Bags) -> np.ndarray:
        """Probabilities by place: float64 (n_images, n_cells * n_classes)."""
        n_images, n_cells = len(bags.bag_sizes), len(self._cells)
        found = np.repeat(bags.mean(bags.probabilities)[:, None], n_cells + 1, axis=1)
        image_of = np.repeat(np.arange(n_images), bags.bag_sizes)
        found[image_of, cell_of(bags.centers, self._cells)] = bags.probabilities
        return found[:, :-1].reshape(n_images, -1)
