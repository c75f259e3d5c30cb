"""Train a network to tell the class of whole images, and ask it: BagNet and CNN alike."""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from patchbench.networks.augment import augmented
from patchbench.networks.course import Checkpoint
from patchbench.networks.inference import in_batches
from patchbench.networks.pixels import Scale
from patchbench.networks.precision import autocast
from patchbench.networks.settings import Recipe
from patchbench.networks.training import train

INFERENCE_BATCH = 16
_CHUNK_IMAGES = 256


@dataclass(frozen=True)
class LabelledImages:
    """Rows of an image array, uint8 (n, height, width, 3), and the label of each."""

    images: np.ndarray
    rows: np.ndarray
    labels: np.ndarray

    def digest(self) -> str:
        """Hash of the pixels and labels of these rows, read a few at a time."""
        found = sha256(self.labels.tobytes())
        for start in range(0, len(self.rows), _CHUNK_IMAGES):
            rows = self.rows[start : start + _CHUNK_IMAGES]
            found.update(self.images[rows].tobytes())
        return f"{self.images.shape[1:]} {found.hexdigest()}"


def train_classifier(
    network: nn.Module,
    train_images: LabelledImages,
    val_images: LabelledImages,
    scale: Scale,
    recipe: Recipe,
    seed: int,
    what: str,
    checkpoint: Checkpoint | None = None,
) -> pd.DataFrame:
    """Train by cross-entropy on augmented images; see :func:`training.train`.

    Returns
    -------
    history : DataFrame
        Table "history": loss (nats) on train and val, accuracy on val.
    """
    device = recipe.computation.device
    labels = torch.from_numpy(train_images.labels).to(device)
    val_labels = torch.from_numpy(val_images.labels)

    def batch_loss(rows: np.ndarray, rng: np.random.Generator) -> Tensor:
        pixels = train_images.images[train_images.rows[rows]]
        images = augmented(pixels, recipe.augmentation, rng)
        with autocast(recipe.computation):
            logits = network(scale.apply(images, device))
        return functional.cross_entropy(logits.float(), labels[torch.from_numpy(rows)])

    def validation() -> dict[str, float]:
        if not len(val_images.rows):
            return {}
        with autocast(recipe.computation):
            found = predict_logits(network, val_images.images, val_images.rows, scale, device)
        logits = torch.from_numpy(found)
        return {
            "loss": functional.cross_entropy(logits, val_labels).item(),
            "accuracy": (logits.argmax(dim=1) == val_labels).double().mean().item(),
        }

    if checkpoint is not None:
        with checkpoint.effort.keeping:
            data = train_images.digest(), val_images.digest(), scale.mean, scale.deviation
            checkpoint = checkpoint.bound_to(recipe, torch.get_num_threads(), *data)
    n_items = len(train_images.rows)
    return train(network, batch_loss, n_items, validation, recipe.plan, seed, what, checkpoint)


def predict_logits(
    network: nn.Module, images: np.ndarray, rows: np.ndarray, scale: Scale, device: str
) -> np.ndarray:
    """Logits of whole images: float32 array, (n_rows, n_classes)."""
    return in_batches(network, images, rows, scale, device, INFERENCE_BATCH)
