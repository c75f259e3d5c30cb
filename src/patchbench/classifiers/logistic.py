"""Multinomial logistic regression on standardised embeddings, strength chosen on val.

The linear probe of the representation-learning literature: a good embedding is one that a
linear model can read.
"""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from patchbench.features import column_statistics, standardise, standardised
from patchbench.scores import NEVER, coefficients, early_stops_allowed, log_loss

_TOLERANCE = 1e-3


@dataclass(kw_only=True)
class Classifier:
    """Linear patch classifier.

    Parameters
    ----------
    strengths : list of float
        Candidate inverse regularisation strengths (scikit-learn's ``C``); the one with the
        lowest patch log-loss on val is kept; without val patches the lowest.
    max_iterations : int
        Limit of the L-BFGS solver.
    """

    strengths: list[float] = field(default_factory=lambda: [0.0001, 0.01, 1.0])
    max_iterations: int = 100
    seed: int = 0
    threads: int = 1
    control: ClassVar[bool] = False
    uses: ClassVar[str] = "embeddings"
    bytes_per_value: ClassVar[int] = 4  # standardised in place, and the solver takes float32
    summary: ClassVar[str] = "logistic regression on standardised embeddings, C chosen on val"
    source: ClassVar[str] = "Cox 1958; scikit-learn"

    def __post_init__(self) -> None:
        if not self.strengths or min(self.strengths) <= 0:
            raise ValueError(f"strengths is {self.strengths}; give at least one number above 0")

    def fit(
        self,
        embeddings: np.ndarray,
        labels: np.ndarray,
        val_embeddings: np.ndarray,
        val_labels: np.ndarray,
        n_classes: int,
    ) -> None:
        """Fit on train patches, from strong to weak regularisation, each from the last.

        Parameters
        ----------
        embeddings, val_embeddings : float32 array, (n_patches, dim)
            Train and val patches; overwritten.
        labels, val_labels : int array, (n_patches,)
            Labels of their images.
        n_classes : int
            Classes of the dataset; at least two must be among ``labels``.
        """
        from sklearn.linear_model import LogisticRegression

        self.mean, self.scale = column_statistics(embeddings)
        train = standardise(embeddings, self.mean, self.scale)
        val = standardise(val_embeddings, self.mean, self.scale)
        model = LogisticRegression(max_iter=self.max_iterations, warm_start=True, tol=_TOLERANCE)
        best_loss = np.inf
        for strength in sorted(self.strengths):
            model.set_params(C=strength)
            with early_stops_allowed():
                model.fit(train, labels)
            weights, bias = _all_classes(model, n_classes)
            loss = log_loss(val @ weights + bias, val_labels)
            if loss < best_loss:
                best_loss, self.strength = loss, strength
                self.weights, self.bias = weights, bias

    def refitted(
        self, embeddings: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
    ) -> "Classifier":
        """Fit another of the same strength and classes, from scratch, on other train patches.

        Parameters
        ----------
        embeddings : float32 array, (n_patches, dim)
            Overwritten.
        labels : int array, (n_patches,)
        weights : float array, (n_patches,), or None
            How much each patch counts.
        """
        from sklearn.linear_model import LogisticRegression

        other = replace(self)
        other.mean, other.scale = column_statistics(embeddings)
        train = standardise(embeddings, other.mean, other.scale)
        model = LogisticRegression(C=self.strength, max_iter=self.max_iterations, tol=_TOLERANCE)
        with early_stops_allowed():
            model.fit(train, labels, weights)
        other.strength = self.strength
        other.weights, other.bias = _all_classes(model, len(self.bias))
        return other

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """Class scores: float32 array, (n_patches, n_classes)."""
        found: np.ndarray = standardised(embeddings, self.mean, self.scale) @ self.weights
        return found + self.bias

    def linear(self, embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the scores are: features (n_patches, dim), weights (dim, n_classes), bias."""
        return standardised(embeddings, self.mean, self.scale), self.weights, self.bias

    def state(self) -> dict[str, np.ndarray]:
        """What was fitted, as arrays."""
        return {
            "mean": self.mean,
            "scale": self.scale,
            "weights": self.weights,
            "bias": self.bias,
            "strength": np.array(self.strength),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take back what :meth:`state` gave."""
        self.mean, self.scale = state["mean"], state["scale"]
        self.weights, self.bias = state["weights"], state["bias"]
        self.strength = float(state["strength"])


def _all_classes(model: Any, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (dim, n_classes) and bias (n_classes,).

    A class that no train patch is of gets a logit that never wins: those of the others sum to 0,
    so one of them is not negative.
    """
    found, bias = coefficients(model)
    weights = np.zeros((len(found), n_classes), np.float32)
    biases = np.full(n_classes, -NEVER, np.float32)
    weights[:, model.classes_], biases[model.classes_] = found, bias
    return weights, biases
