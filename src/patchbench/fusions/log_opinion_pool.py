"""Logarithmic opinion pool: a product of the patch probabilities, each to the same power.

Genest & Zidek, "Combining probability distributions: a critique and an annotated bibliography",
Statist. Sci. 1(1), 1986. With a total power of 1 it is the softmax of the mean logit; with one of
the number of patches, the product of experts (Hinton, ICANN 1999), which takes patches of one image
for independent. The total power is chosen between them on the val split by log-loss.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import Bags, softmax
from patchbench.fusions._choice import lowest_log_loss


@dataclass
class Fusion:
    """How far patches of one image may be taken for independent is learned.

    Parameters
    ----------
    powers : list of float
        Candidates for the sum of the patches' powers, above 0.
    """

    powers: list[float] = field(default_factory=lambda: [1.0, 0.5, 2.0, 4.0, 8.0, 16.0, 32.0])
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = True
    summary: ClassVar[str] = "softmax of the mean patch logit times a power"
    source: ClassVar[str] = "Genest & Zidek 1986; Hinton 1999"

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
        return softmax(power * bags.mean(bags.patch_logits.astype(np.float64)))
