"""Generalised (power) mean of the patch probabilities: the mean at 1, the maximum at infinity.

Radenovic, Tolias & Chum, "Fine-tuning CNN image retrieval with no human annotation", IEEE TPAMI
41(7), 2019, for pooling activations. The power is chosen on the val split by log-loss; scores
are scaled to sum to 1.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import Bags, shares
from patchbench.fusions._choice import lowest_log_loss


@dataclass
class Fusion:
    """Patches that are sure of a class count more for it.

    Parameters
    ----------
    powers : list of float
        Candidates, above 0.
    """

    powers: list[float] = field(default_factory=lambda: [1.0, 2.0, 4.0, 8.0, 16.0])
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = True
    summary: ClassVar[str] = "power mean of patch probabilities, scaled to sum to 1"
    source: ClassVar[str] = "Radenovic, Tolias & Chum 2019"

    def __post_init__(self) -> None:
        if not self.powers or min(self.powers) <= 0:
            raise ValueError(f"powers is {self.powers}; give at least one number above 0")
        self.power = self.powers[0]

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Choose the power with the lowest log-loss on these (val) images."""
        self.power = lowest_log_loss(self.powers, lambda r: self._fuse(bags, r), labels)
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        return self._fuse(bags, self.power)

    @property
    def chosen(self) -> dict[str, float]:
        """What was fitted."""
        return {"power": self.power}

    @staticmethod
    def _fuse(bags: Bags, power: float) -> np.ndarray:
        # over the highest, so that no power leaves nothing of small probabilities
        highest = bags.max(bags.probabilities)
        scale = np.repeat(np.where(highest > 0, highest, 1.0), bags.bag_sizes, axis=0)
        relative = bags.probabilities / scale
        return shares(highest * bags.mean(relative**power) ** (1 / power))
