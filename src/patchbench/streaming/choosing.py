"""The patches of an image: where they are, how many, and which of them to ask about."""

import math
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from patchbench.errors import UserError
from patchbench.networks.bagnet import BagNet
from patchbench.networks.pixels import Scale
from patchbench.networks.precision import in_float64
from patchbench.streaming.source import Image, source_of
from patchbench.streaming.tiles import laid_out_alike


def count_patches(model: BagNet, height_px: int, width_px: int, patch_px: int) -> int:
    """How many patches an image has; parameters as for :func:`patch_boxes`."""
    return laid_out_alike(model, height_px, width_px, patch_px).n_tiles


def patch_boxes(
    model: BagNet,
    height_px: int,
    width_px: int,
    patch_px: int,
    chosen: np.ndarray | None = None,
) -> np.ndarray:
    """Where the patches of an image are.

    Parameters
    ----------
    model : BagNet
    height_px, width_px : int
        Sides of the image.
    patch_px : int
        Longest side of a patch, at least the receptive field.
    chosen : int array or None
        Numbers of patches, counted row by row; all by default.

    Returns
    -------
    boxes : int64 array, (n_chosen, 4)
        ``y_px, x_px, height_px, width_px`` of each.

    Raises
    ------
    UserError
        If image or patch are smaller than what one feature sees, or ``chosen`` is not made of
        numbers of patches.
    """
    layout = laid_out_alike(model, height_px, width_px, patch_px)
    return layout.boxes(patch_numbers(layout.n_tiles, chosen))


def patch_numbers(n_patches: int, chosen: np.ndarray | None) -> np.ndarray:
    """Which patches are meant, int64 (n_chosen,): all of them unless some are chosen.

    Raises
    ------
    UserError
        If ``chosen`` is no list of whole numbers, or none of such patches.
    """
    if chosen is None:
        return np.arange(n_patches)
    found, expected = np.asarray(chosen), f"from 0 to {n_patches - 1}"
    if found.ndim != 1 or not np.issubdtype(found.dtype, np.integer):
        raise UserError(
            f"chosen has shape {found.shape} and type {found.dtype}; give the numbers of patches, "
            f"integers {expected} in one dimension"
        )
    if not len(found) or found.min() < 0 or found.max() >= n_patches:
        told = f"{len(found)} patches" + (f", {found.min()} to {found.max()}" if len(found) else "")
        raise UserError(f"chosen has {told}; give at least one, {expected}")
    return found.astype(np.int64)


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
    layout = laid_out_alike(model, *source.size_px, patch_px)
    found, n_cols = [], len(layout.col_counts)
    for first in range(0, layout.n_tiles, n_cols):
        # a strip holds all patches of a row; running sums along it give those of each patch
        boxes = layout.boxes(np.arange(first, first + n_cols))
        strip = replace(layout.tile(first), width_px=source.size_px[1])
        pixels = in_float64(source.tile(strip)[0])
        starts = torch.from_numpy(boxes[:, 1]).to(pixels.device)
        ends = starts + torch.from_numpy(boxes[:, 3]).to(pixels.device)
        n_pixels = (ends - starts) * strip.height_px
        sums, squares = (
            functional.pad(values.sum(dim=1).cumsum(dim=1), (1, 0))
            for values in (pixels, pixels**2)
        )
        means, others = ((of[:, ends] - of[:, starts]) / n_pixels for of in (sums, squares))
        found.append((others - means**2).clamp(min=0).sqrt().mean(dim=0).cpu())
    return torch.cat(found).numpy()
