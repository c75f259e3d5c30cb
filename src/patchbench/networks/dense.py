"""The features of many patches of an image from one pass over the image.

A BagNet pads nothing, so a place of its feature map depends on the same pixels whether the
network is shown the image or a patch of it; patches that start at multiples of its stride can
be read off the map.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from patchbench.networks.bagnet import FEATURE_STRIDE_PX


def fits(starts: np.ndarray, patch_size_px: int, side_px: int) -> bool:
    """Whether patches lie inside the image and whole strides apart, along one side."""
    inside = starts[0] >= 0 and starts[-1] + patch_size_px <= side_px
    return bool(inside and not ((starts - starts[0]) % FEATURE_STRIDE_PX).any())


def patch_means(
    embed: Callable[[Tensor], Tensor],
    images: Tensor,
    starts: tuple[np.ndarray, np.ndarray],
    patch_size_px: int,
    receptive_field_px: int,
) -> Tensor:
    """Mean feature of each patch of a grid.

    Parameters
    ----------
    embed : callable
        From images to features of every place, (n, rows, cols, dim).
    images : float tensor, (n, 3, height, width)
        Scaled.
    starts : pair of int arrays
        Top and left edges of the patches; :func:`fits` must hold for both.
    patch_size_px, receptive_field_px : int
        Side of a patch, and of what one feature sees.

    Returns
    -------
    means : float tensor, (n * n_rows * n_cols, dim)
        Image by image, row by row.
    """
    ys, xs = starts
    ends = [int(at[-1]) + patch_size_px for at in starts]
    features = embed(images[:, :, ys[0] : ends[0], xs[0] : ends[1]]).permute(0, 3, 1, 2)
    # a patch holds this many features along a side, its first one at its own corner
    n_features = (patch_size_px - receptive_field_px) // FEATURE_STRIDE_PX + 1
    means = functional.avg_pool2d(features, n_features, stride=1)
    rows, cols = (torch.from_numpy((at - at[0]) // FEATURE_STRIDE_PX) for at in starts)
    chosen = means[:, :, rows.to(means.device)][:, :, :, cols.to(means.device)]
    return chosen.permute(0, 2, 3, 1).flatten(0, 2)
