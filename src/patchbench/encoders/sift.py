"""SIFT descriptors of a patch, computed from its own pixels alone.

Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004; made RootSIFT by
Arandjelovic & Zisserman, "Three things everyone should know to improve object retrieval",
CVPR 2012. Descriptors by OpenCV, at places and a scale chosen here: nothing is detected, and
they stand upright, because a patch has a place and a direction already.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from patchbench import tables

if TYPE_CHECKING:
    import pandas as pd

    from patchbench.patchset import TrainingData

AGGREGATES = ("mean", "grid")
DESCRIPTOR_DIM = 128
MIN_SUPPORT_PX = 8
# OpenCV draws 4 x 4 cells of 1.5 keypoint sizes each
_SUPPORT_PER_SIZE = 6.0
# L2 norm OpenCV gives its descriptors
_OPENCV_NORM = 512.0


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
    support_px : int or None
        Side of the square one descriptor covers; None is the whole patch without ``step_px``
        and half of it (at least 8) with.
    aggregate : str
        How descriptors of a patch become one embedding: their ``mean``, or the ``grid`` of
        them one after the other.
    root : bool
        RootSIFT: compare descriptors by the Hellinger kernel.
    """

    patch_size_px: int
    step_px: int | None = None
    support_px: int | None = None
    aggregate: str = "mean"
    root: bool = True
    seed: int = 0
    device: str = "cpu"
    threads: int = 1

    supervised: ClassVar[bool] = False
    trained: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False
    control: ClassVar[bool] = False
    summary: ClassVar[str] = "Hand-designed histograms of gradient directions (SIFT, RootSIFT)."
    source: ClassVar[str] = "Lowe, IJCV 2004; Arandjelovic & Zisserman, CVPR 2012"

    def __post_init__(self) -> None:
        if self.patch_size_px < MIN_SUPPORT_PX:
            raise ValueError(
                f"patch_size_px is {self.patch_size_px}; SIFT needs at least {MIN_SUPPORT_PX}"
            )
        if self.step_px is not None and self.step_px < 1:
            raise ValueError(
                f"step_px is {self.step_px}; give at least 1, or null for one descriptor"
            )
        if self.aggregate not in AGGREGATES:
            raise ValueError(
                f"aggregate is {self.aggregate!r}; choose one of {', '.join(AGGREGATES)}"
            )
        if not MIN_SUPPORT_PX <= self._support_px <= self.patch_size_px:
            raise ValueError(
                f"support_px is {self._support_px}; it must be from {MIN_SUPPORT_PX} to "
                f"patch_size_px, {self.patch_size_px}"
            )
        self.device = "cpu"

    @property
    def _support_px(self) -> int:
        if self.support_px is not None:
            return self.support_px
        if self.step_px is None:
            return self.patch_size_px
        return max(MIN_SUPPORT_PX, self.patch_size_px // 2)

    @property
    def centers_px(self) -> np.ndarray:
        """Where descriptors sit, along either axis; float array, pixel 0 has its centre at 0."""
        if self.step_px is None:
            return np.array([(self.patch_size_px - 1) / 2])
        n_steps = (self.patch_size_px - self._support_px) // self.step_px
        first = (self.patch_size_px - 1 - n_steps * self.step_px) / 2
        return first + self.step_px * np.arange(n_steps + 1)

    @property
    def receptive_field_px(self) -> int:
        """Side of what an embedding sees: the whole patch."""
        return self.patch_size_px

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        n_descriptors = len(self.centers_px) ** 2 if self.aggregate == "grid" else 1
        return DESCRIPTOR_DIM * n_descriptors

    def fit(self, data: "TrainingData") -> "pd.DataFrame":
        """Do nothing: SIFT was designed, not learned; the history is empty."""
        return tables.empty("history")

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Uint8 (n, patch_size_px, patch_size_px, 3) to float32 (n, dim)."""
        import cv2

        cv2.setNumThreads(self.threads)
        sift = cv2.SIFT.create()
        keypoints = self._keypoints()
        embeddings = np.empty((len(pixels), self.dim), np.float32)
        for row, patch in enumerate(pixels):
            grey = cv2.cvtColor(np.ascontiguousarray(patch), cv2.COLOR_RGB2GRAY)
            _, descriptors = sift.compute(grey, keypoints)
            descriptors = self._normalised(descriptors)
            if self.aggregate == "mean":
                embeddings[row] = descriptors.mean(axis=0)
            else:
                embeddings[row] = descriptors.ravel()
        return embeddings

    def _keypoints(self) -> list[Any]:
        import cv2

        size = self._support_px / _SUPPORT_PER_SIZE
        # The octave is given, and the same for all: left open, OpenCV doubles the image when
        # any keypoint of the call asks for it, and the descriptors of all others change.
        return [
            cv2.KeyPoint(x=float(x), y=float(y), size=size, angle=0.0, response=1.0, octave=0)
            for y in self.centers_px
            for x in self.centers_px
        ]

    def _normalised(self, descriptors: np.ndarray) -> np.ndarray:
        if not self.root:
            return descriptors / np.float32(_OPENCV_NORM)
        total = np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-12)
        rooted: np.ndarray = np.sqrt(descriptors / total)
        return rooted

    def state(self) -> dict[str, np.ndarray]:
        """Nothing: all is in the settings."""
        return {}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Do nothing; see :meth:`state`."""
