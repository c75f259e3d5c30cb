"""People put what matters in the middle of a photograph, so the rim is background."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patchbench.noise import PatchView


@dataclass(kw_only=True)
class Detector:
    """Noisier the further from the middle of the image."""

    seed: int = 0
    threads: int = 1

    uses: ClassVar[str] = "place"
    uses_labels: ClassVar[bool] = False
    control: ClassVar[bool] = False
    summary: ClassVar[str] = "far from the middle of the image"
    source: ClassVar[str] = "Judd et al., ICCV 2009"

    def fit(self, train: PatchView) -> None:
        """Nothing is learned."""

    def score(self, patches: PatchView) -> np.ndarray:
        """Distance of the centre from the middle, 0 to 1.41: float64 (n_patches,)."""
        return np.hypot(*patches.centers.T.astype(np.float64))
