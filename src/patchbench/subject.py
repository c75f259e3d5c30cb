"""What experiments are done on: a fitted method, test images, and how it decides on them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from patchbench.bags import softmax
from patchbench.study import NONE

MEAN_PROBABILITY, MEAN_LOGIT = "mean_probability", "mean_logit"
_CHUNK_IMAGES = 64

Ask = Callable[[np.ndarray], np.ndarray]
"""Images, uint8 (n, height_px, width_px, 3), to logits (n, n_votes, n_classes).

A CNN has one vote an image."""


@dataclass(frozen=True)
class Channels:
    """The last, linear step of a method: image logits are ``features @ weights + bias``.

    Attributes
    ----------
    features : float array, (n_images, dim)
        Mean over the patches of an image; 0 is where a channel says nothing.
    weights : float array, (dim, n_classes)
    bias : float array, (n_classes,)
    """

    features: np.ndarray
    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A fitted method and test images; what no experiment asked for is None.

    Attributes
    ----------
    labels : int array, (n_images,)
        True classes.
    group_of : int array, (n_images,)
        Group of each image, from 0; images of a group are drawn together.
    fusions : tuple of str
        How votes are joined: mean_probability and mean_logit, or "none" for a CNN.
    votes : float array, (n_images, n_patches, n_classes), or None
        Logits of the patches.
    centers : float array, (n_patches, 2), or None
        Patch centre (vertical, horizontal), from -1 to 1; 0 is the middle of the image.
    cells : int array, (n_patches, 2), or None
        Row and column of each patch in the grid.
    channels : Channels or None
    images : uint8 array, (n_images, height_px, width_px, 3), or None
    ask : Ask or None
        The whole method, from pixels to votes.
    """

    labels: np.ndarray
    group_of: np.ndarray
    fusions: tuple[str, ...]
    votes: np.ndarray | None = None
    centers: np.ndarray | None = None
    cells: np.ndarray | None = None
    channels: Channels | None = None
    images: np.ndarray | None = None
    ask: Ask | None = None

    def asked(
        self, change: Callable[[np.ndarray, np.ndarray], np.ndarray], rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Votes on changed images: float array, (n_rows, n_votes, n_classes).

        Parameters
        ----------
        change : callable
            From images, uint8 (n, height_px, width_px, 3), and their places among ``rows``, to
            images of the same size.
        rows : int array, or None
            Images to change; all unless given.
        """
        images, ask = self.images, self.ask
        if images is None or ask is None:
            raise ValueError("the subject has no images or no model to ask; open it with both")
        places = np.arange(len(images) if rows is None else len(rows))
        parts = np.split(places, range(_CHUNK_IMAGES, len(places), _CHUNK_IMAGES))
        chosen = places if rows is None else rows
        return np.concatenate([ask(change(images[chosen[part]], part)) for part in parts])


def decided(votes: np.ndarray, fusion: str) -> np.ndarray:
    """Probabilities of images from votes (n, n_votes, n_classes): float64 array, (n, n_classes).

    The mean of probabilities, or the softmax of the mean of logits; one vote stays as it is.

    >>> decided(np.log([[[0.8, 0.2], [0.2, 0.8]]]), MEAN_LOGIT).round(2)
    array([[0.5, 0.5]])
    """
    if fusion == MEAN_PROBABILITY:
        found: np.ndarray = softmax(votes).mean(axis=1)
        return found
    if fusion in (MEAN_LOGIT, NONE):
        return softmax(np.asarray(votes, dtype=np.float64).mean(axis=1))
    raise ValueError(f"fusion is {fusion!r}; choose {MEAN_PROBABILITY} or {MEAN_LOGIT}")
