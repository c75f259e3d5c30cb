"""A linear classifier on one pooled embedding an image."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import softmax
from patchbench.embedded import EmbeddedBags
from patchbench.features import column_statistics, standardised
from patchbench.fusions._stacking import refuse_missing_classes
from patchbench.scores import coefficients, early_stops_allowed, log_loss

_ROUNDS = 300


@dataclass(kw_only=True)
class PooledLinear(ABC):
    """Logistic regression on pooled embeddings, standardised; its strength is chosen on val.

    Parameters
    ----------
    strengths : list of float
        Candidates for the inverse of the penalty.
    """

    strengths: list[float] = field(default_factory=lambda: [0.0001, 0.001, 0.01, 0.1, 1.0])
    seed: int = 0
    device: str = "cpu"
    threads: int = 1
    uses: ClassVar[str] = "embeddings"
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.strengths or min(self.strengths) <= 0:
            raise ValueError(f"strengths is {self.strengths}; give at least one number above 0")

    def fit(
        self,
        train: EmbeddedBags,
        labels: np.ndarray,
        val: EmbeddedBags,
        val_labels: np.ndarray,
        n_classes: int,
    ) -> Self:
        """Learn from train images; the strength with the lowest log-loss on val stays."""
        from sklearn.linear_model import LogisticRegression

        rule = type(self).__module__.rpartition(".")[2]
        refuse_missing_classes(labels, n_classes, rule, "train")
        rows = train.pooled(self.pool)
        self.mean, self.scale = column_statistics(rows)
        rows = standardised(rows, self.mean, self.scale)
        val_rows = standardised(val.pooled(self.pool), self.mean, self.scale)
        best_loss = np.inf
        for strength in sorted(self.strengths):
            model = LogisticRegression(C=strength, max_iter=_ROUNDS)
            with early_stops_allowed():
                model.fit(rows, labels)
            weights, bias = coefficients(model)
            loss = log_loss(val_rows @ weights + bias, val_labels)
            if loss < best_loss:
                best_loss, self.strength, self.weights, self.bias = loss, strength, weights, bias
        return self

    def fuse(self, bags: EmbeddedBags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        rows = standardised(bags.pooled(self.pool), self.mean, self.scale)
        return softmax(rows @ self.weights + self.bias)

    @property
    def chosen(self) -> dict[str, float]:
        """What was fitted, apart from the weights."""
        return {"strength": self.strength}

    def state(self) -> dict[str, np.ndarray]:
        """What was fitted, as arrays."""
        return {
            "mean": self.mean,
            "scale": self.scale,
            "weights": self.weights,
            "bias": self.bias,
            "strength": np.array(self.strength),
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> Self:
        """Take back what :meth:`state` gave."""
        self.mean, self.scale = state["mean"], state["scale"]
        self.weights, self.bias = state["weights"], state["bias"]
        self.strength = float(state["strength"])
        return self

    @staticmethod
    @abstractmethod
    def pool(embeddings: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """One row an image, of embeddings (n_patches, dim) that begin at ``starts``."""
