"""Bring pixels to the scale and the memory layout that networks work on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_CHUNK_IMAGES = 256
# what torchvision's and the published BagNets' weights were trained on, colours from 0 to 1
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of each colour; float32 arrays, (3,), on the scale 0-255."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, images: np.ndarray, rows: np.ndarray) -> "Scale":
        """Measure it on the chosen rows of ``images``, uint8 (n, height, width, 3)."""
        n_pixels, total, squares = 0, np.zeros(3), np.zeros(3)
        for start in range(0, len(rows), _CHUNK_IMAGES):
            colours = images[rows[start : start + _CHUNK_IMAGES]].reshape(-1, 3).astype(np.float64)
            n_pixels += len(colours)
            total += colours.sum(axis=0)
            squares += (colours**2).sum(axis=0)
        mean = total / n_pixels
        variance = np.maximum(squares / n_pixels - mean**2, 1.0)
        return cls(mean.astype(np.float32), np.sqrt(variance).astype(np.float32))

    @classmethod
    def imagenet(cls) -> "Scale":
        """The scale that networks trained on ImageNet were fed."""
        mean, deviation = (
            np.float32(255) * np.array(values, np.float32)
            for values in (_IMAGENET_MEAN, _IMAGENET_DEVIATION)
        )
        return cls(mean, deviation)

    def state(self) -> dict[str, np.ndarray]:
        """As named arrays, to be written with the network that was trained on this scale."""
        return {"scale.mean": self.mean, "scale.deviation": self.deviation}

    @classmethod
    def restored(cls, state: Mapping[str, np.ndarray]) -> "Scale":
        """Take back what :meth:`state` gave."""
        return cls(state["scale.mean"], state["scale.deviation"])

    def apply(self, images: Tensor, device: str) -> Tensor:
        """Centre and scale (n, 3, height, width) images of 0-255, channels last, on ``device``."""
        mean = torch.from_numpy(self.mean)[:, None, None]
        deviation = torch.from_numpy(self.deviation)[:, None, None]
        images = (images - mean) / deviation
        return images.to(device).contiguous(memory_format=torch.channels_last)

    def tensor(self, pixels: np.ndarray, device: str) -> Tensor:
        """Uint8 (n, height, width, 3) pixels to what a network takes, (n, 3, height, width)."""
        images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
        return self.apply(images, device)
