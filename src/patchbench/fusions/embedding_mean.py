"""Logistic regression on the mean of an image's embeddings; no patch votes.

The baseline of Ilse, Tomczak & Welling, "Attention-based deep multiple instance learning", ICML
2018, arXiv:1802.04712. A linear map of a mean is the mean of a linear map, so every patch has a
score that adds up to the decision, but the scores are learned from images, not from patches.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patchbench.fusions._linear import PooledLinear


@dataclass(kw_only=True)
class Fusion(PooledLinear):
    """Mean, then linear; see :class:`PooledLinear`."""

    summary: ClassVar[str] = "logistic regression on the mean of the embeddings"
    source: ClassVar[str] = "cf. Ilse, Tomczak & Welling 2018"

    @staticmethod
    def pool(embeddings: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Mean over the patches of each image: float64 (n_images, dim)."""
        sizes = np.diff(np.append(starts, len(embeddings)))
        found: np.ndarray = np.add.reduceat(embeddings, starts, dtype=np.float64) / sizes[:, None]
        return found
