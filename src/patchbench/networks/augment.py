"""Vary training images: random crops, flips, quarter turns, light and colour."""

import numpy as np
import torch
from torch import Tensor

from patchbench.networks.settings import Augmentation


def augmented(pixels: np.ndarray, changes: Augmentation, rng: np.random.Generator) -> Tensor:
    """Vary each image on its own.

    Parameters
    ----------
    pixels : uint8 array, (n, height, width, 3)
        RGB images.
    changes : Augmentation
        What may change, and how much.
    rng : Generator
        The only source of randomness.

    Returns
    -------
    images : float32 tensor, (n, 3, crop height, crop width)
        On the scale of the pixels, 0-255, though jitter may leave it.
    """
    n_images = len(pixels)
    rows, cols = changes.crop_sides(*pixels.shape[1:3])
    tops = rng.integers(0, pixels.shape[1] - rows + 1, n_images)
    lefts = rng.integers(0, pixels.shape[2] - cols + 1, n_images)
    mirrored = rng.random(n_images) < (0.5 if changes.flip else 0.0)
    turns = rng.integers(0, 4 if changes.quarter_turns else 1, n_images)
    crops = np.empty((n_images, rows, cols, 3), dtype=np.float32)
    for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        crop = pixels[i, top : top + rows, left : left + cols]
        crops[i] = np.rot90(crop[:, ::-1] if mirrored[i] else crop, turns[i])
    images = torch.from_numpy(crops).permute(0, 3, 1, 2)
    return _recoloured(images, changes.jitter, rng) if changes.jitter else images


def _recoloured(images: Tensor, jitter: float, rng: np.random.Generator) -> Tensor:
    factors = rng.uniform(1 - jitter, 1 + jitter, (3, len(images)))
    light, contrast, saturation = torch.from_numpy(factors).float()[..., None, None, None]
    images = images * light
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = mean + (images - mean) * contrast
    grey = images.mean(dim=1, keepdim=True)
    recoloured: Tensor = grey + (images - grey) * saturation
    return recoloured
