"""Mean of the patch probabilities, weighted by a Gaussian around the image centre.

People put what they photograph in the middle (Judd et al., "Learning to predict where humans
look", ICCV 2009). The width is chosen on the val split by log-loss; an infinite width, the
plain mean, is always among the candidates, so place is used only where it helps.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from patchbench.bags import Bags
from patchbench.fusions._choice import ChosenOnVal


@dataclass
class Fusion(ChosenOnVal):
    """Patches near the centre weigh more.

    Parameters
    ----------
    candidates : list of float
        Candidate standard deviations; 1 is half the image's side.
    """

    candidates: list[float] = field(default_factory=lambda: [0.2, 0.3, 0.45, 0.7, 1.0, 1.5])

    number: ClassVar[str] = "width"
    harmless: ClassVar[float] = float("inf")
    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = False
    uses_position: ClassVar[bool] = True
    fitted: ClassVar[bool] = True
    summary: ClassVar[str] = "mean probability weighted by a Gaussian around the centre"
    source: ClassVar[str] = "centre bias: Judd et al. 2009"

    @staticmethod
    def _fuse(bags: Bags, value: float) -> np.ndarray:
        squared_distance = (bags.centers**2).sum(axis=1)
        return bags.mean(bags.probabilities, np.exp(-squared_distance / (2 * value**2)))
