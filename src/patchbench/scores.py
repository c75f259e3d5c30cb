"""Class scores: their log-loss, and columns for classes that no train patch is of."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

# how far the logit of a class without train patches lies below all others: it never wins
NEVER = 30.0


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities along the last axis, without overflow."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean of minus the log-probability of the true class (nats); 0 without any patch."""
    if not len(labels):
        return 0.0
    return float(-log_softmax(logits)[np.arange(len(labels)), labels].mean())


def coefficients(model: Any) -> tuple[np.ndarray, np.ndarray]:
    """Weights (dim, n_found) and bias (n_found,) of a fitted linear model of scikit-learn.

    Two classes are one column there; here they are two, of opposite sign.
    """
    weights, bias = model.coef_.T, model.intercept_
    if weights.shape[1] == 1:
        weights = np.concatenate([-weights, weights], axis=1) / 2
        bias = np.append(-bias, bias) / 2
    return weights.astype(np.float32), bias.astype(np.float32)


def placed(logits: np.ndarray, classes: np.ndarray, n_classes: int) -> np.ndarray:
    """Logits of some classes put into the columns of all.

    Parameters
    ----------
    logits : float array, (n_patches, n_found)
        Scores of the classes that train patches are of.
    classes : int array, (n_found,)
        Which classes those are.
    n_classes : int
        How many there are in all.

    Returns
    -------
    float32 array, (n_patches, n_classes)
        A class that is not among ``classes`` lies far below the lowest score of each row.

    >>> placed(np.array([[1.0, 5.0]]), np.array([0, 2]), 3)
    array([[  1., -29.,   5.]], dtype=float32)
    """
    if len(classes) == n_classes:
        return logits.astype(np.float32)
    full = np.empty((len(logits), n_classes), np.float32)
    full[:] = logits.min(axis=1, keepdims=True) - NEVER
    full[:, classes] = logits
    return full


@contextmanager
def early_stops_allowed() -> Iterator[None]:
    """The iteration limit is a setting; an early stop is a regulariser, not a fault."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
