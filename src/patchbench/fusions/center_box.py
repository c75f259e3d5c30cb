"""Mean of the probabilities of the patches in a box around the image centre.

The hard form of the centre bias (Judd et al., ICCV 2009). The side of the box is chosen on the val
split by log-loss; the whole image is among the candidates. An image without a patch in the box
falls back to all of its patches.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import Bags
from patchbench.fusions._choice import lowest_log_loss


@dataclass
class Fusion:
    """Patches whose centre lies outside the box are not asked.

    Parameters
    ----------
    sides : list of float
        Candidates, as shares of the side of the image, above 0.
    """

    sides: list[float] = field(default_factory=lambda: [0.75, 0.5, 0.35])
    order_agnostic: ClassVar[bool] = False
    uses_position: ClassVar[bool] = True
    fitted: ClassVar[bool] = True
    summary: ClassVar[str] = "mean probability inside a box around the centre"
    source: ClassVar[str] = "centre bias: Judd et al. 2009"

    def __post_init__(self) -> None:
        if not self.sides or min(self.sides) <= 0:
            raise ValueError(f"sides is {self.sides}; give at least one number above 0")
        self.side = 1.0

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Choose the side with the lowest log-loss on these (val) images."""
        self.side = lowest_log_loss([1.0, *self.sides], lambda s: self._fuse(bags, s), labels)
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        return self._fuse(bags, self.side)

    @property
    def chosen(self) -> dict[str, float]:
        """What was fitted."""
        return {"side": self.side}

    @staticmethod
    def _fuse(bags: Bags, side: float) -> np.ndarray:
        inside = np.abs(bags.centers).max(axis=1) <= side
        return bags.mean(bags.probabilities, inside.astype(np.float64))
