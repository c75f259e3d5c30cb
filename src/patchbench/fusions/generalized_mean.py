"""Generalised (power) mean of the patch probabilities: the mean at 1, the maximum at infinity.

Radenovic, Tolias & Chum, "Fine-tuning CNN image retrieval with no human annotation", IEEE TPAMI
41(7), 2019, for pooling activations. The power is chosen on the val split by log-loss; scores
are scaled to sum to 1.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from patchbench.bags import Bags, shares
from patchbench.fusions._choice import ChosenOnVal


@dataclass
class Fusion(ChosenOnVal):
    """Patches that are sure of a class count more for it.

    Parameters
    ----------
    candidates : list of float
        Candidates, above 0.
    """

    candidates: list[float] = field(default_factory=lambda: [2.0, 4.0, 8.0, 16.0])

    number: ClassVar[str] = "power"
    harmless: ClassVar[float] = 1.0
    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = True
    summary: ClassVar[str] = "power mean of patch probabilities, scaled to sum to 1"
    source: ClassVar[str] = "Radenovic, Tolias & Chum 2019"

    @staticmethod
    def _fuse(bags: Bags, value: float) -> np.ndarray:
        # over the highest, so that no power leaves nothing of small probabilities
        highest = bags.max(bags.probabilities)
        scale = np.repeat(np.where(highest > 0, highest, 1.0), bags.bag_sizes, axis=0)
        relative = bags.probabilities / scale
        return shares(highest * bags.mean(relative**value) ** (1 / value))
