"""The embeddings of many images' patches, image after image: what rules without votes work on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from patchbench.bags import Ragged

_CHUNK_PATCHES = 8192

Pool = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From embeddings of some images (n_patches, dim) and their starts to a row an image."""


@dataclass(frozen=True)
class EmbeddedBags(Ragged):
    """Embeddings of several images' patches, read when they are asked for.

    Attributes
    ----------
    read : callable
        ``read(rows)``, rows being a slice: their embeddings, float32 (n, dim), a copy.
    dim : int
        Values in an embedding.
    bag_sizes : int array, (n_images,)
        Patches per image, in row order; none is 0.
    centers : float array, (n_patches, 2)
        Patch centre (vertical, horizontal) in the image, from -1 to 1; 0 is the middle.

    Raises
    ------
    UserError
        If the sizes do not add up to the centres, or an image has no patch.
    """

    read: Callable[[slice], np.ndarray]
    dim: int
    bag_sizes: np.ndarray
    centers: np.ndarray

    def __post_init__(self) -> None:
        self._refuse_wrong_sizes(len(self.centers), self.centers)

    @classmethod
    def of(
        cls, embeddings: np.ndarray, bag_sizes: np.ndarray, centers: np.ndarray
    ) -> "EmbeddedBags":
        """Bags of embeddings that are in memory, float (n_patches, dim)."""

        def read(rows: slice) -> np.ndarray:
            return np.array(embeddings[rows], np.float32)

        return cls(read, embeddings.shape[1], bag_sizes, centers)

    @property
    def image_of(self) -> np.ndarray:
        """Number of the image that each patch is from: int array, (n_patches,)."""
        return np.repeat(np.arange(len(self.bag_sizes)), self.bag_sizes)

    def chunks(self) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """Whole images, a few thousand patches at a time: images, rows, embeddings (n, dim)."""
        ends, first = np.cumsum(self.bag_sizes), 0
        while first < len(ends):
            start = int(ends[first] - self.bag_sizes[first])
            last = int(np.searchsorted(ends, start + _CHUNK_PATCHES, side="right"))
            last = max(first + 1, last)
            rows = slice(start, int(ends[last - 1]))
            yield slice(first, last), rows, self.read(rows)
            first = last

    def pooled(self, pool: Pool) -> np.ndarray:
        """One row an image, made by ``pool``: array, (n_images, ...)."""
        parts = [
            pool(embeddings, self.starts[images] - rows.start)
            for images, rows, embeddings in self.chunks()
        ]
        return np.concatenate(parts)

    def pieces(self, n_images: int) -> "list[EmbeddedBags]":
        """The same embeddings, ``n_images`` images after the other; read when asked for."""
        return [
            EmbeddedBags(
                partial(_read_from, self.read, rows.start),
                self.dim,
                self.bag_sizes[images],
                self.centers[rows],
            )
            for images, rows in self.runs(n_images)
        ]

    def take(self, chosen: np.ndarray) -> np.ndarray:
        """Embeddings of some patches, rows ascending: float32 array, (len(chosen), dim)."""
        found = np.empty((len(chosen), self.dim), np.float32)
        for _, rows, embeddings in self.chunks():
            first, last = np.searchsorted(chosen, (rows.start, rows.stop))
            found[first:last] = embeddings[chosen[first:last] - rows.start]
        return found


def _read_from(read: Callable[[slice], np.ndarray], start: int, rows: slice) -> np.ndarray:
    """Rows of what begins at row ``start`` of the whole."""
    return read(slice(start + rows.start, start + rows.stop))
