"""Mean of the probabilities of the patches in a box around the image centre.

The hard form of the centre bias (Judd et al., ICCV 2009). The side of the box is chosen on the val
split by log-loss; the whole image is among the candidates. An image without a patch in the box
falls back to all of its patches.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from patchbench.bags import Bags
from patchbench.fusions._choice import ChosenOnVal


@dataclass
class Fusion(ChosenOnVal):
    """Patches whose centre lies outside the box are not asked.

    Parameters
    ----------
    candidates : list of float
        Candidates, as shares of the side of the image, above 0.
    """

    candidates: list[float] = field(default_factory=lambda: [0.75, 0.5, 0.35])

    number: ClassVar[str] = "side"
    harmless: ClassVar[float] = 1.0
    uses: ClassVar[str] = "votes"
    order_agnostic: ClassVar[bool] = False
    uses_position: ClassVar[bool] = True
    fitted: ClassVar[bool] = True
    summary: ClassVar[str] = "mean probability inside a box around the centre"
    source: ClassVar[str] = "centre bias: Judd et al. 2009"

    @staticmethod
    def _fuse(bags: Bags, value: float) -> np.ndarray:
        inside = np.abs(bags.centers).max(axis=1) <= value
        return bags.mean(bags.probabilities, inside.astype(np.float64))
