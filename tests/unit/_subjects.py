"""A method of known answers for tests of experiments: logits linear in the pixels of a patch."""

from typing import Any

import numpy as np

from patchbench.asking import patch_method
from patchbench.subject import Channels, Subject

N_IMAGES, PATCHES, SIDE_PX, N_CLASSES = 24, 4, 6, 3
IMAGE_PX = PATCHES * SIDE_PX
LABELS = np.arange(N_IMAGES) % N_CLASSES
STARTS = np.arange(PATCHES) * SIDE_PX
EVEN = np.array([0.01, -0.02, 0.015])


class Encoder:
    """The mean colour of a patch, and its colour at the corner."""

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        means = pixels.mean(axis=(1, 2))
        return np.concatenate([means, pixels[:, 0, 0]], axis=1).astype(np.float64)


class Classifier:
    """Linear; ``corner`` scales what the colour at the corner says."""

    def __init__(self, corner: float = 1.0) -> None:
        weights = np.random.default_rng(1).normal(size=(6, N_CLASSES)) / 20
        weights[3:] *= corner
        self.weights, self.bias = weights, EVEN

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        found: np.ndarray = embeddings @ self.weights + self.bias
        return found


def make_images(seed: int = 0) -> np.ndarray:
    """Noise, in a colour that leans to the class."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 200, (N_IMAGES, IMAGE_PX, IMAGE_PX, 3))
    images[np.arange(N_IMAGES), :, :, LABELS] += 30
    return images.astype(np.uint8)


def make_subject(**changes: Any) -> Subject:
    """All that an experiment may need."""
    classifier = Classifier(changes.pop("corner", 1.0))
    images = changes.pop("images", make_images())
    ask = patch_method(Encoder(), classifier, STARTS, STARTS, SIDE_PX)
    cells = np.mgrid[:PATCHES, :PATCHES].reshape(2, -1).T
    tiles = images.reshape(N_IMAGES, PATCHES, SIDE_PX, PATCHES, SIDE_PX, 3).swapaxes(2, 3)
    embeddings = Encoder().encode(tiles.reshape(-1, SIDE_PX, SIDE_PX, 3))
    features = embeddings.reshape(N_IMAGES, PATCHES**2, -1).mean(axis=1)
    known: dict[str, Any] = {
        "labels": LABELS,
        "group_of": np.arange(N_IMAGES),
        "fusions": ("mean_probability", "mean_logit"),
        "votes": ask(images),
        "cells": cells,
        "centers": (cells + 0.5) * 2 / PATCHES - 1,
        "channels": Channels(features, classifier.weights, classifier.bias),
        "images": images,
        "ask": ask,
    }
    return Subject(**(known | changes))
