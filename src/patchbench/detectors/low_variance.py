"""A patch without contrast shows nothing: flat sky, blurred ground, empty slide.

The tissue detectors of digital pathology work like this, by variance or density of edges.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patchbench.noise import PatchView


@dataclass(kw_only=True)
class Detector:
    """Noisier the smaller the deviation of grey values inside the patch."""

    seed: int = 0
    threads: int = 1

    uses: ClassVar[str] = "pixels"
    uses_labels: ClassVar[bool] = False
    control: ClassVar[bool] = False
    summary: ClassVar[str] = "almost without contrast"
    source: ClassVar[str] = "common practice, e.g. Lu et al., Nature BME 2021, arXiv:2004.09666"

    def fit(self, train: PatchView) -> None:
        """Nothing is learned."""

    def score(self, patches: PatchView) -> np.ndarray:
        """Minus the standard deviation of the grey values: float64 (n_patches,)."""
        scores = np.empty(len(patches))
        for rows, pixels in patches.pixel_chunks():
            grey = pixels.mean(axis=3, dtype=np.float32)
            scores[rows] = -grey.std(axis=(1, 2))
        return scores
