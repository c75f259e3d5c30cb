"""What all ways share: two tasks, one kind of answer, and the pass over a whole image."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from patchbench.measuring import INFERENCE, TRAINING
from patchbench.networks.settings import BAGNET_LAYERS, BAGNET_WIDTH, check_bagnet
from patchbench.windows import Windows

if TYPE_CHECKING:
    from torch import Tensor, nn

    from patchbench.networks.bagnet import BagNet

# of a network's last layer; the logits of places, where a way keeps them, take this many values
N_CLASSES = 10


@dataclass(frozen=True)
class Look:
    """What one look at an image gave.

    Attributes
    ----------
    values : float array, (n,)
        Logits of the image in inference, its loss in training.
    n_pieces : int
        In how many pieces the network saw it.
    piece_px : int
        Longest side of a piece.
    redundant : float or None
        Work done twice where tiles overlap, as a share of one pass; None where nothing is streamed.
    """

    values: np.ndarray
    n_pieces: int
    piece_px: int
    redundant: float | None = None


Looking = Callable[[Windows], Look]


@dataclass(kw_only=True)
class OfBagNet:
    """Settings of the ways of a BagNet; a base of their classes.

    Parameters
    ----------
    receptive_field_px : int
        Side of the square one feature sees: 9, 17 or 33.
    width, layers : int, list of 4 ints
        Channels of the stem, and blocks per stage; as published unless given.
    """

    receptive_field_px: int = 33
    width: int = BAGNET_WIDTH
    layers: list[int] = field(default_factory=lambda: list(BAGNET_LAYERS))
    seed: int = 0
    device: str = "cpu"

    source: ClassVar[str] = "Brendel & Bethge, ICLR 2019, arXiv:1904.00760"

    def __post_init__(self) -> None:
        check_bagnet(self.receptive_field_px, self.width, self.layers)

    @property
    def least_px(self) -> int:
        """Side of the smallest image that it can look at."""
        return self.receptive_field_px

    def network(self) -> "BagNet":
        """The network with random weights, its batch norms as at inference."""
        import torch

        from patchbench.networks.bagnet import BagNet
        from patchbench.networks.weights import placed

        torch.manual_seed(self.seed)
        shape = (self.receptive_field_px, N_CLASSES, self.width, self.layers)
        return placed(BagNet(*shape), self.device).eval()


def loss(logits: "Tensor") -> "Tensor":
    """Cross-entropy of logits, (1, n_classes), when the image is of the first class."""
    import torch
    from torch.nn import functional

    return functional.cross_entropy(logits, torch.zeros(1, dtype=torch.long, device=logits.device))


def whole(network: "nn.Module", task: str, device: str) -> Looking:
    """One pass over the image, all of which is in memory."""
    import torch

    from patchbench.networks.pixels import Scale

    scale = Scale.imagenet()

    def look(image: Windows) -> Look:
        pixels = image.read(0, 0, image.height_px, image.width_px)
        given = scale.tensor(pixels[None], device)
        with torch.inference_mode(task == INFERENCE):
            found = network(given)
            if task == TRAINING:
                found = loss(found)
                torch.autograd.backward(found)
        values = found.detach().cpu().numpy().reshape(-1)
        return Look(values, 1, max(image.height_px, image.width_px))

    return look
