"""Vary training images: random crops, flips, quarter turns, light and colour."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What may change from one look at an image to the next.

    Attributes
    ----------
    crop : float
        Side of a random crop as a share of the image's side, above 0 to 1; 1 is no crop. The
        networks here pool over all places, so they need not see the full image to learn, and
        smaller crops train faster.
    flip : bool
        Mirror left and right, half of the time.
    quarter_turns : bool
        Turn by 0, 90, 180 or 270 degrees; only for square images.
    jitter : float
        Brightness, contrast and saturation are each multiplied by a factor drawn from
        1 - jitter to 1 + jitter.
    """

    crop: float = 1.0
    flip: bool = True
    quarter_turns: bool = False
    jitter: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.crop <= 1:
            raise ValueError(f"crop is {self.crop}; give a share above 0, at most 1")
        if not 0 <= self.jitter < 1:
            raise ValueError(f"jitter is {self.jitter}; give a number from 0 to below 1")

    def crop_sides(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Height and width of the crop of an image, px."""
        return round(self.crop * height_px), round(self.crop * width_px)

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> Tensor:
        """Vary each image on its own.

        Parameters
        ----------
        pixels : uint8 array, (n, height, width, 3)
            RGB images.
        rng : Generator
            The only source of randomness.

        Returns
        -------
        images : float32 tensor, (n, 3, crop height, crop width)
            On the scale of the pixels, 0-255, though jitter may leave it.
        """
        n_images = len(pixels)
        rows, cols = self.crop_sides(*pixels.shape[1:3])
        tops = rng.integers(0, pixels.shape[1] - rows + 1, n_images)
        lefts = rng.integers(0, pixels.shape[2] - cols + 1, n_images)
        mirrored = rng.random(n_images) < (0.5 if self.flip else 0.0)
        turns = rng.integers(0, 4 if self.quarter_turns else 1, n_images)
        crops = np.empty((n_images, rows, cols, 3), dtype=np.float32)
        for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
            crop = pixels[i, top : top + rows, left : left + cols]
            crops[i] = np.rot90(crop[:, ::-1] if mirrored[i] else crop, turns[i])
        images = torch.from_numpy(crops).permute(0, 3, 1, 2)
        return self._recoloured(images, rng) if self.jitter else images

    def _recoloured(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        factors = rng.uniform(1 - self.jitter, 1 + self.jitter, (3, len(images)))
        light, contrast, saturation = torch.from_numpy(factors).float()[..., None, None, None]
        images = images * light
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = mean + (images - mean) * contrast
        grey = images.mean(dim=1, keepdim=True)
        return grey + (images - grey) * saturation
