"""Ask a BagNet about patches of an image one by one: all of them, or a share.

Patches are squares that hold a few features along each side and overlap by what a feature sees
beyond its own step, so that together they hold every feature of the image once: all patches give
what :func:`~patchbench.streaming.stream_logits` gives. At a share of them the network's time falls
with the share, and so may the certainty.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from patchbench.checks import check_choice
from patchbench.networks.bagnet import BagNet
from patchbench.networks.pixels import Scale
from patchbench.networks.precision import autocast, in_float64
from patchbench.networks.settings import (
    PRECISIONS,
    Computation,
)
from patchbench.streaming.choosing import patch_numbers
from patchbench.streaming.inference import norms_frozen
from patchbench.streaming.pools import Pool
from patchbench.streaming.source import Image, Source, source_of
from patchbench.streaming.tiles import Layout, laid_out_alike
from patchbench.streaming.training import Loss, all_or_nothing

_BATCH_PATCHES = 32


@dataclass(frozen=True)
class PatchLogits:
    """What a network says of some patches of an image.

    Attributes
    ----------
    logits : Tensor, (n_classes,)
        Of the image, from the places of these patches alone.
    patch_logits : Tensor, (n_asked, n_classes)
        Mean over the places of each patch. On the processor.
    patches : int array, (n_asked,)
        Which patches, in the order of :func:`~patchbench.streaming.patch_boxes`.
    n_places : int array, (n_asked,)
        Places in each; patches at the right and lower border may have fewer.
    """

    logits: Tensor
    patch_logits: Tensor
    patches: np.ndarray
    n_places: np.ndarray


def ask_patches(
    model: BagNet,
    image: Image,
    patch_px: int,
    chosen: np.ndarray | None = None,
    *,
    scale: Scale | None = None,
    pool: Pool | None = None,
) -> PatchLogits:
    """Logits of patches, each asked about by itself, and of the image by them.

    Parameters
    ----------
    model : BagNet
        Its batch norms are used as they are at inference.
    image : Tensor, array or Windows
        As for :func:`~patchbench.streaming.stream_logits`. Of windows, only the chosen patches are
        read.
    patch_px : int
        Longest side of a patch, px. Small patches repeat more work: a patch of n x n features
        overlaps its neighbours by the receptive field less 8 px.
    chosen : int array or None
        Numbers of patches; all by default.
    scale : Scale or None
        What the network was trained on; needed unless the image is a tensor.
    pool : callable or None
        From the logits of the places, (n_places, n_classes), to those of the image; by default
        their mean.

    Returns
    -------
    answer : PatchLogits

    Raises
    ------
    UserError
        As :func:`~patchbench.streaming.stream_logits`, or if a chosen patch is not there.
    """
    source = source_of(model, image, scale)
    layout, patches = _asked(model, source, patch_px, chosen)
    means, counts, every = [], [], []
    total = in_float64(torch.zeros(model.fc.out_features, device=source.device))
    with norms_frozen(model), torch.inference_mode():
        for batch in _batches(layout, patches):
            found = _ask(model, source, layout, batch)
            means.append(found.mean(dim=1).cpu())
            counts.append(np.full(len(batch), found.shape[1]))
            if pool is None:
                total += in_float64(found).sum(dim=(0, 1))
            else:
                every.append(found.flatten(0, 1))
        n_places = np.concatenate(counts)
        logits = total / int(n_places.sum()) if pool is None else pool(torch.cat(every))
    logits = logits.to(source.dtype).to(source.device)
    return PatchLogits(logits, torch.cat(means), patches, n_places)


def patch_gradients(
    model: BagNet,
    image: Image,
    loss: Loss,
    patch_px: int,
    chosen: np.ndarray | None = None,
    *,
    scale: Scale | None = None,
    weight: float = 1.0,
    precision: str = "float32",
    pool: Pool | None = None,
) -> float:
    """Add the gradient of an image's loss, seen through some of its patches alone.

    As :func:`~patchbench.streaming.stream_gradients` in two passes, with a few patches at work at
    once; those that the pool gives no gradient are left out of the second. All patches give the
    gradient of the whole image.

    Parameters
    ----------
    model, image, loss, scale, weight, precision
        As for :func:`~patchbench.streaming.stream_gradients`.
    patch_px, chosen, pool
        As for :func:`ask_patches`.

    Returns
    -------
    loss : float
        Of the image, before its weight.

    Raises
    ------
    UserError
        As :func:`ask_patches`.
    """
    check_choice("precision", precision, PRECISIONS)
    source = source_of(model, image, scale)
    layout, patches = _asked(model, source, patch_px, chosen)
    batches = list(_batches(layout, patches))
    reduced = autocast(Computation(source.device.type, precision))
    with norms_frozen(model), all_or_nothing(model, pool, loss):
        with torch.no_grad(), reduced:
            parts = [_ask(model, source, layout, batch).to(source.dtype) for batch in batches]
        evidence = torch.cat([part.flatten(0, 1) for part in parts]).requires_grad_()
        value = loss((evidence.mean(dim=0) if pool is None else pool(evidence))[None])
        torch.autograd.backward(value * weight)
        assert evidence.grad is not None
        gradients = torch.split(evidence.grad, [part[..., 0].numel() for part in parts])
        for batch, gradient in zip(batches, gradients, strict=True):
            by_patch = gradient.reshape(len(batch), -1, gradient.shape[1])
            telling = by_patch.abs().sum(dim=(1, 2)).nonzero()[:, 0].tolist()
            if telling:
                with reduced:
                    found = _ask(model, source, layout, batch[telling])
                torch.autograd.backward(found.to(source.dtype), by_patch[telling])
    return value.item()


def _asked(
    model: BagNet, source: Source, patch_px: int, chosen: np.ndarray | None
) -> tuple[Layout, np.ndarray]:
    """All patches of an image, and which of them are asked."""
    layout = laid_out_alike(model, *source.size_px, patch_px)
    return layout, patch_numbers(layout.n_tiles, chosen)


def _batches(layout: Layout, patches: np.ndarray) -> Iterator[np.ndarray]:
    """Patches in their order, a few of equal shape at a time."""
    shapes = layout.boxes(patches)[:, 2:]
    changes = np.flatnonzero((shapes[1:] != shapes[:-1]).any(axis=1)) + 1
    for alike in np.split(patches, changes):
        for start in range(0, len(alike), _BATCH_PATCHES):
            yield alike[start : start + _BATCH_PATCHES]


def _ask(model: BagNet, source: Source, layout: Layout, batch: np.ndarray) -> Tensor:
    """Logits of the places of each patch, (n_patches, n_places, n_classes)."""
    pixels = torch.cat([source.tile(layout.tile(patch)) for patch in batch])
    return model.patch_logits(pixels).flatten(1, 2)
