"""The gradient of an image of any size, in the memory of one tile.

The loss of an image sees the mean of its features only. So the gradient reaches every place
through the same vector, the gradient with respect to that mean, and once it is known each tile can
go backward by itself: a first pass over the tiles gives mean, loss and that vector, a second
one the gradients, which add up to those of the whole image.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from patchbench.networks.bagnet import BagNet
from patchbench.networks.pixels import Scale
from patchbench.networks.precision import dtype_of
from patchbench.networks.settings import PRECISIONS, check_choice
from patchbench.streaming.inference import norms_frozen
from patchbench.streaming.source import Image, Source, source_of
from patchbench.streaming.tiles import Tile, laid_out, within

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
        tiles of the first pass, all but one, come on top.
    """

    loss: float
    logits: Tensor
    tile_px: int
    n_tiles: int
    redundant_work: float


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
    *others, last = layout
    features = _Features(model, source, precision)
    with norms_frozen(model), _all_or_nothing(model):
        with torch.no_grad():
            total = torch.zeros(model.dim, dtype=torch.float64, device=source.device)
            for tile in others:
                total += features.total(tile)
        # the last tile need not be computed again: it keeps what its backward pass needs
        kept = features.total(last)
        n_places = layout.n_rows * layout.n_cols
        mean = ((total + kept.detach()) / n_places).to(source.dtype).requires_grad_()
        with features.autocast():
            logits = model.fc(mean[None])
            value = loss(logits)
        torch.autograd.backward(value * weight)
        assert mean.grad is not None
        gradient = mean.grad.double() / n_places
        if kept.requires_grad:
            torch.autograd.backward(kept, gradient)
            del kept
            for tile in others:
                torch.autograd.backward(features.total(tile), gradient)
    work = layout.redundant_work(model)
    return StreamedLoss(value.item(), logits.detach()[0], layout.tile_px, layout.n_tiles, work)


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
        return found.sum(dim=(0, 1, 2), dtype=torch.float64)


@contextmanager
def _all_or_nothing(model: nn.Module) -> Iterator[None]:
    """Collect gradients apart, and add them to those there were once all are known."""
    parameters = [part for part in model.parameters() if part.requires_grad]
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
