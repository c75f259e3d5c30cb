"""Linear support vector machines, one against the rest, with probabilities calibrated on val.

Cortes & Vapnik, "Support-vector networks", Machine Learning 20, 1995; the solver is liblinear
(Fan et al., JMLR 9, 2008). Margins are no probabilities: Platt, "Probabilistic outputs for
support vector machines", 1999, maps them through a sigmoid fitted on held-out data. With several
classes that becomes a softmax of scores with one slope for all and an offset per class, fitted
jointly, like the vector scaling of Guo et al., ICML 2017, arXiv:1706.04599, with a single slope.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from patchbench.features import column_statistics, standardise, standardised
from patchbench.scores import NEVER, coefficients, log_loss, log_softmax, placed
from patchbench.seeds import derive

# deviation of the Gaussian prior on slope and offsets: weak, but classes that val separates
# perfectly still get a finite slope
_PRIOR_DEVIATION = 10.0
_TOLERANCE = 1e-3


@dataclass(kw_only=True)
class Classifier:
    """Calibrated linear SVM patch classifier.

    Parameters
    ----------
    strengths : list of float
        Candidate inverse regularisation strengths (liblinear's ``C``); the one with the lowest
        patch log-loss on val, after calibration, is kept; without val patches the lowest.
    max_iterations : int
        Limit of the solver.
    """

    strengths: list[float] = field(default_factory=lambda: [0.0001, 0.01, 1.0])
    max_iterations: int = 200
    seed: int = 0
    threads: int = 1
    control: ClassVar[bool] = False
    uses: ClassVar[str] = "embeddings"
    # float32 as given, float64 as scikit-learn wants, and liblinear's list of (index, value)
    bytes_per_value: ClassVar[int] = 4 + 8 + 16
    summary: ClassVar[str] = (
        "linear SVM on standardised embeddings, C chosen and probabilities calibrated on val"
    )
    source: ClassVar[str] = "Cortes & Vapnik 1995; Platt 1999; scikit-learn (liblinear)"

    def __post_init__(self) -> None:
        if not self.strengths or min(self.strengths) <= 0:
            raise ValueError(f"strengths is {self.strengths}; give at least one number above 0")
        if self.max_iterations < 1:
            raise ValueError(f"max_iterations is {self.max_iterations}; it must be at least 1")

    def fit(
        self,
        embeddings: np.ndarray,
        labels: np.ndarray,
        val_embeddings: np.ndarray,
        val_labels: np.ndarray,
        n_classes: int,
    ) -> None:
        """Fit on train patches for each strength, calibrate each on val, keep the best.

        Parameters
        ----------
        embeddings, val_embeddings : float32 array, (n_patches, dim)
            Train and val patches; overwritten.
        labels, val_labels : int array, (n_patches,)
            Labels of their images.
        n_classes : int
            Classes of the dataset; at least two must be among ``labels``.
        """
        self.mean, self.scale = column_statistics(embeddings)
        # float64 once, here: from anything else scikit-learn would make a copy for each strength
        train = standardise(embeddings, self.mean, self.scale).astype(np.float64)
        val = standardise(val_embeddings, self.mean, self.scale)
        self._classes, self._n_classes = np.unique(labels), n_classes
        known = np.isin(val_labels, self._classes)
        columns = np.searchsorted(self._classes, val_labels[known])
        best_loss = np.inf
        for strength in sorted(self.strengths):
            weights, bias = self._fitted(train, labels, strength)
            scores = (val @ weights + bias)[known]
            slope, offsets = calibrated(scores, columns)
            loss = log_loss(slope * scores + offsets, columns)
            if loss < best_loss:
                best_loss, self.strength = loss, strength
                self.weights, self.bias = weights, bias
                self.slope, self.offsets = slope, offsets

    def _fitted(
        self, train: np.ndarray, labels: np.ndarray, strength: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Weights (dim, n_found) and bias (n_found,)."""
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.svm import LinearSVC

        seed = derive(self.seed, "classifier", "linear_svm")
        model = LinearSVC(
            C=strength,
            dual="auto",
            tol=_TOLERANCE,
            max_iter=self.max_iterations,
            random_state=seed,
        )
        with warnings.catch_warnings():
            # the iteration limit is a setting; an early stop is a regulariser, not a fault
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(train, labels)
        return coefficients(model)

    def scores(self, embeddings: np.ndarray) -> np.ndarray:
        """Margins before calibration: float32 array, (n_patches, n_found)."""
        found: np.ndarray = standardised(embeddings, self.mean, self.scale) @ self.weights
        return found + self.bias

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """Calibrated class scores: float32 array, (n_patches, n_classes)."""
        logits = self.slope * self.scores(embeddings) + self.offsets
        return placed(logits, self._classes, self._n_classes)

    def linear(self, embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the scores are: features (n_patches, dim), weights (dim, n_classes), bias.

        A class that no train patch is of is put far below the others by its bias alone.
        """
        weights = np.zeros((len(self.weights), self._n_classes))
        bias = np.full(self._n_classes, min(self.offsets) - NEVER)
        weights[:, self._classes] = self.slope * self.weights
        bias[self._classes] = self.slope * self.bias + self.offsets
        return standardised(embeddings, self.mean, self.scale), weights, bias

    def state(self) -> dict[str, np.ndarray]:
        """What was fitted, as arrays."""
        return {
            "mean": self.mean,
            "scale": self.scale,
            "weights": self.weights,
            "bias": self.bias,
            "slope": np.array(self.slope),
            "offsets": self.offsets,
            "classes": self._classes,
            "n_classes": np.array(self._n_classes),
            "strength": np.array(self.strength),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take back what :meth:`state` gave."""
        self.mean, self.scale = state["mean"], state["scale"]
        self.weights, self.bias = state["weights"], state["bias"]
        self.slope, self.offsets = float(state["slope"]), state["offsets"]
        self._classes, self._n_classes = state["classes"], int(state["n_classes"])
        self.strength = float(state["strength"])


def calibrated(scores: np.ndarray, columns: np.ndarray) -> tuple[float, np.ndarray]:
    """Slope and offsets for which softmax(slope * scores + offsets) are probabilities.

    Without patches the margins stay as they are: the prior alone would make all scores 0.

    Parameters
    ----------
    scores : float array, (n, n_found)
        Margins of held-out patches.
    columns : int array, (n,)
        Column of the true class of each.

    Returns
    -------
    slope : float
        Not negative.
    offsets : float64 array, (n_found,)
        One per class.
    """
    from scipy.optimize import minimize

    if not len(scores):
        return 1.0, np.zeros(scores.shape[1])
    scores = scores.astype(np.float64)
    rows, n = np.arange(len(scores)), len(scores)

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        logs = log_softmax(values[0] * scores + values[1:])
        excess = np.exp(logs)
        excess[rows, columns] -= 1
        prior = values / _PRIOR_DEVIATION**2
        gradient = np.append((excess * scores).sum(), excess.sum(axis=0)) + prior
        return (-logs[rows, columns].sum() + values @ prior / 2) / n, gradient / n

    start = np.append(1.0, np.zeros(scores.shape[1]))
    bounds = [(0, None)] + [(None, None)] * scores.shape[1]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(found[0]), found[1:]
