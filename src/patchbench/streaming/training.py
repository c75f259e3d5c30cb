"""The gradient of an image of any size, in the memory of one tile.

The loss of an image sees the mean of its features only. So the gradient reaches every place
through the same vector, the gradient with respect to that mean, and once it is known each tile can
go backward by itself: a first pass over the tiles gives mean, loss and that vector, a second
one the gradients, which add up to those of the whole image.

Where the image's logits are pooled otherwise, the loss sees the logits of the places: a map of a
few numbers for each stride of 8 px. The first pass gives that map, the loss and the gradient with
respect to the map; the second one visits those tiles alone where that gradient is not nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from patchbench.checks import check_choice
from patchbench.networks.bagnet import BagNet
from patchbench.networks.pixels import Scale
from patchbench.networks.precision import dtype_of, in_float64
from patchbench.networks.settings import (
    PRECISIONS,
)
from patchbench.streaming.inference import norms_frozen
from patchbench.streaming.pools import Pool
from patchbench.streaming.source import Image, Source, source_of
from patchbench.streaming.tiles import Layout, Tile, laid_out, within

DEFAULT_TRAINING_MIB = 1024.0
Loss = Callable[[Tensor], Tensor]
"""From the logits of an image, (1, n_classes), to a scalar."""


@dataclass(frozen=True)
class StreamedLoss:
    """What a training image gave.

    Attributes
    ----------
    loss : float
        Of the image, before its weight.
    logits : Tensor, (n_classes,)
        Of the image.
    tile_px : int
        Longest side of the tiles that were used.
    n_tiles : int
        How many there were.
    redundant_work : float
        Multiply-adds done twice where tiles overlap, as a share of one pass over the image. The
        tiles of the first pass come on top: all but one, or all with a pool.
    n_backward : int
        Tiles that a gradient came from: all, unless a pool left some out.
    """

    loss: float
    logits: Tensor
    tile_px: int
    n_tiles: int
    redundant_work: float
    n_backward: int


def stream_gradients(
    model: BagNet,
    image: Image,
    loss: Loss,
    tile_px: int | None = None,
    *,
    max_memory_mib: float = DEFAULT_TRAINING_MIB,
    scale: Scale | None = None,
    weight: float = 1.0,
    precision: str = "float32",
    pool: Pool | None = None,
) -> StreamedLoss:
    """Add the gradient of an image's loss to the gradients of the parameters.

    It is that of ``loss(model(image)).backward()`` with frozen batch norms, up to rounding. As
    there, gradients accumulate until they are cleared; either all of them grow, or, on an error,
    none.

    Parameters
    ----------
    model : BagNet
        Its batch norms use the statistics they have and do not learn new ones; their scales and
        shifts do learn.
    image : Tensor, array or Windows
        As for :func:`~patchbench.streaming.stream_logits`. It is read twice.
    loss : callable
        From logits (1, n_classes) to a scalar tensor.
    tile_px : int or None
        Longest side of a tile, px, overlap included; by default as large as ``max_memory_mib``
        allows.
    max_memory_mib : float
        For the feature maps of a tile; model, gradients and image come on top.
    scale : Scale or None
        What the pixels are scaled by; needed unless the image is a tensor.
    weight : float
        What the loss counts: one nth for the mean over n images, one after the other.
    precision : str
        ``float32``: compute in the type of the model's weights; ``bfloat16``: in that type
        where it is safe; ``auto``: the latter where the processor has instructions for it.
    pool : callable or None
        From the logits of the places, (rows, cols, n_classes), to those of the image, as
        `streaming.pools` makes; by default their mean. It is handed the whole map, which grows
        with the image.

    Returns
    -------
    streamed : StreamedLoss

    Raises
    ------
    UserError
        As :func:`~patchbench.streaming.stream_logits`, among them if the file changes between
        the two passes.
    """
    check_choice("precision", precision, PRECISIONS)
    source = source_of(model, image, scale)
    if tile_px is None:
        tile_px = within(model, *source.size_px, max_memory_mib, training=True)
    layout = laid_out(model, *source.size_px, tile_px)
    features = _Features(model, source, precision)
    with norms_frozen(model), all_or_nothing(model, pool, loss):
        if pool is None:
            value, logits = _through_mean(features, layout, loss, weight)
            n_backward = layout.n_tiles
        else:
            value, logits, n_backward = _through_places(features, layout, loss, weight, pool)
    work = layout.redundant_work(model)
    return StreamedLoss(value, logits, layout.tile_px, layout.n_tiles, work, n_backward)


def _through_mean(
    features: "_Features", layout: Layout, loss: Loss, weight: float
) -> tuple[float, Tensor]:
    model, source = features.model, features.source
    *others, last = range(layout.n_tiles)
    with torch.no_grad():
        total = in_float64(torch.zeros(model.dim, device=source.device))
        for tile in others:
            total += features.total(layout.tile(tile))
    # the last tile need not be computed again: it keeps what its backward pass needs
    kept = features.total(layout.tile(last))
    n_places = layout.n_rows * layout.n_cols
    mean = ((total + kept.detach()) / n_places).to(source.dtype).to(source.device)
    mean.requires_grad_()
    # not in reduced precision: this is one row, and a loss tells small differences of logits
    logits = model.fc(mean[None])
    value = loss(logits)
    torch.autograd.backward(value * weight)
    assert mean.grad is not None
    gradient = in_float64(mean.grad) / n_places
    if kept.requires_grad:
        torch.autograd.backward(kept, gradient)
        del kept
        for tile in others:
            torch.autograd.backward(features.total(layout.tile(tile)), gradient)
    return value.item(), logits.detach()[0]


def _through_places(
    features: "_Features", layout: Layout, loss: Loss, weight: float, pool: Pool
) -> tuple[float, Tensor, int]:
    model, source = features.model, features.source
    shape = layout.n_rows, layout.n_cols, model.fc.out_features
    evidence = torch.empty(shape, dtype=source.dtype, device=source.device)
    with torch.no_grad():
        for tile in layout:
            evidence[tile.rows, tile.cols] = features.logits(tile)
    evidence.requires_grad_()
    logits = pool(evidence)[None]
    value = loss(logits)
    torch.autograd.backward(value * weight)
    assert evidence.grad is not None
    n_backward = 0
    for tile in layout:
        gradient = evidence.grad[tile.rows, tile.cols]
        if gradient.any():
            torch.autograd.backward(features.logits(tile), gradient)
            n_backward += 1
    return value.item(), logits.detach()[0], n_backward


@dataclass(frozen=True)
class _Features:
    model: BagNet
    source: Source
    precision: str

    def autocast(self) -> torch.autocast:
        device = self.source.device.type
        reduced = dtype_of(self.precision, device) == torch.bfloat16
        return torch.autocast(device, torch.bfloat16, enabled=reduced)

    def total(self, tile: Tile) -> Tensor:
        """Sum of a tile's features, float64 (dim,)."""
        with self.autocast():
            found = self.model.embed(self.source.tile(tile))
        return in_float64(found).sum(dim=(0, 1, 2))

    def logits(self, tile: Tile) -> Tensor:
        """Logits of a tile's places, (rows, cols, n_classes), in the type of the model."""
        with self.autocast():
            found = self.model.patch_logits(self.source.tile(tile))[0]
        return found.to(self.source.dtype)


@contextmanager
def all_or_nothing(*parts: object) -> Iterator[None]:
    """Collect gradients apart, and add them to those there were once all are known.

    Of a network, and of a pool or a loss that learns; what is no module is left alone.
    """
    modules = [part for part in parts if isinstance(part, nn.Module)]
    # what two of them share counts once
    parameters = [part for part in nn.ModuleList(modules).parameters() if part.requires_grad]
    before = [parameter.grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    try:
        yield
    except BaseException:
        for parameter, gradient in zip(parameters, before, strict=True):
            parameter.grad = gradient
        raise
    for parameter, gradient in zip(parameters, before, strict=True):
        if gradient is None:
            continue
        if parameter.grad is not None:
            gradient += parameter.grad
        parameter.grad = gradient
