"""The encoder's own head: the linear layer that it was trained with, on single patches.

Brendel & Bethge, "Approximating CNNs with Bag-of-local-Features models works surprisingly well
on ImageNet", ICLR 2019, arXiv:1904.00760. An image's logit is there the mean, over places, of a
linear map of local features. The embedding of a patch is the mean of its features, so the same
map gives the patch's part in the decision. Nothing is fitted anew.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass(kw_only=True)
class Classifier:
    """Linear map taken over from the encoder."""

    seed: int = 0
    threads: int = 1
    control: ClassVar[bool] = False
    uses: ClassVar[str] = "head"
    summary: ClassVar[str] = "the linear head that the encoder was trained with; nothing is fitted"
    source: ClassVar[str] = "Brendel & Bethge, ICLR 2019, arXiv:1904.00760"

    def adopt(self, weights: np.ndarray, bias: np.ndarray) -> None:
        """Take the head over.

        Parameters
        ----------
        weights : float array, (n_classes, dim)
            A row per class.
        bias : float array, (n_classes,)
            Added to the scores.
        """
        if weights.ndim != 2 or bias.shape != weights.shape[:1]:
            raise ValueError(
                f"a head of weights {weights.shape} and bias {bias.shape} is not a linear map; "
                "expected (n_classes, dim) and (n_classes,)"
            )
        self.weights, self.bias = weights.astype(np.float32), bias.astype(np.float32)

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """Class scores: float32 array, (n_patches, n_classes)."""
        scores: np.ndarray = embeddings @ self.weights.T + self.bias
        return scores.astype(np.float32, copy=False)

    def linear(self, embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the scores are: features (n_patches, dim), weights (dim, n_classes), bias."""
        return embeddings, self.weights.T, self.bias

    def state(self) -> dict[str, np.ndarray]:
        """The head, as arrays."""
        return {"weights": self.weights, "bias": self.bias}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take back what :meth:`state` gave."""
        self.weights, self.bias = state["weights"], state["bias"]
