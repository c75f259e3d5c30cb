"""Log-sum-exp of the patch probabilities: a smooth step from the mean towards the maximum.

Ramon & De Raedt, "Multi instance neural networks", ICML workshop 2000; Pinheiro & Collobert, "From
image-level to pixel-level labeling with convolutional networks", CVPR 2015. The sharpness is
chosen on the val split by log-loss; scores are scaled to sum to 1.
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
        Of the sharpness: towards 0 it is the mean, towards infinity the maximum.
    """

    candidates: list[float] = field(default_factory=lambda: [2.0, 4.0, 8.0, 16.0, 32.0])

    number: ClassVar[str] = "sharpness"
    harmless: ClassVar[float] = 1.0
    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = True
    summary: ClassVar[str] = (
        "log of the mean exponential of patch probabilities, scaled to sum to 1"
    )
    source: ClassVar[str] = "Ramon & De Raedt 2000; Pinheiro & Collobert 2015"

    @staticmethod
    def _fuse(bags: Bags, value: float) -> np.ndarray:
        # probabilities are at most 1, so taking that off keeps the exponential finite
        raised = bags.mean(np.exp(value * (bags.probabilities - 1.0)))
        return shares(1.0 + np.log(raised) / value)
