"""Which labels are probably wrong, judged by out-of-fold probabilities.

Confident learning (Northcutt et al., JAIR 2021, arXiv:1911.00068) by cleanlab: the probability
of the given label, less the mean confidence in that class, scaled to 0-1.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patchbench.noise import PatchView

METHODS = ("self_confidence", "normalized_margin")


@dataclass(kw_only=True)
class Detector:
    """Noisier the lower cleanlab's quality of the label.

    Parameters
    ----------
    method : str
        ``self_confidence`` or ``normalized_margin``.
    """

    method: str = "normalized_margin"
    seed: int = 0
    threads: int = 1

    uses: ClassVar[str] = "probabilities"
    uses_labels: ClassVar[bool] = True
    control: ClassVar[bool] = False
    summary: ClassVar[str] = "of a label that confident learning doubts"
    source: ClassVar[str] = "Northcutt et al., JAIR 2021, arXiv:1911.00068; cleanlab"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method is {self.method!r}; choose one of {', '.join(METHODS)}")

    def fit(self, train: PatchView) -> None:
        """Nothing is learned beyond the probabilities."""

    def score(self, patches: PatchView) -> np.ndarray:
        """One less the quality of the label, 0 to 1: float64 (n_patches,)."""
        from cleanlab.rank import get_label_quality_scores

        if patches.probabilities is None or patches.labels is None:
            raise ValueError("confident_learning needs probabilities and labels of train patches")
        quality = get_label_quality_scores(
            patches.labels,
            patches.probabilities,
            method=self.method,
            adjust_pred_probs=True,
        )
        return 1 - np.asarray(quality, dtype=np.float64)
