"""Patches that go against their label are learned last: keep those of small loss.

The small-loss rule of learning with noisy labels (Han et al., "Co-teaching", NeurIPS 2018,
arXiv:1804.06872), with out-of-fold losses instead of those of a half-trained network.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patchbench.noise import PatchView


@dataclass(kw_only=True)
class Detector:
    """Noisier the larger the loss of the patch under the label of its image."""

    seed: int = 0
    threads: int = 1

    uses: ClassVar[str] = "probabilities"
    uses_labels: ClassVar[bool] = True
    control: ClassVar[bool] = False
    summary: ClassVar[str] = "against its image's label: large out-of-fold loss"
    source: ClassVar[str] = "Han et al., NeurIPS 2018, arXiv:1804.06872"

    def fit(self, train: PatchView) -> None:
        """Nothing is learned beyond the probabilities."""

    def score(self, patches: PatchView) -> np.ndarray:
        """Minus the log-probability of the label, nats: float64 (n_patches,)."""
        if patches.probabilities is None or patches.labels is None:
            raise ValueError("small_loss needs probabilities and labels of train patches")
        own = patches.probabilities[np.arange(len(patches)), patches.labels]
        return -np.log(np.maximum(own.astype(np.float64), 1e-12))
