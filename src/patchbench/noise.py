"""Patches that may be noise: what detectors look at, and what is done with what they say.

A detector gives every patch a score, higher is noisier. Ranks of the scores then drop patches or
weigh them down: of all train patches together, of a test image by itself. A floor keeps the least
noisy patch of each image.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from patchbench.io import read_array
from patchbench.patchset import gather

_CHUNK_PATCHES = 4096


@dataclass(frozen=True, kw_only=True)
class PatchView:
    """The patches of one split as detectors see them; patches of an image are consecutive.

    Attributes
    ----------
    image_of : int array, (n_patches,)
        Which image of the split a patch is from: 0, 1, ... without gaps.
    centers : float array, (n_patches, 2)
        Patch centre (vertical, horizontal) in the image, from -1 to 1; 0 is the middle.
    index : DataFrame
        Where the patches lie: ``y_px``, ``x_px``, ``height_px``, ``width_px``, ``shard``,
        ``offset``.
    n_classes : int
        Classes of the dataset.
    image : callable
        ``image(i)`` is image ``i`` of the split, uint8 (height_px, width_px, 3).
    pixels, embeddings : list of Path
        Shards of all patches; read through `pixel_chunks` and `embedding_chunks`.
    labels : int array, (n_patches,), or None
        Class of the image; None for a split whose labels nobody may use.
    folds : int array, (n_patches,), or None
        Fold of the image, where what is learned from labels must come from other folds.
    probabilities : float array, (n_patches, n_classes), or None
        Of a patch classifier that has not been fitted on these images.
    saliency : float array, (n_patches,), or None
        Mean of the raw Grad-CAM map over the patch, by a network not trained on the image.
    foreground : float array, (n_patches,), or None
        Share of the patch inside the object; only for controls.
    """

    image_of: np.ndarray
    centers: np.ndarray
    index: pd.DataFrame
    n_classes: int
    image: Callable[[int], np.ndarray]
    pixels: Sequence[Path] = ()
    embeddings: Sequence[Path] = ()
    labels: np.ndarray | None = None
    folds: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    saliency: np.ndarray | None = None
    foreground: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.image_of)

    @property
    def n_images(self) -> int:
        """Images of the split."""
        return int(self.image_of[-1]) + 1

    def pixel_chunks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Pixels of all patches, uint8 (m, height_px, width_px, 3), a few thousand at a time."""
        return self._chunks(self.pixels)

    def embedding_chunks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Embeddings of all patches, float32 (m, dim), a few thousand at a time."""
        return self._chunks(self.embeddings)

    def _chunks(self, shards: Sequence[Path]) -> Iterator[tuple[slice, np.ndarray]]:
        opened = [read_array(path) for path in shards]
        for start in range(0, len(self), _CHUNK_PATCHES):
            rows = slice(start, min(start + _CHUNK_PATCHES, len(self)))
            yield rows, gather(opened, self.index.iloc[rows])

    @property
    def boxes(self) -> np.ndarray:
        """Top, left, height and width of the patches, px: int (n_patches, 4)."""
        return self.index[["y_px", "x_px", "height_px", "width_px"]].to_numpy()


def per_image(values: np.ndarray, image_of: np.ndarray) -> np.ndarray:
    """Mean of a value (n_patches,) over the patches of each image: (n_images,)."""
    mean: np.ndarray = np.bincount(image_of, weights=values) / np.bincount(image_of)
    return mean


def relative(saliency: np.ndarray, image_of: np.ndarray) -> np.ndarray:
    """Saliency of a patch over the mean of its image, so that images compare; 1 where it is 0.

    Maps of different images, and of the networks of different folds, have no common unit.
    """
    mean = per_image(saliency, image_of)[image_of]
    return np.divide(saliency, mean, out=np.ones(len(mean)), where=mean > 0)


@dataclass(frozen=True)
class Kept:
    """Which patches stay: ``rows``, bool (n_patches,), and how many only the floor kept."""

    rows: np.ndarray
    n_by_floor: int


def noisiness_among(scores: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Share of reference scores that are lower, equal ones counted half: 0 to 1, (n,)."""
    ordered = np.sort(reference)
    sides = [np.searchsorted(ordered, scores, side) for side in ("left", "right")]
    found: np.ndarray = (sides[0] + sides[1]) / (2 * len(ordered))
    return found


def without_worst(
    scores: np.ndarray, fraction: float, image_of: np.ndarray, seed: int, least: int = 1
) -> Kept:
    """Drop the noisiest ``fraction`` of all patches; among equal ones the lot decides.

    Every image keeps its ``least`` cleanest patches whatever their scores, so no image and no
    class is lost. ``image_of`` is int (n_patches,), ascending from 0 without gaps.
    """
    n_kept = len(scores) - round(fraction * len(scores))
    lot = np.random.default_rng(seed).random(len(scores))
    rows = np.zeros(len(scores), dtype=bool)
    rows[np.lexsort((lot, scores))[:n_kept]] = True
    floor = (_place_in_image(scores, image_of, lot) < least) & ~rows
    return Kept(rows | floor, int(floor.sum()))


def without_worst_of_each(
    scores: np.ndarray, fraction: float, image_of: np.ndarray, seed: int, least: int = 1
) -> Kept:
    """Drop the noisiest ``fraction`` of each image, rounded; otherwise as `without_worst`.

    What is kept of an image does not depend on other images, so one alone can be decided, and
    every detector drops as many patches.
    """
    sizes = np.bincount(image_of)
    n_kept = (sizes - np.rint(fraction * sizes).astype(np.int64))[image_of]
    lot = np.random.default_rng(seed).random(len(scores))
    place = _place_in_image(scores, image_of, lot)
    floor = (place >= n_kept) & (place < least)
    return Kept((place < n_kept) | floor, int(floor.sum()))


def _place_in_image(scores: np.ndarray, image_of: np.ndarray, lot: np.ndarray) -> np.ndarray:
    """Number of each patch among those of its image, cleanest first: int (n_patches,)."""
    order = np.lexsort((lot, scores, image_of))
    starts = np.searchsorted(image_of, np.arange(image_of[-1] + 1))
    place = np.empty(len(scores), dtype=np.int64)
    place[order] = np.arange(len(scores)) - starts[image_of[order]]
    return place
