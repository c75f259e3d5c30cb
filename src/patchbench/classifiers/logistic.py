"""Multinomial logistic regression on standardised embeddings, strength chosen on val.

The linear probe of the representation-learning literature: a good embedding is one that a
linear model can read.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

_NEVER = -30.0


@dataclass(kw_only=True)
class Classifier:
    """Linear patch classifier.

    Parameters
    ----------
    strengths : list of float
        Candidate inverse regularisation strengths (scikit-learn's ``C``); the one with the
        lowest patch log-loss on val is kept.
    max_iterations : int
        Limit of the L-BFGS solver.
    """

    strengths: list[float] = field(default_factory=lambda: [0.0001, 0.01, 1.0])
    max_iterations: int = 100
    seed: int = 0
    control: ClassVar[bool] = False
    uses_embeddings: ClassVar[bool] = True
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
            Train and val patches.
        labels, val_labels : int array, (n_patches,)
            Labels of their images.
        n_classes : int
            Classes of the dataset; at least two must be among ``labels``.
        """
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        self.mean = embeddings.mean(axis=0)
        self.scale = np.maximum(embeddings.std(axis=0), 1e-6)
        train = (embeddings - self.mean) / self.scale
        val = (val_embeddings - self.mean) / self.scale
        model = LogisticRegression(max_iter=self.max_iterations, warm_start=True, tol=1e-3)
        best_loss = np.inf
        for strength in sorted(self.strengths):
            model.set_params(C=strength)
            with warnings.catch_warnings():
                # the iteration limit is a setting; an early stop is a regulariser, not a fault
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(train, labels)
            weights, bias = _all_classes(model, n_classes)
            loss = _log_loss(val @ weights + bias, val_labels)
            if loss < best_loss:
                best_loss, self.strength = loss, strength
                self.weights, self.bias = weights, bias

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """Class scores: float32 array, (n_patches, n_classes)."""
        scores: np.ndarray = (embeddings - self.mean) / self.scale @ self.weights + self.bias
        return scores.astype(np.float32)

    def state(self) -> dict[str, np.ndarray]:
        """What was fitted, as arrays."""
        return {
            "mean": self.mean,
            "scale": self.scale,
            "weights": self.weights,
            "bias": self.bias,
            "strength": np.float64(self.strength),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take back what :meth:`state` gave."""
        self.mean, self.scale = state["mean"], state["scale"]
        self.weights, self.bias = state["weights"], state["bias"]
        self.strength = float(state["strength"])


def _all_classes(model: object, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (dim, n_classes) and bias; two classes are one column in scikit-learn.

    A class that no fitted patch is of (only a small sample can miss one) gets a logit that
    never wins.
    """
    found, bias = model.coef_.T, model.intercept_  # type: ignore[attr-defined]
    if found.shape[1] == 1:
        found, bias = np.concatenate([-found, found], axis=1) / 2, np.append(-bias, bias) / 2
    classes = model.classes_  # type: ignore[attr-defined]
    weights = np.zeros((len(found), n_classes), np.float32)
    biases = np.full(n_classes, _NEVER, np.float32)
    weights[:, classes], biases[classes] = found, bias
    return weights, biases


def _log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    shifted = logits - logits.max(axis=1, keepdims=True)
    of_true_class = shifted[np.arange(len(labels)), labels]
    return float((np.log(np.exp(shifted).sum(axis=1)) - of_true_class).mean())
