"""Where a network that sees the whole image does not look.

Mean of the Grad-CAM map (Selvaraju et al., ICCV 2017, arXiv:1610.02391) over the patch. In train
the map is for the true class, by a network that was trained on other folds and never saw the
image; in test it is for the class that the network predicts.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patchbench.noise import PatchView, relative


@dataclass(kw_only=True)
class Detector:
    """Noisier the less of the Grad-CAM map lies in the patch."""

    seed: int = 0
    threads: int = 1

    uses: ClassVar[str] = "saliency"
    uses_labels: ClassVar[bool] = False
    control: ClassVar[bool] = False
    summary: ClassVar[str] = (
        "outside the Grad-CAM map (in train, of the true class) of a network that never saw it"
    )
    source: ClassVar[str] = "Selvaraju et al., ICCV 2017, arXiv:1610.02391"

    def fit(self, train: PatchView) -> None:
        """Nothing is learned; the maps are made by stage ``explain``."""

    def score(self, patches: PatchView) -> np.ndarray:
        """Minus the saliency of the patch over that of its image: float64 (n_patches,)."""
        if patches.saliency is None:
            raise ValueError("gradcam needs maps, but none were handed over")
        return -relative(patches.saliency, patches.image_of)
