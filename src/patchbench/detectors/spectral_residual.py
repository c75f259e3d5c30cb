"""What a whole image has more of than images have on average stands out.

The log spectrum of an image less its own local mean, turned back into an image, is large where
something is unlike its surroundings: Hou & Zhang, "Saliency detection: a spectral residual
approach", CVPR 2007.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patchbench.faithfulness import patch_means
from patchbench.noise import PatchView, relative

_BATCH_IMAGES = 256


@dataclass(kw_only=True)
class Detector:
    """Noisier the less a patch stands out from its image.

    Parameters
    ----------
    side_px : int
        The saliency is computed on the image at this size, 64 as published.
    blur_px : float
        Deviation of the Gaussian that smooths it, 2.5 at that size.
    """

    side_px: int = 64
    blur_px: float = 2.5
    seed: int = 0
    threads: int = 1

    uses: ClassVar[str] = "images"
    uses_labels: ClassVar[bool] = False
    control: ClassVar[bool] = False
    summary: ClassVar[str] = "not salient by the spectral residual of its image"
    source: ClassVar[str] = "Hou & Zhang, CVPR 2007"

    def __post_init__(self) -> None:
        if self.side_px < 8:
            raise ValueError(f"side_px is {self.side_px}; give at least 8")
        if not self.blur_px > 0:
            raise ValueError(f"blur_px is {self.blur_px}; give a number above 0")

    def fit(self, train: PatchView) -> None:
        """Nothing is learned."""

    def score(self, patches: PatchView) -> np.ndarray:
        """Minus the mean saliency of the patch over that of its image: float64 (n_patches,)."""
        height_px, width_px = patches.image(0).shape[:2]
        boxes, means = patches.boxes, np.empty(len(patches))
        for start in range(0, patches.n_images, _BATCH_IMAGES):
            images = range(start, min(start + _BATCH_IMAGES, patches.n_images))
            maps = np.stack([self._saliency(patches.image(i)) for i in images])
            rows = np.isin(patches.image_of, images)
            map_of = patches.image_of[rows] - start
            means[rows] = patch_means(maps, map_of, boxes[rows], height_px, width_px)
        return -relative(means, patches.image_of)

    def _saliency(self, image: np.ndarray) -> np.ndarray:
        """Saliency of an image: float32 (side_px, side_px)."""
        import cv2

        grey = image.mean(axis=2, dtype=np.float32)
        small = cv2.resize(grey, (self.side_px, self.side_px), interpolation=cv2.INTER_AREA)
        spectrum = np.fft.fft2(small)
        amplitude = np.log(np.abs(spectrum) + 1e-6)
        residual = amplitude - cv2.blur(amplitude, (3, 3), borderType=cv2.BORDER_WRAP)
        back = np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))
        power = (np.abs(back) ** 2).astype(np.float32)
        return np.asarray(cv2.GaussianBlur(power, (0, 0), self.blur_px))
