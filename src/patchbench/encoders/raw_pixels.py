"""Raw pixels, decorrelated and scaled by PCA whitening: a control that knows only second moments.

Whitened patches are the common first step of learned patch dictionaries; Coates, Ng & Lee, "An
analysis of single-layer networks in unsupervised feature learning", AISTATS 2011.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from patchbench import tables
from patchbench.checks import check_counts
from patchbench.encoders._projection import centred, exact, project
from patchbench.seeds import derive

if TYPE_CHECKING:
    import pandas as pd

    from patchbench.patchset import TrainingData

# variance added to each component before it is scaled to one, on the scale 0-255: components
# that are mostly rounding of pixels are not blown up
_FLOOR = 1.0
# what the sample may take in float64: the matrix of products is never larger, so that a fit holds
# about two of these, and decomposes it in about a minute
_FIT_BYTES = 512 * 2**20
# share of the largest variance below which a component is rounding
_ROUNDING = 1e-10


@dataclass(kw_only=True)
class Encoder:
    """Whitened principal components of the pixels of a patch.

    Parameters
    ----------
    patch_size_px : int
        Side of the patches.
    dim : int
        Components kept; at most 3 * patch_size_px ** 2. Where train patches spread in fewer
        directions, the rest are 0.
    n_fit_patches : int
        Most train patches that the components are measured on, drawn at random; never more than
        512 MiB of float64 (5461 at 64 px, 1365 at 128 px).
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
        seed, n_values = derive(self.seed, "encoder", "raw_pixels"), 3 * self.patch_size_px**2
        n_patches = max(1, min(self.n_fit_patches, _FIT_BYTES // (8 * n_values)))
        values = centred(data.sample_patches(n_patches, seed))
        mean = values.mean(axis=0)
        values -= mean
        components, variances = principal_components(values, self.dim)
        weights = np.zeros((n_values, self.dim))
        weights[:, : len(variances)] = components / np.sqrt(variances + _FLOOR)
        self._weights = exact(weights)
        self._offset = mean @ self._weights
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


def principal_components(values: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal directions of largest variance, and that variance, largest first.

    Taken from the products of columns or of rows, whichever are fewer; both give the same.

    Parameters
    ----------
    values : float64 array, (n_rows, n_columns)
        Rows with mean 0.
    n : int
        Most directions; fewer where the others have no variance but rounding.

    Returns
    -------
    components : float64 array, (n_columns, n_found)
        The entry largest in size is positive, so that no solver chooses the sign.
    variances : float64 array, (n_found,)
        Sum of squares over ``n_rows - 1``.
    """
    from scipy.linalg import eigh

    by_rows = values.shape[0] < values.shape[1]
    products = values @ values.T if by_rows else values.T @ values
    size = len(products)
    # symmetric: the transpose is the same matrix, in the order in which it is overwritten
    sums, vectors = eigh(
        products.T, subset_by_index=[max(0, size - n), size - 1], overwrite_a=True, driver="evr"
    )
    sums, vectors = sums[::-1], vectors[:, ::-1]
    some = sums > _ROUNDING * max(0.0, sums[0])
    sums, vectors = sums[some], vectors[:, some]
    components = values.T @ vectors / np.sqrt(sums) if by_rows else vectors
    largest = np.abs(components).argmax(axis=0)
    signs = np.sign(components[largest, np.arange(len(sums))])
    return components * signs, sums / max(1, len(values) - 1)
