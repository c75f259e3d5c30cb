"""A BagNet over an image of any size, in the memory of one tile.

The logits of an image are the mean over its places, and a place sees a small square only
(Brendel & Bethge, ICLR 2019, arXiv:1904.00760). So tiles that overlap enough give every place as
the pass over the whole image does.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from patchbench.errors import UserError
from patchbench.networks.bagnet import BagNet
from patchbench.networks.pixels import Scale
from patchbench.networks.precision import in_float64
from patchbench.streaming.source import Image, source_of
from patchbench.streaming.tiles import laid_out, within

DEFAULT_MEMORY_MIB = 512.0


@dataclass(frozen=True)
class Streamed:
    """What a network says of an image.

    Attributes
    ----------
    logits : Tensor, (n_classes,)
        Of the image.
    evidence : Tensor or None, (rows, cols, n_chosen_classes)
        Logits of every place; their mean is ``logits``. On the processor.
    embeddings : Tensor or None, (rows, cols, dim)
        Features of every place. On the processor.
    tile_px : int
        Longest side of the tiles that were used.
    n_tiles : int
        How many there were.
    redundant_work : float
        Multiply-adds done twice where tiles overlap, as a share of one pass over the image.
    """

    logits: Tensor
    evidence: Tensor | None
    embeddings: Tensor | None
    tile_px: int
    n_tiles: int
    redundant_work: float


def stream_logits(
    model: BagNet,
    image: Image,
    tile_px: int | None = None,
    *,
    max_memory_mib: float = DEFAULT_MEMORY_MIB,
    scale: Scale | None = None,
    evidence: bool = False,
    classes: Sequence[int] | None = None,
    embeddings: bool = False,
) -> Streamed:
    """Logits of an image, tile by tile; those of the pass over the whole image up to rounding.

    Parameters
    ----------
    model : BagNet
        Its batch norms are used as they are at inference, whatever its mode. Without them
        (:func:`patchbench.networks.folding.folded`) it is faster.
    image : Tensor, array or Windows
        A scaled float tensor (channels, height, width); a uint8 array (height, width, channels);
        or a file from :func:`patchbench.windows.open_windows`.
    tile_px : int or None
        Longest side of a tile, px, overlap included; by default as large as ``max_memory_mib``
        allows.
    max_memory_mib : float
        For the feature maps of a tile; model, image and what is returned come on top.
    scale : Scale or None
        What the network was trained on; needed unless the image is a tensor.
    evidence, embeddings : bool
        Also give the logits, or the features, of every place. Both grow with the image: ask for
        the ``classes`` that matter.
    classes : sequence of int or None
        The classes of the evidence map; all by default.

    Returns
    -------
    streamed : Streamed

    Raises
    ------
    UserError
        If image and model do not belong together, a tile is smaller than a receptive field, or
        the image's file is damaged or changes.
    """
    source = source_of(model, image, scale)
    if tile_px is None:
        tile_px = within(model, *source.size_px, max_memory_mib, training=False)
    layout = laid_out(model, *source.size_px, tile_px)
    shape = layout.n_rows, layout.n_cols
    head = _head(model, classes)
    kept = torch.empty(*shape, len(head[0]), dtype=source.dtype) if evidence else None
    features = torch.empty(*shape, model.dim, dtype=source.dtype) if embeddings else None
    total = in_float64(torch.zeros(model.dim, device=source.device))
    with norms_frozen(model), torch.inference_mode():
        for tile in layout:
            found = model.embed(source.tile(tile))[0]
            total += in_float64(found).sum(dim=(0, 1))
            if kept is not None:
                kept[tile.rows, tile.cols] = nn.functional.linear(found, *head).cpu()
            if features is not None:
                features[tile.rows, tile.cols] = found.cpu()
            del found
    mean = total / (layout.n_rows * layout.n_cols)
    with torch.no_grad():
        logits = model.fc(mean.to(source.dtype).to(source.device))
    work = layout.redundant_work(model)
    return Streamed(logits, kept, features, layout.tile_px, layout.n_tiles, work)


def _head(model: BagNet, classes: Sequence[int] | None) -> tuple[Tensor, Tensor]:
    n_classes = model.fc.out_features
    chosen = list(range(n_classes)) if classes is None else list(classes)
    for one in chosen:
        # refused, too, are negative numbers, which count from the end, and a mask
        whole = isinstance(one, int | np.integer) and not isinstance(one, bool)
        if not whole or one not in range(n_classes):
            raise UserError(
                f"classes has {one}, but the model has classes 0 to {n_classes - 1}; give those"
            )
    return model.fc.weight.detach()[chosen], model.fc.bias.detach()[chosen]


@contextmanager
def norms_frozen(model: nn.Module) -> Iterator[None]:
    """Let batch norms use what they have learnt; afterwards they are as they were.

    Statistics of a batch would be those of a tile, not of the image.
    """
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d) and part.training]
    for norm in norms:
        norm.eval()
    try:
        yield
    finally:
        for norm in norms:
            norm.train()
