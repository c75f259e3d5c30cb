"""Train a BagNet on images of any size: batches of images, in the memory of one tile.

The gradients of a batch add up image by image, so no more than one tile is ever at work.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from patchbench.errors import UserError
from patchbench.networks.bagnet import BagNet
from patchbench.networks.course import Checkpoint
from patchbench.networks.pixels import Scale
from patchbench.networks.settings import Plan
from patchbench.networks.training import train
from patchbench.streaming.inference import stream_logits
from patchbench.streaming.patches import ask_patches, patch_gradients
from patchbench.streaming.pools import Pool
from patchbench.streaming.source import Image
from patchbench.streaming.training import DEFAULT_TRAINING_MIB, stream_gradients
from patchbench.windows import Windows


@dataclass(frozen=True)
class LargeImages:
    """Images that are opened when their turn has come.

    Attributes
    ----------
    open : callable
        ``open(i)``: image *i*; windows are closed after use.
    labels : int array, (n,)
        Class of each image.
    patches : callable or None
        ``patches(i)``: which patches of image *i* to look at; by default everywhere.
    """

    open: Callable[[int], Image]
    labels: np.ndarray
    patches: Callable[[int], np.ndarray] | None = None


@dataclass(frozen=True)
class Streaming:
    """How the images of a training are streamed.

    Attributes
    ----------
    scale : Scale or None
        What the pixels are scaled by; needed unless images are tensors.
    pool : callable or None
        As for :func:`~patchbench.streaming.stream_gradients`. A Module, on the device of the
        network, learns with it.
    tile_px : int or None
        Longest side of a tile, px; by default as large as ``max_memory_mib`` allows. Where images
        say which patches to look at, the side of a patch, and needed.
    max_memory_mib : float
        For the feature maps of a tile.
    precision : str
        As for :func:`~patchbench.streaming.stream_gradients`.
    """

    scale: Scale | None = None
    pool: Pool | None = None
    tile_px: int | None = None
    max_memory_mib: float = DEFAULT_TRAINING_MIB
    precision: str = "float32"

    @property
    def patch_px(self) -> int:
        """Side of the patches.

        Raises
        ------
        UserError
            If it was not given.
        """
        if self.tile_px is None:
            raise UserError("images say which patches to look at, so give their side as tile_px")
        return self.tile_px


def stream_batch(
    model: BagNet, images: LargeImages, rows: Sequence[int] | np.ndarray, how: Streaming
) -> float:
    """Add the gradient of the mean cross-entropy of some images to that of the parameters.

    Parameters
    ----------
    model : BagNet
        As for :func:`~patchbench.streaming.stream_gradients`.
    images : LargeImages
        Opened one after the other.
    rows : sequence of int
        Which of them.
    how : Streaming

    Returns
    -------
    loss : float
        Mean of the images', nats.

    Raises
    ------
    UserError
        As :func:`~patchbench.streaming.stream_gradients`; gradients of the images before the one
        that failed are there then.
    """
    total = 0.0
    for row in rows:
        label = torch.tensor([int(images.labels[row])], device=model.fc.weight.device)
        loss = partial(functional.cross_entropy, target=label)
        options: dict[str, Any] = {"scale": how.scale, "precision": how.precision}
        options |= {"pool": how.pool, "weight": 1 / len(rows)}
        with ExitStack() as stack:
            image = _opened(images, int(row), stack)
            if images.patches is not None:
                chosen = images.patches(int(row))
                total += patch_gradients(model, image, loss, how.patch_px, chosen, **options)
            else:
                memory = how.max_memory_mib
                total += stream_gradients(
                    model, image, loss, how.tile_px, max_memory_mib=memory, **options
                ).loss
    return total / len(rows)


def stream_fit(
    model: BagNet,
    images: LargeImages,
    val: LargeImages | None,
    how: Streaming,
    plan: Plan,
    seed: int,
    checkpoint: Checkpoint | None = None,
) -> pd.DataFrame:
    """Train a network in place; see :func:`patchbench.networks.training.train`.

    A pool that is a Module is trained with it: one optimizer, one best epoch. Batch norms keep the
    statistics they have: start from weights that have learnt some, or take a network whose norm is
    ``channels``.

    Parameters
    ----------
    model : BagNet
        On its device; left in eval mode, as is a pool that learns.
    images, val : LargeImages
        The epoch with the lowest loss on ``val`` is kept, the last one where it is None.
    how : Streaming
    plan : Plan
        How long and how fast; ``batch_size`` images give one step.
    seed : int
        Order of the images.
    checkpoint : Checkpoint or None
        Where to keep how far the training is, bound to whatever the images depend on.

    Returns
    -------
    history : DataFrame
        Table "history": loss (nats) on train and val, accuracy on val.

    Raises
    ------
    UserError
        As :func:`~patchbench.streaming.stream_gradients`, or if the loss is no number any more.
    """

    def batch_loss(rows: np.ndarray, rng: np.random.Generator) -> Tensor:
        return torch.tensor(stream_batch(model, images, rows, how))

    def validation() -> dict[str, float]:
        if val is None:
            return {}
        logits, labels = predict_streamed(model, val, how), torch.from_numpy(val.labels)
        return {
            "loss": functional.cross_entropy(logits, labels).item(),
            "accuracy": (logits.argmax(dim=1) == labels).double().mean().item(),
        }

    n_images, learner = len(images.labels), _learner(model, how.pool)
    return train(learner, batch_loss, n_images, validation, plan, seed, "streamed", checkpoint)


def _learner(model: BagNet, pool: Pool | None) -> nn.Module:
    """Network and pool as one, where the pool may learn."""
    return nn.ModuleList([model, pool]) if isinstance(pool, nn.Module) else model


@torch.no_grad()
def predict_streamed(model: BagNet, images: LargeImages, how: Streaming) -> Tensor:
    """Logits of every image, pooled as in training: (n, n_classes), on the processor.

    They hold no gradient, and no graph of a pool that learns.
    """
    found = []
    for row in range(len(images.labels)):
        with ExitStack() as stack:
            image = _opened(images, row, stack)
            if images.patches is not None:
                chosen = images.patches(row)
                told = ask_patches(
                    model, image, how.patch_px, chosen, scale=how.scale, pool=how.pool
                )
                found.append(told.logits.cpu())
            else:
                found.append(_whole(model, image, how))
    return torch.stack(found)


def _whole(model: BagNet, image: Image, how: Streaming) -> Tensor:
    told = stream_logits(
        model,
        image,
        how.tile_px,
        max_memory_mib=how.max_memory_mib,
        scale=how.scale,
        evidence=how.pool is not None,
    )
    if how.pool is None or told.evidence is None:
        return told.logits.cpu()
    # a pool that learns has its weights where the network has its own
    return how.pool(told.evidence.to(model.fc.weight.device)).cpu()


def _opened(images: LargeImages, row: int, stack: ExitStack) -> Image:
    image = images.open(row)
    return stack.enter_context(image) if isinstance(image, Windows) else image
