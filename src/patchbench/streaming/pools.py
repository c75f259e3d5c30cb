"""From the logits of the places of an image to those of the image, where few places matter.

The mean, which a BagNet is published with, drowns a few telling places among a million; these
rules let the strongest speak. Each takes (rows, cols, n_classes), or any other arrangement of
places before the classes, and gives (n_classes,).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from patchbench.errors import UserError

Pool = Callable[[Tensor], Tensor]
"""From the logits of the places, (..., n_classes), to those of the image, (n_classes,)."""


def top_share(share: float) -> Pool:
    """Mean of the highest logits of each class.

    Durand, Thome & Cord, "WELDON: weakly supervised learning of deep convolutional neural
    networks", CVPR 2016.

    Parameters
    ----------
    share : float
        Share of the places that count, above 0 to 1; rounded up.

    Raises
    ------
    UserError
        If it is no such share.
    """
    if not 0 < share <= 1:
        raise UserError(f"share is {share}; give a share of the places above 0, at most 1")

    def pool(evidence: Tensor) -> Tensor:
        places = evidence.flatten(0, -2)
        return places.topk(math.ceil(share * len(places)), dim=0).values.mean(dim=0)

    return pool


def top_places(n_places: int) -> Pool:
    """Mean of the ``n_places`` highest logits of each class, however many places were asked.

    Raises
    ------
    UserError
        If it is below 1.
    """
    if n_places < 1:
        raise UserError(f"n_places is {n_places}; give at least 1")

    def pool(evidence: Tensor) -> Tensor:
        places = evidence.flatten(0, -2)
        return places.topk(min(n_places, len(places)), dim=0).values.mean(dim=0)

    return pool


def attention(evidence: Tensor) -> Tensor:
    """Mean of the logits, where each place says itself how much it counts.

    For a network with one output more than there are classes: the last number of a place, by a
    softmax over all places, is its weight. It is linear attention over logits, after Ilse, Tomczak
    & Welling, "Attention-based deep multiple instance learning", ICML 2018.

    Parameters
    ----------
    evidence : Tensor, (..., n_classes + 1)

    Returns
    -------
    logits : Tensor, (n_classes,)
    """
    places = evidence.flatten(0, -2)
    weights = torch.softmax(places[:, -1], dim=0)
    return weights @ places[:, :-1]


def log_mean_exp(sharpness: float) -> Pool:
    """Mean of the logits on an exponential scale: between the mean and the maximum.

    Pinheiro & Collobert, "From image-level to pixel-level labeling with convolutional networks",
    CVPR 2015.

    Parameters
    ----------
    sharpness : float
        Towards 0 it is the mean, at large values the maximum.

    Raises
    ------
    UserError
        If it is not above 0.
    """
    if not sharpness > 0:
        raise UserError(f"sharpness is {sharpness}; give a number above 0")

    def pool(evidence: Tensor) -> Tensor:
        places = evidence.flatten(0, -2)
        highest = torch.logsumexp(sharpness * places, dim=0)
        return (highest - math.log(len(places))) / sharpness

    return pool
