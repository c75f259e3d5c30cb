"""The votes of many images, image after image: what fusion rules work on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from patchbench.errors import UserError

_weightless: ContextVar[list[int]] = ContextVar("weightless")


@contextmanager
def weightless() -> Iterator[list[int]]:
    """Collect how many images had only patches of no weight: a number for each such mean."""
    found: list[int] = []
    token = _weightless.set(found)
    try:
        yield found
    finally:
        _weightless.reset(token)


class Ragged:
    """Patches of several images, rows of one image consecutive, as many as ``bag_sizes`` says."""

    bag_sizes: np.ndarray

    @property
    def place_in_bag(self) -> np.ndarray:
        """Number of each patch in its image, from 0: int array, (n_patches,)."""
        return np.arange(self.bag_sizes.sum()) - np.repeat(self.starts, self.bag_sizes)

    def rank_in_bag(self, values: np.ndarray) -> np.ndarray:
        """Rank of each patch in its image, from 0; equal values share theirs: (n_patches,).

        Images of one size are ranked together, so that there is no loop over images.
        """
        found = np.empty(len(values))
        for size in np.unique(self.bag_sizes):
            rows = self.starts[self.bag_sizes == size][:, None] + np.arange(size)
            order = np.argsort(values[rows], axis=1)
            ordered = np.take_along_axis(values[rows], order, axis=1)
            differs = ordered[:, 1:] != ordered[:, :-1]
            edge = np.ones((len(rows), 1), dtype=bool)
            place = np.arange(size)
            first = np.where(np.hstack([edge, differs]), place, 0)
            last = np.where(np.hstack([differs, edge]), place, size - 1)[:, ::-1]
            first = np.maximum.accumulate(first, axis=1)
            last = np.minimum.accumulate(last, axis=1)[:, ::-1]
            found[np.take_along_axis(rows, order, axis=1)] = (first + last) / 2
        return found

    @property
    def starts(self) -> np.ndarray:
        """Row of the first patch of each image: int array, (n_images,)."""
        return np.cumsum(self.bag_sizes) - self.bag_sizes

    def runs(self, n_images: int) -> list[tuple[slice, slice]]:
        """Images and patches of runs of ``n_images`` images, fewer in the last."""
        ends = np.append(0, np.cumsum(self.bag_sizes))
        firsts = range(0, len(self.bag_sizes), n_images)
        lasts = [min(first + n_images, len(self.bag_sizes)) for first in firsts]
        return [
            (slice(first, last), slice(int(ends[first]), int(ends[last])))
            for first, last in zip(firsts, lasts, strict=True)
        ]

    def _refuse_wrong_sizes(self, n_patches: int, centers: np.ndarray) -> None:
        """Refuse bags that do not add up, or one without a patch."""
        if self.bag_sizes.sum() != n_patches:
            raise UserError(
                f"bag_sizes sums to {self.bag_sizes.sum()} but there are {n_patches} patches"
            )
        if (self.bag_sizes < 1).any():
            image = int(np.argmin(self.bag_sizes))
            raise UserError(f"image {image} has no patches; drop it before fusion")
        if centers.shape != (n_patches, 2):
            raise UserError(f"centers has shape {centers.shape}, expected ({n_patches}, 2)")


@dataclass(frozen=True)
class Bags(Ragged):
    """Patch logits of several images, rows of one image consecutive.

    Attributes
    ----------
    patch_logits : float array, (n_patches, n_classes)
        Unnormalised class scores, finite.
    bag_sizes : int array, (n_images,)
        Patches per image, in row order; sums to ``n_patches``; none is 0.
    centers : float array, (n_patches, 2)
        Patch centre (vertical, horizontal) in the image, from -1 to 1; 0 is the middle.
    noise : mapping
        For each detector entry how noisy it finds each patch, higher is noisier: (n_patches,).

    Raises
    ------
    UserError
        If the sizes do not add up, an image has no patch, or a logit is not finite.
    """

    patch_logits: np.ndarray
    bag_sizes: np.ndarray
    centers: np.ndarray
    noise: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._refuse_wrong_sizes(len(self.patch_logits), self.centers)
        if not np.isfinite(self.patch_logits).all():
            row = int(np.argwhere(~np.isfinite(self.patch_logits))[0, 0])
            image = int(np.searchsorted(np.cumsum(self.bag_sizes), row, side="right"))
            raise UserError(
                f"patch {row} (image {image}) has a logit that is NaN or infinite; "
                "look at the patch classifier that made it"
            )

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Softmax of each patch's logits; float64 array, (n_patches, n_classes)."""
        return softmax(self.patch_logits)

    @property
    def votes(self) -> np.ndarray:
        """One vote per patch, (n_patches, n_classes), split where classes share its best logit."""
        votes = self.patch_logits == self.patch_logits.max(axis=1, keepdims=True)
        return votes / votes.sum(axis=1, keepdims=True)

    @cached_property
    def sorted_probabilities(self) -> np.ndarray:
        """Probabilities of each image sorted class by class, largest first: (n_patches, n_classes).

        Images of one size are sorted together, so that there is no loop over images.
        """
        found = np.empty_like(self.probabilities)
        for size in np.unique(self.bag_sizes):
            rows = self.starts[self.bag_sizes == size][:, None] + np.arange(size)
            found[rows] = -np.sort(-self.probabilities[rows], axis=1)
        return found

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Sum of per-patch ``values`` (n_patches, ...) over each image: (n_images, ...)."""
        return np.add.reduceat(values, self.starts, axis=0)

    def mean(self, values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Weighted mean of per-patch ``values`` over each image.

        ``weights`` are (n_patches,), not negative; an image whose weights are all zero falls
        back to equal weights, and `weightless` knows of it.
        """
        if weights is None:
            return self.sum(values) / self.bag_sizes[:, None]
        total = self.sum(weights)
        if not total.all():
            _weightless.get([]).append(int((total == 0).sum()))
        weights = np.where(np.repeat(total, self.bag_sizes) > 0, weights, 1.0)
        return self.sum(values * weights[:, None]) / self.sum(weights)[:, None]

    def max(self, values: np.ndarray) -> np.ndarray:
        """Largest of per-patch ``values`` over each image: (n_images, ...)."""
        return np.maximum.reduceat(values, self.starts, axis=0)

    def pieces(self, n_images: int) -> "list[Bags]":
        """The same votes, ``n_images`` images after the other: views, nothing is copied."""
        found = []
        for images, rows in self.runs(n_images):
            noise = {name: scores[rows] for name, scores in self.noise.items()}
            part = self.patch_logits[rows], self.bag_sizes[images], self.centers[rows]
            found.append(Bags(*part, noise))
        return found

    def of_images(self, chosen: np.ndarray) -> "Bags":
        """The bags of some images only; ``chosen`` is bool (n_images,)."""
        rows = np.repeat(chosen, self.bag_sizes)
        noise = {name: scores[rows] for name, scores in self.noise.items()}
        return Bags(self.patch_logits[rows], self.bag_sizes[chosen], self.centers[rows], noise)


def shares(scores: np.ndarray) -> np.ndarray:
    """Scores (n, n_classes), not negative, scaled to sum to 1; alike where all are 0."""
    total = scores.sum(axis=1, keepdims=True)
    equal = np.full_like(scores, 1 / scores.shape[1])
    return np.divide(scores, total, out=equal, where=total > 0)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis, in float64, without overflow."""
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)
