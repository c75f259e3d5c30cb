"""Log-sum-exp of the patch probabilities: a smooth step from the mean towards the maximum.

Ramon & De Raedt, "Multi instance neural networks", ICML workshop 2000; Pinheiro & Collobert, "From
image-level to pixel-level labeling with convolutional networks", CVPR 2015. The sharpness is
chosen on the val split by log-loss; scores are scaled to sum to 1.
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
    sharpnesses : list of float
        Candidates; towards 0 it is the mean, towards infinity the maximum.
    """

    sharpnesses: list[float] = field(default_factory=lambda: [1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = True
    summary: ClassVar[str] = (
        "log of the mean exponential of patch probabilities, scaled to sum to 1"
    )
    source: ClassVar[str] = "Ramon & De Raedt 2000; Pinheiro & Collobert 2015"

    def __post_init__(self) -> None:
        if not self.sharpnesses or min(self.sharpnesses) <= 0:
            raise ValueError(f"sharpnesses is {self.sharpnesses}; give at least one number above 0")
        self.sharpness = self.sharpnesses[0]

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Choose the sharpness with the lowest log-loss on these (val) images."""
        self.sharpness = lowest_log_loss(self.sharpnesses, lambda r: self._fuse(bags, r), labels)
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        return self._fuse(bags, self.sharpness)

    @property
    def chosen(self) -> dict[str, float]:
        """What was fitted."""
        return {"sharpness": self.sharpness}

    @staticmethod
    def _fuse(bags: Bags, sharpness: float) -> np.ndarray:
        # probabilities are at most 1, so taking that off keeps the exponential finite
        raised = bags.mean(np.exp(sharpness * (bags.probabilities - 1.0)))
        return shares(1.0 + np.log(raised) / sharpness)
