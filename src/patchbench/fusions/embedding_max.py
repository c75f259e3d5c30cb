"""Logistic regression on the largest value that each part of the embeddings takes in an image.

The other baseline of Ilse, Tomczak & Welling, "Attention-based deep multiple instance learning",
ICML 2018, arXiv:1802.04712.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patchbench.fusions._linear import PooledLinear


@dataclass(kw_only=True)
class Fusion(PooledLinear):
    """Largest values, then linear; see :class:`PooledLinear`."""

    summary: ClassVar[str] = "logistic regression on the largest values of the embeddings"
    source: ClassVar[str] = "cf. Ilse, Tomczak & Welling 2018"

    @staticmethod
    def pool(embeddings: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Largest value over the patches of each image: float32 (n_images, dim)."""
        return np.maximum.reduceat(embeddings, starts, axis=0)
