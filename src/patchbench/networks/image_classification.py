"""Train a network to tell the class of whole images, and ask it: BagNet and CNN alike."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from patchbench.networks.augment import Augmentation
from patchbench.networks.pixels import Scale
from patchbench.networks.training import Plan, train

PRECISIONS = ("float32", "bfloat16")
# small enough for the first feature maps to stay in the processor's cache
INFERENCE_BATCH = 16


@dataclass(frozen=True)
class LabelledImages:
    """Rows of an image array, uint8 (n, height, width, 3), and the label of each."""

    images: np.ndarray
    rows: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Computation:
    """Where and how finely to compute; ``precision`` is that of training, see `PRECISIONS`."""

    device: str = "cpu"
    precision: str = "float32"

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"precision is {self.precision!r}; choose one of {', '.join(PRECISIONS)}"
            )

    def autocast(self) -> torch.autocast:
        """The context to run a training step in."""
        reduced = self.precision == "bfloat16"
        return torch.autocast(self.device, torch.bfloat16, enabled=reduced)


def train_classifier(
    network: nn.Module,
    train_images: LabelledImages,
    val_images: LabelledImages,
    scale: Scale,
    augmentation: Augmentation,
    plan: Plan,
    computation: Computation,
    seed: int,
    what: str,
) -> pd.DataFrame:
    """Train by cross-entropy on augmented images; see :func:`training.train`.

    Returns
    -------
    history : DataFrame
        Table "history": loss (nats) on train and val, accuracy on val.
    """
    device = computation.device
    labels = torch.from_numpy(train_images.labels).to(device)
    val_labels = torch.from_numpy(val_images.labels)

    def batch_loss(rows: np.ndarray, rng: np.random.Generator) -> Tensor:
        images = augmentation(train_images.images[train_images.rows[rows]], rng)
        with computation.autocast():
            logits = network(scale.apply(images, device))
        return functional.cross_entropy(logits.float(), labels[torch.from_numpy(rows)])

    def validation() -> dict[str, float]:
        if not len(val_images.rows):
            return {}
        with computation.autocast():
            found = predict_logits(network, val_images.images, val_images.rows, scale, device)
        logits = torch.from_numpy(found)
        return {
            "loss": functional.cross_entropy(logits, val_labels).item(),
            "accuracy": (logits.argmax(dim=1) == val_labels).double().mean().item(),
        }

    n_items = len(train_images.rows)
    return train(network, batch_loss, n_items, validation, plan, seed, what)


def predict_logits(
    network: nn.Module, images: np.ndarray, rows: np.ndarray, scale: Scale, device: str
) -> np.ndarray:
    """Logits of whole images: float32 array, (n_rows, n_classes)."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), INFERENCE_BATCH):
            pixels = images[rows[start : start + INFERENCE_BATCH]]
            parts.append(network(scale.tensor(pixels, device)).float().cpu())
    return torch.cat(parts).numpy()
