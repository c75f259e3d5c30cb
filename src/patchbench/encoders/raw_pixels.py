"""Raw pixels, decorrelated and scaled by PCA whitening: a control that knows only second moments.

Whitened patches are the common first step of learned patch dictionaries; Coates, Ng & Lee, "An
analysis of single-layer networks in unsupervised feature learning", AISTATS 2011.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from patchbench import tables
from patchbench.encoders._projection import centred, exact, project
from patchbench.networks.settings import check_counts
from patchbench.seeds import derive

if TYPE_CHECKING:
    import pandas as pd

    from patchbench.patchset import TrainingData

# variance added to each component before it is scaled to one, on the scale 0-255: components
# that are mostly rounding of pixels are not blown up
_FLOOR = 1.0


@dataclass(kw_only=True)
class Encoder:
    """Whitened principal components of the pixels of a patch.

    Parameters
    ----------
    patch_size_px : int
        Side of the patches.
    dim : int
        Components kept; at most 3 * patch_size_px ** 2. Where fewer train patches are there,
        the rest are 0.
    n_fit_patches : int
        Train patches that the components are measured on, drawn at random.
    """

    patch_size_px: int
    dim: int = 64
    n_fit_patches: int = 10_000
    seed: int = 0
    device: str = "cpu"
    threads: int = 1

    supervised: ClassVar[bool] = False
    trained: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False
    control: ClassVar[bool] = True
    summary: ClassVar[str] = "Principal components of the pixels, each scaled to the same spread."
    source: ClassVar[str] = "Pearson 1901; Coates, Ng & Lee, AISTATS 2011"

    def __post_init__(self) -> None:
        check_counts(
            patch_size_px=self.patch_size_px, dim=self.dim, n_fit_patches=self.n_fit_patches
        )
        n_values = 3 * self.patch_size_px**2
        if self.dim > n_values:
            raise ValueError(f"dim is {self.dim}; a patch has only {n_values} values")
        self.device = "cpu"

    @property
    def receptive_field_px(self) -> int:
        """Side of what an embedding sees: the whole patch."""
        return self.patch_size_px

    def fit(self, data: "TrainingData") -> "pd.DataFrame":
        """Measure the components on train patches; nothing is trained, the history is empty."""
        from sklearn.decomposition import PCA

        seed = derive(self.seed, "encoder", "raw_pixels")
        values = centred(data.sample_patches(self.n_fit_patches, seed))
        n_components = min(self.dim, *values.shape)
        pca = PCA(n_components, svd_solver="covariance_eigh").fit(values)
        weights = np.zeros((values.shape[1], self.dim))
        weights[:, :n_components] = pca.components_.T / np.sqrt(pca.explained_variance_ + _FLOOR)
        self._weights = exact(weights)
        self._offset = pca.mean_ @ self._weights
        return tables.empty("history")

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Uint8 (n, patch_size_px, patch_size_px, 3) to float32 (n, dim)."""
        return project(pixels, self._weights, self._offset)

    def state(self) -> dict[str, np.ndarray]:
        """Give weights, float64 (3 * patch_size_px ** 2, dim), and offset, float64 (dim,)."""
        return {"weights": self._weights, "offset": self._offset}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take back what :meth:`state` gave."""
        self._weights, self._offset = state["weights"], state["offset"]
