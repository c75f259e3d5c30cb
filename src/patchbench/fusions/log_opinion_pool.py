"""Logarithmic opinion pool: a product of the patch probabilities, each to the same power.

Genest & Zidek, "Combining probability distributions: a critique and an annotated bibliography",
Statist. Sci. 1(1), 1986. With a total power of 1 it is the softmax of the mean logit; with one of
the number of patches, the product of experts (Hinton, ICANN 1999), which takes patches of one image
for independent. The total power is chosen between them on the val split by log-loss.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from patchbench.bags import Bags, softmax
from patchbench.fusions._choice import ChosenOnVal


@dataclass
class Fusion(ChosenOnVal):
    """How far patches of one image may be taken for independent is learned.

    Parameters
    ----------
    candidates : list of float
        Of the sum of the patches' powers.
    """

    candidates: list[float] = field(default_factory=lambda: [0.5, 2.0, 4.0, 8.0, 16.0, 32.0])

    number: ClassVar[str] = "power"
    harmless: ClassVar[float] = 1.0
    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = True
    summary: ClassVar[str] = "softmax of the mean patch logit times a power"
    source: ClassVar[str] = "Genest & Zidek 1986; Hinton 1999"

    @staticmethod
    def _fuse(bags: Bags, value: float) -> np.ndarray:
        return softmax(value * bags.mean(bags.patch_logits.astype(np.float64)))
