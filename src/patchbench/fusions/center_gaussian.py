"""Mean of the patch probabilities, weighted by a Gaussian around the image centre.

People put what they photograph in the middle (Judd et al., "Learning to predict where humans
look", ICCV 2009). The width is chosen on the val split by log-loss; an infinite width, the
plain mean, is always among the candidates, so place is used only where it helps.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import Bags
from patchbench.fusions._choice import lowest_log_loss


@dataclass
class Fusion:
    """Patches near the centre weigh more.

    Parameters
    ----------
    widths : list of float
        Candidate standard deviations; 1 is half the image's side.
    """

    widths: list[float] = field(default_factory=lambda: [0.2, 0.3, 0.45, 0.7, 1.0, 1.5])
    order_agnostic: ClassVar[bool] = False
    uses_position: ClassVar[bool] = True
    fitted: ClassVar[bool] = True
    summary: ClassVar[str] = "mean probability weighted by a Gaussian around the centre"
    source: ClassVar[str] = "centre bias: Judd et al. 2009"

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) <= 0:
            raise ValueError(f"widths is {self.widths}; give at least one number above 0")
        self.width = float("inf")

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Choose the width with the lowest log-loss on these (val) images."""
        widths = [float("inf"), *self.widths]
        self.width = lowest_log_loss(widths, lambda width: self._fuse(bags, width), labels)
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        return self._fuse(bags, self.width)

    @property
    def chosen(self) -> dict[str, float | None]:
        """What was fitted; a width of None is infinite: the plain mean."""
        return {"width": self.width if np.isfinite(self.width) else None}

    @staticmethod
    def _fuse(bags: Bags, width: float) -> np.ndarray:
        squared_distance = (bags.centers**2).sum(axis=1)
        return bags.mean(bags.probabilities, np.exp(-squared_distance / (2 * width**2)))
