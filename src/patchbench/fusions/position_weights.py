"""Mean of the patch probabilities, every place of the grid weighing what val taught.

Weights are a softmax over places, found by log-loss on val with a penalty that pulls them together;
cf. Malinowski & Fritz, "Learnable pooling regions for image classification", ICLR workshop 2013,
arXiv:1301.3516. How strong the penalty is, folds of val decide; with the strongest all places
weigh alike. A place that val has not shown weighs as much as the average one.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import Bags
from patchbench.cross_fit import deal
from patchbench.fusions._cells import cell_of, distinct
from patchbench.fusions._choice import lowest_log_loss

_TINY = 1e-12


@dataclass
class Fusion:
    """Which places to listen to is learned.

    Parameters
    ----------
    penalties : list of float
        Candidates for the pull towards equal weights, the strongest first.
    """

    penalties: list[float] = field(default_factory=lambda: [100.0, 10.0, 1.0, 0.1, 0.01])
    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = False
    uses_position: ClassVar[bool] = True
    fitted: ClassVar[bool] = True
    summary: ClassVar[str] = "mean probability with a learned weight for every place"
    source: ClassVar[str] = "cf. Malinowski & Fritz 2013"

    def __post_init__(self) -> None:
        if not self.penalties or min(self.penalties) <= 0:
            raise ValueError(f"penalties is {self.penalties}; give at least one number above 0")

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Learn from these (val) images."""
        self._cells = distinct(bags.centers)
        self.penalty, fold_of = self.penalties[0], deal(labels)
        if (fold_of >= 0).all():
            self.penalty = lowest_log_loss(
                self.penalties, lambda value: self._crossed(bags, labels, fold_of, value), labels
            )
        self._log_weights = self._learned(bags, labels, self.penalty)
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        return self._fuse(bags, self._log_weights)

    @property
    def chosen(self) -> dict[str, object]:
        """What was fitted: the weights, which sum to 1, and where their places are."""
        weights = np.exp(self._log_weights - self._log_weights.max())
        found = (weights / weights.sum()).tolist()
        return {"penalty": self.penalty, "places": self._cells.tolist(), "weights": found}

    def _crossed(
        self, bags: Bags, labels: np.ndarray, fold_of: np.ndarray, penalty: float
    ) -> np.ndarray:
        """Decisions on each fold with weights learned from the others."""
        found = np.empty((len(labels), bags.patch_logits.shape[1]))
        for fold in np.unique(fold_of):
            inside = fold_of == fold
            weights = self._learned(bags.of_images(~inside), labels[~inside], penalty)
            found[inside] = self._fuse(bags.of_images(inside), weights)
        return found

    def _learned(self, bags: Bags, labels: np.ndarray, penalty: float) -> np.ndarray:
        """Logarithms of the weights, around 0: float64 (n_cells,)."""
        cells, n_cells = cell_of(bags.centers, self._cells), len(self._cells)
        image_of = np.repeat(np.arange(len(labels)), bags.bag_sizes)
        of_true = bags.probabilities[np.arange(len(cells)), labels[image_of]]

        def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
            weights = np.exp(theta)[cells]
            right, total = bags.sum(weights * of_true) + _TINY, bags.sum(weights)
            pull = weights * (of_true / right[image_of] - 1 / total[image_of])
            slope = -np.bincount(cells, weights=pull, minlength=n_cells) + penalty * theta
            return float(-np.log(right / total).sum() + penalty / 2 * theta @ theta), slope

        from scipy.optimize import minimize

        found: np.ndarray = minimize(loss, np.zeros(n_cells), jac=True, method="L-BFGS-B").x
        return found

    def _fuse(self, bags: Bags, log_weights: np.ndarray) -> np.ndarray:
        known = np.append(log_weights, np.log(np.mean(np.exp(log_weights))))
        return bags.mean(bags.probabilities, np.exp(known[cell_of(bags.centers, self._cells)]))
