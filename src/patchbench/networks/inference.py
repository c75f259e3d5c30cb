"""Ask a network about many images, a few at a time."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from patchbench.networks.pixels import Scale


def in_batches(
    ask: Callable[[Tensor], Tensor],
    images: np.ndarray,
    rows: np.ndarray,
    scale: Scale,
    device: str,
    batch_size: int,
) -> np.ndarray:
    """Apply ``ask`` to the chosen rows of ``images``, without gradients.

    Parameters
    ----------
    ask : callable
        From float tensor (n, 3, height, width), scaled, to tensor (n, n_values).
    images : uint8 array, (n_images, height, width, 3)
        May be memory-mapped.
    rows : int array, (n_rows,)
        Rows of ``images``.
    scale : Scale
        What the network was trained on.
    device : str
        Where the network is.
    batch_size : int
        Images at a time; small enough for the first feature maps to stay in the cache.

    Returns
    -------
    values : float32 array, (n_rows, n_values)
    """
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), batch_size):
            pixels = images[rows[start : start + batch_size]]
            parts.append(ask(scale.tensor(pixels, device)).float().cpu())
    return torch.cat(parts).numpy() if parts else np.empty((0, 0), np.float32)
