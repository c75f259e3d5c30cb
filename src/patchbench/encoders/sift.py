"""SIFT descriptors of a patch, computed from its own pixels alone, one or many, then joined.

Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004; made RootSIFT by
Arandjelovic & Zisserman, "Three things everyone should know to improve object retrieval",
CVPR 2012; in opponent colours by van de Sande, Gevers & Snoek, "Evaluating color descriptors
for object and scene recognition", TPAMI 2010.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from patchbench import tables
from patchbench.checks import check_choice, check_counts
from patchbench.encoders._codebooks import (
    bag_of_words,
    fisher_vector,
    fit_mixture,
    fit_projection,
    fit_words,
    project,
    vlad,
)
from patchbench.encoders._sift_descriptors import (
    COLORS,
    DESCRIPTOR_DIM,
    centers_px,
    describe,
    keypoints,
)
from patchbench.patchset import checked
from patchbench.seeds import derive

if TYPE_CHECKING:
    import pandas as pd

    from patchbench.patchset import TrainingData

WITHOUT_WORDS = ("mean", "grid")
WITH_WORDS = ("bovw", "vlad", "fisher")
MIN_SUPPORT_PX = 8
# patches whose descriptors are in memory at once
_CHUNK_PATCHES = 256


@dataclass(kw_only=True)
class Encoder:
    """SIFT of each patch.

    Parameters
    ----------
    patch_size_px : int
        Side of the patches, at least 8.
    step_px : int or None
        None: one descriptor at the centre. A number: a descriptor every so many px, as long
        as what it covers lies inside the patch.
    support_px : int, list of int or None
        Side of the square one descriptor covers; a list is several sizes side by side. None
        is the whole patch without ``step_px`` and half of it (at least 8) with.
    aggregate : str
        How descriptors of a patch become one embedding: their ``mean``, the ``grid`` of them
        one after the other, shares of visual words (``bovw``), what is left after the nearest
        word (``vlad``), or a Fisher vector (``fisher``). The last three need ``step_px``.
    color : str
        ``grey``, or ``opponent``: a descriptor each of intensity, red-green and yellow-blue.
    root : bool
        RootSIFT: compare descriptors by the Hellinger kernel.
    pca_dim : int or None
        Principal components kept of each descriptor before they are joined; None keeps all.
    n_words : int
        Visual words, or Gaussians of the Fisher vector.
    n_fit_descriptors : int
        Descriptors of train patches, about, that components and words are fitted on.
    """

    patch_size_px: int
    step_px: int | None = None
    support_px: int | list[int] | None = None
    aggregate: str = "mean"
    color: str = "grey"
    root: bool = True
    pca_dim: int | None = None
    n_words: int = 16
    n_fit_descriptors: int = 100_000
    seed: int = 0
    device: str = "cpu"
    threads: int = 1

    supervised: ClassVar[bool] = False
    trained: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False
    control: ClassVar[bool] = False
    summary: ClassVar[str] = (
        "Hand-designed histograms of gradient directions (SIFT, RootSIFT), one or many, as mean, "
        "visual words, VLAD or Fisher vector."
    )
    source: ClassVar[str] = (
        "Lowe, IJCV 2004; Arandjelovic & Zisserman, CVPR 2012; Csurka et al. 2004; Jegou et al., "
        "CVPR 2010; Perronnin et al., ECCV 2010"
    )

    def __post_init__(self) -> None:
        if self.patch_size_px < MIN_SUPPORT_PX:
            raise ValueError(
                f"patch_size_px is {self.patch_size_px}; SIFT needs at least {MIN_SUPPORT_PX}"
            )
        if self.step_px is not None and self.step_px < 1:
            raise ValueError(
                f"step_px is {self.step_px}; give at least 1, or null for one descriptor"
            )
        check_choice("aggregate", self.aggregate, (*WITHOUT_WORDS, *WITH_WORDS))
        check_choice("color", self.color, tuple(COLORS))
        if self.aggregate in WITH_WORDS and self.step_px is None:
            raise ValueError(
                f"aggregate is {self.aggregate!r} but step_px is null; give step_px a number, "
                f"or choose one of {', '.join(WITHOUT_WORDS)}"
            )
        self._check_supports()
        check_counts(n_words=self.n_words, n_fit_descriptors=self.n_fit_descriptors)
        longest = DESCRIPTOR_DIM * COLORS[self.color]
        if self.pca_dim is not None and not 1 <= self.pca_dim <= longest:
            raise ValueError(
                f"pca_dim is {self.pca_dim}; it must be from 1 to {longest}, or null for no PCA"
            )
        self.device = "cpu"
        self._book: dict[str, np.ndarray] = {}

    def _check_supports(self) -> None:
        supports = self.supports_px
        if not supports or any(type(support) is not int for support in supports):
            raise ValueError(
                f"support_px is {self.support_px!r}; give a whole number, a list of them, or null"
            )
        for support_px in supports:
            if not MIN_SUPPORT_PX <= support_px <= self.patch_size_px:
                raise ValueError(
                    f"support_px is {support_px}; it must be from {MIN_SUPPORT_PX} to "
                    f"patch_size_px, {self.patch_size_px}"
                )

    @property
    def supports_px(self) -> list[int]:
        """Sides of the squares that descriptors cover."""
        if self.support_px is not None:
            return self.support_px if isinstance(self.support_px, list) else [self.support_px]
        if self.step_px is None:
            return [self.patch_size_px]
        return [max(MIN_SUPPORT_PX, self.patch_size_px // 2)]

    @property
    def n_places(self) -> int:
        """Descriptors per patch, colours of one place counted once."""
        sides = [len(centers_px(self.patch_size_px, self.step_px, s)) for s in self.supports_px]
        return sum(side**2 for side in sides)

    @property
    def receptive_field_px(self) -> int:
        """Side of what an embedding sees: the whole patch."""
        return self.patch_size_px

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        descriptor_dim = self.pca_dim or DESCRIPTOR_DIM * COLORS[self.color]
        return {
            "mean": descriptor_dim,
            "grid": descriptor_dim * self.n_places,
            "bovw": self.n_words,
            "vlad": descriptor_dim * self.n_words,
            "fisher": 2 * descriptor_dim * self.n_words,
        }[self.aggregate]

    def fit(self, data: "TrainingData") -> "pd.DataFrame":
        """Fit components and words, where the settings ask for any; the history is empty."""
        self._book = {}
        if self.pca_dim is None and self.aggregate in WITHOUT_WORDS:
            return tables.empty("history")
        n_patches = -(-self.n_fit_descriptors // self.n_places)
        sample = data.sample_patches(n_patches, derive(self.seed, "encoder", "sift", "sample"))
        chunks = range(0, len(sample), _CHUNK_PATCHES)
        parts = [self._descriptors(sample[i : i + _CHUNK_PATCHES]) for i in chunks]
        descriptors = np.concatenate([part.reshape(-1, part.shape[-1]) for part in parts])
        if self.pca_dim is not None:
            self._book |= fit_projection(descriptors, self.pca_dim)
            descriptors = project(descriptors, self._book["center"], self._book["axes"])
        seed = derive(self.seed, "encoder", "sift", "words")
        if self.aggregate == "fisher":
            self._book |= fit_mixture(descriptors, self.n_words, seed, self.threads)
        elif self.aggregate in WITH_WORDS:
            self._book |= fit_words(descriptors, self.n_words, seed, self.threads)
        return tables.empty("history")

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Uint8 (n, patch_size_px, patch_size_px, 3) to float32 (n, dim)."""
        pixels = checked(pixels, self.patch_size_px)
        embeddings = np.empty((len(pixels), self.dim), np.float32)
        for start in range(0, len(pixels), _CHUNK_PATCHES):
            rows = slice(start, start + _CHUNK_PATCHES)
            embeddings[rows] = self._joined(self._descriptors(pixels[rows]))
        return embeddings

    def _descriptors(self, pixels: np.ndarray) -> np.ndarray:
        """Float32 (n, n_places, 128 or 384)."""
        places = keypoints(self.patch_size_px, self.step_px, self.supports_px)
        return describe(pixels, places, color=self.color, root=self.root, threads=self.threads)

    def _joined(self, descriptors: np.ndarray) -> np.ndarray:
        """Float (n, dim) of all descriptors of each patch."""
        book = self._book
        if self.pca_dim is not None:
            descriptors = project(descriptors, book["center"], book["axes"])
        match self.aggregate:
            case "mean":
                return descriptors.mean(axis=1)
            case "bovw":
                return bag_of_words(descriptors, book["words"])
            case "vlad":
                return vlad(descriptors, book["words"])
            case "fisher":
                return fisher_vector(descriptors, book["weights"], book["means"], book["variances"])
        return descriptors.reshape(len(descriptors), -1)

    def state(self) -> dict[str, np.ndarray]:
        """Components and words; nothing where all is in the settings."""
        return dict(self._book)

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take back what :meth:`state` gave."""
        self._book = dict(state)
