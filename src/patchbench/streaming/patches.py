"""Ask a BagNet about patches of an image one by one: all of them, or a share.

Patches are squares that hold a few features along each side and overlap by what a feature sees
beyond its own step, so that together they hold every feature of the image once: all patches give
what :func:`~patchbench.streaming.stream_logits` gives. At a share of them the network's time falls
with the share, and so may the certainty.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from patchbench.errors import UserError
from patchbench.networks.bagnet import BagNet
from patchbench.networks.pixels import Scale
from patchbench.networks.precision import autocast
from patchbench.networks.settings import PRECISIONS, Computation, check_choice
from patchbench.streaming.inference import norms_frozen
from patchbench.streaming.pools import Pool
from patchbench.streaming.source import Image, Source, source_of
from patchbench.streaming.tiles import Layout, Tile, laid_out, n_features
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
        Which patches, in the order of :func:`patch_boxes`.
    n_places : int array, (n_asked,)
        Places in each; patches at the right and lower border may have fewer.
    """

    logits: Tensor
    patch_logits: Tensor
    patches: np.ndarray
    n_places: np.ndarray


def patch_boxes(model: BagNet, height_px: int, width_px: int, patch_px: int) -> np.ndarray:
    """Where the patches of an image are.

    Parameters
    ----------
    model : BagNet
    height_px, width_px : int
        Sides of the image.
    patch_px : int
        Longest side of a patch, at least the receptive field.

    Returns
    -------
    boxes : int64 array, (n_patches, 4)
        ``y_px, x_px, height_px, width_px`` of each, row by row.

    Raises
    ------
    UserError
        If image or patch are smaller than what one feature sees.
    """
    layout = _patches(model, height_px, width_px, patch_px)
    return np.array([(tile.y_px, tile.x_px, tile.height_px, tile.width_px) for tile in layout])


def choose_patches(
    n_patches: int, share: float, seed: int, scores: np.ndarray | None = None
) -> np.ndarray:
    """Choose a share of the patches: at random, or those with the highest scores.

    Parameters
    ----------
    n_patches : int
        How many there are.
    share : float
        Above 0 to 1; rounded up to whole patches. A smaller share is part of a larger one.
    seed : int
        Of the random order, which also decides between equal scores.
    scores : float array, (n_patches,), or None
        What guides the choice: :func:`local_contrast`, or a saliency map averaged over the boxes
        by `faithfulness.patch_means`.

    Returns
    -------
    chosen : int64 array, (n_chosen,)
        Increasing.

    Raises
    ------
    UserError
        If it is no such share, or there is not one finite score for each patch.
    """
    if not 0 < share <= 1:
        raise UserError(f"share is {share}; give a share of the patches above 0, at most 1")
    order = np.random.default_rng(seed).permutation(n_patches)
    if scores is not None:
        if scores.shape != (n_patches,) or not np.isfinite(scores).all():
            raise UserError(
                f"scores have shape {scores.shape} for {n_patches} patches, or are no numbers; "
                "give one finite number for each"
            )
        order = order[np.argsort(-scores[order], kind="stable")]
    return np.sort(order[: math.ceil(share * n_patches)])


def local_contrast(
    model: BagNet, image: Image, patch_px: int, scale: Scale | None = None
) -> np.ndarray:
    """Standard deviation of the pixels of each patch, mean over channels: float64 (n_patches,).

    A cheap guide: it reads every pixel once and asks no network. Parameters as for
    :func:`ask_patches`.
    """
    source = source_of(model, image, scale)
    layout, width_px = _patches(model, *source.size_px, patch_px), source.size_px[1]
    rows: dict[int, list[Tile]] = {}
    for tile in layout:
        rows.setdefault(tile.y_px, []).append(tile)
    found = []
    for y_px, tiles in rows.items():
        # a strip holds all patches of a row; running sums along it give those of each patch
        strip = replace(tiles[0], y_px=y_px, x_px=0, width_px=width_px)
        pixels = source.tile(strip)[0].double()
        starts = torch.tensor([tile.x_px for tile in tiles], device=source.device)
        ends = starts + torch.tensor([tile.width_px for tile in tiles], device=source.device)
        n_pixels = (ends - starts) * strip.height_px
        sums, squares = (
            functional.pad(values.sum(dim=1).cumsum(dim=1), (1, 0))
            for values in (pixels, pixels**2)
        )
        means, others = ((of[:, ends] - of[:, starts]) / n_pixels for of in (sums, squares))
        found.append((others - means**2).clamp(min=0).sqrt().mean(dim=0).cpu())
    return torch.cat(found).numpy()


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
        Which patches; all by default.
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
    tiles, patches = _asked(model, source, patch_px, chosen)
    with norms_frozen(model), torch.inference_mode():
        batches = _batches(tiles, patches)
        places = [part for batch in batches for part in _ask(model, source, batch)]
        every = torch.cat(places)
        logits = every.mean(dim=0, dtype=torch.float64) if pool is None else pool(every)
    means = torch.stack([part.mean(dim=0) for part in places])
    counts = np.array([len(part) for part in places])
    return PatchLogits(logits.to(source.dtype), means.cpu(), patches, counts)


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
    batches = list(_batches(*_asked(model, source, patch_px, chosen)))
    reduced = autocast(Computation(source.device.type, precision))
    with norms_frozen(model), all_or_nothing(model):
        with torch.no_grad(), reduced:
            parts = [_ask(model, source, batch).to(source.dtype) for batch in batches]
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
                    found = _ask(model, source, [batch[patch] for patch in telling])
                torch.autograd.backward(found.to(source.dtype), by_patch[telling])
    return value.item()


def _asked(
    model: BagNet, source: Source, patch_px: int, chosen: np.ndarray | None
) -> tuple[list[Tile], np.ndarray]:
    """All patches of an image, and which of them are asked."""
    tiles = list(_patches(model, *source.size_px, patch_px))
    patches = np.arange(len(tiles)) if chosen is None else np.asarray(chosen)
    if not len(patches) or patches.min() < 0 or patches.max() >= len(tiles):
        raise UserError(
            f"chosen has {len(patches)} patches; give at least one, from 0 to {len(tiles) - 1}"
        )
    return tiles, patches


def _patches(model: BagNet, height_px: int, width_px: int, patch_px: int) -> Layout:
    """As `laid_out`, but all patches equal, and what is left at the borders smaller ones."""
    field_px = model.receptive_field_px
    laid_out(model, height_px, width_px, patch_px)  # refuses what is too small
    most = n_features(field_px, patch_px)
    counts = []
    for side_px in (height_px, width_px):
        n_full, rest = divmod(n_features(field_px, side_px), most)
        counts.append([most] * n_full + [rest] * bool(rest))
    return Layout(counts[0], counts[1], field_px)


def _batches(tiles: Sequence[Tile], patches: np.ndarray) -> Iterator[list[Tile]]:
    """Patches in their order, a few of equal shape at a time."""
    batch: list[Tile] = []
    for tile in (tiles[patch] for patch in patches):
        first = batch[0] if batch else tile
        same = (tile.height_px, tile.width_px) == (first.height_px, first.width_px)
        if batch and not (same and len(batch) < _BATCH_PATCHES):
            yield batch
            batch = []
        batch.append(tile)
    yield batch


def _ask(model: BagNet, source: Source, batch: list[Tile]) -> Tensor:
    """Logits of the places of each patch, (n_patches, n_places, n_classes)."""
    pixels = torch.cat([source.tile(tile) for tile in batch])
    return model.patch_logits(pixels).flatten(1, 2)
