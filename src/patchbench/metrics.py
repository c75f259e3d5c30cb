"""How good decisions are: AUC-ROC, accuracy, log-loss, Brier score and ECE by image.

Every metric is computed for all draws of images at once; see :mod:`patchbench.bootstrap` for the
draws and their intervals, :mod:`patchbench.auc` for areas under curves,
:mod:`patchbench.reliability` for the expected calibration error (ECE), and
:mod:`patchbench.delong` for intervals and tests that need no draws.

A draw may hold no image of a class that there are test images of. Metrics that are means over
classes, macro AUC and balanced accuracy, are NaN there, and such draws are left out of intervals;
all others count every draw.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from patchbench.auc import auc_draws, micro_auc_draws
from patchbench.bootstrap import (
    COVERAGE,
    N_DRAWS,
    Estimate,
    draw_groups,
    draw_weights,
    drawn_sums,
    estimate,
)
from patchbench.delong import DelongTest, delong_interval, delong_test
from patchbench.reliability import levelled, reliability

__all__ = [
    "COVERAGE",
    "N_DRAWS",
    "DelongTest",
    "Estimate",
    "brier_draws",
    "confusion_draws",
    "delong_interval",
    "delong_test",
    "draw_weights",
    "estimate",
    "estimates",
    "evaluate",
    "log_loss_draws",
    "metric_draws",
    "share_draws",
]

ONE_CLASS = "not defined: all test images are of one class"
_SHARES = ("accuracy",)  # of all images


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    image_of: np.ndarray,
    seed: int,
    group_of: np.ndarray | None = None,
) -> dict[str, Estimate]:
    """All metrics of one set of predictions, with intervals by image.

    Parameters
    ----------
    labels : int array, (n,)
        True class of each prediction (of a patch: its image's).
    probabilities : float array, (n, n_classes)
        Rows sum to 1.
    image_of : int array, (n,)
        Which image each prediction belongs to, from 0 without gaps.
    seed : int
        Seed of the bootstrap.
    group_of : int array, (n_images,), or None
        Group of each image, from 0: images of a group are drawn together. None: each by itself.
    """
    if group_of is None:
        group_of = np.arange(int(image_of.max()) + 1)
    weights = draw_groups(group_of, seed)
    draws = metric_draws(labels, probabilities, image_of, weights)
    return estimates(draws, n_groups=int(group_of.max()) + 1)


def estimates(draws: Mapping[str, np.ndarray], n_groups: int) -> dict[str, Estimate]:
    """Value and interval of every metric, from :func:`metric_draws` of so many groups of images.

    Where a metric has none it says why, see :class:`patchbench.bootstrap.Estimate`.
    """
    found = {
        name: estimate(values, n_groups if name in _SHARES else 0) for name, values in draws.items()
    }
    return {
        name: replace(told, reason=ONE_CLASS) if np.isnan(told.value) else told
        for name, told in found.items()
    }


def metric_draws(
    labels: np.ndarray, probabilities: np.ndarray, image_of: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """All metrics, float64 (n_draws,) each, for each row of image weights; row 0 is all ones.

    Parameters are those of :func:`log_loss_draws`.
    """
    predictions = labels, probabilities, image_of, weights
    correct = probabilities.argmax(axis=1) == labels
    return {
        "auc_macro": auc_draws(*predictions),
        "auc_micro": micro_auc_draws(*predictions),
        "accuracy": _mean_draws(correct, image_of, weights),
        "balanced_accuracy": _balanced_accuracy(correct, labels, image_of, weights),
        "log_loss": log_loss_draws(*predictions),
        "brier": brier_draws(*predictions),
        "ece": levelled(reliability(*predictions).ece),
    }


def log_loss_draws(
    labels: np.ndarray, probabilities: np.ndarray, image_of: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Mean of minus the log-probability of the label, nats, for each row of image weights."""
    return _mean_draws(log_losses(labels, probabilities), image_of, weights)


def log_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Minus the log-probability of each label, nats: float array, (n,)."""
    own = probabilities[np.arange(len(labels)), labels]
    found: np.ndarray = -np.log(np.maximum(own, 1e-12))
    return found


def brier_draws(
    labels: np.ndarray, probabilities: np.ndarray, image_of: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Squared distance of the probabilities from the truth, for each row of image weights.

    Summed over all classes, as Brier defined it, "Verification of forecasts expressed in terms of
    probability" (Monthly Weather Review, 1950): 0 is best, 2 is certain of a wrong class. With two
    classes it is twice the score of the positive class alone.
    """
    truth = labels[:, None] == np.arange(probabilities.shape[1])
    return _mean_draws(((probabilities - truth) ** 2).sum(axis=1), image_of, weights)


def confusion_draws(
    labels: np.ndarray, probabilities: np.ndarray, image_of: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """How many predictions of each class go to each class, for each row of image weights.

    Parameters are those of :func:`log_loss_draws`.

    Returns
    -------
    float64 array, (n_draws, n_classes, n_classes)
        Rows are true classes, columns predicted ones; whole numbers where weights are.
    """
    from scipy.sparse import csr_array

    n_classes = probabilities.shape[1]
    cell = labels * n_classes + probabilities.argmax(axis=1)
    shape = (n_classes**2, weights.shape[1])  # mostly zeros where there are many classes
    counts: np.ndarray = csr_array((np.ones(len(cell)), (cell, image_of)), shape) @ weights.T
    return counts.T.reshape(len(weights), n_classes, n_classes)


def share_draws(
    counted: np.ndarray, among: np.ndarray, image_of: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Share of ``counted`` in ``among``, both bool (n,), for each row of image weights.

    NaN where a draw has none of the latter.
    """
    hits, total = drawn_sums([counted & among, among], image_of, weights)
    share: np.ndarray = np.divide(hits, total, out=np.full(len(weights), np.nan), where=total > 0)
    return share


def _mean_draws(values: np.ndarray, image_of: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total, n = drawn_sums([values, np.ones(len(values))], image_of, weights)
    mean: np.ndarray = total / n
    return mean


def _balanced_accuracy(
    correct: np.ndarray, labels: np.ndarray, image_of: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Mean over the classes of the share recognised; NaN in draws that lack one, as of the AUC."""
    members = [labels == c for c in np.unique(labels)]
    columns = [correct & of_class for of_class in members] + members
    hits, total = np.split(drawn_sums(columns, image_of, weights), 2)
    recalls = np.divide(hits, total, out=np.full(hits.shape, np.nan), where=total > 0)
    mean: np.ndarray = recalls.mean(axis=0)
    return mean
