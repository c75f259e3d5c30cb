"""How good decisions are: AUC-ROC, accuracy and log-loss with intervals by image.

All intervals come from one bootstrap that draws *images* with replacement; the patches of an
image stay together, because they are not independent of each other. A draw is an integer
weight per image, so every metric is computed as a weighted one, for all draws at once.
"""

from dataclasses import dataclass

import numpy as np

N_DRAWS = 2000
COVERAGE = 0.95
FPR_GRID = np.linspace(0.0, 1.0, 201)
_CHUNK_ELEMENTS = 1 << 22


@dataclass(frozen=True)
class Estimate:
    """A value and its interval; NaN where the metric is not defined."""

    value: float
    low: float
    high: float


def weighted_auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve for each row of weights, ties counted half.

    Parameters
    ----------
    labels : bool array, (n,)
        True for the positive class.
    scores : float array, (n,)
        Higher means more positive.
    weights : float array, (n_draws, n)
        Not negative; a row of ones gives the ordinary AUC.

    Returns
    -------
    auc : float64 array, (n_draws,)
        NaN where a draw holds one class only.

    Examples
    --------
    >>> weighted_auc(np.array([False, True, True]), np.array([1.0, 1.0, 2.0]), np.ones((1, 3)))
    array([0.75])
    """
    order = np.argsort(scores, kind="stable")
    positive = labels[order]
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    auc = np.empty(len(weights))
    step = max(1, _CHUNK_ELEMENTS // max(1, len(scores)))
    for start in range(0, len(weights), step):
        chunk = weights[start : start + step][:, order].astype(np.float64)
        # mass of each class up to and including each group of tied scores
        above = np.cumsum(chunk * positive, axis=1)[:, ends]
        below = np.cumsum(chunk * ~positive, axis=1)[:, ends]
        in_group = np.diff(above, axis=1, prepend=0.0)
        negatives_before = np.concatenate([np.zeros((len(chunk), 1)), below[:, :-1]], axis=1)
        wins = (in_group * (negatives_before + below) / 2).sum(axis=1)
        pairs = above[:, -1] * below[:, -1]
        with np.errstate(invalid="ignore", divide="ignore"):
            auc[start : start + step] = np.where(pairs > 0, wins / pairs, np.nan)
    return auc


def macro_auc(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over classes of the one-vs-rest AUC, for each row of weights.

    Classes without a positive or a negative example are left out of the mean.
    """
    per_class = [
        weighted_auc(labels == c, probabilities[:, c], weights)
        for c in range(probabilities.shape[1])
        if 0 < (labels == c).sum() < len(labels)
    ]
    if not per_class:
        return np.full(len(weights), np.nan)
    return np.mean(per_class, axis=0)


def draw_weights(n_images: int, seed: int, n_draws: int = N_DRAWS) -> np.ndarray:
    """How often each image is drawn: (1 + n_draws, n_images); row 0 is all ones."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n_images, np.full(n_images, 1 / n_images), size=n_draws)
    return np.concatenate([np.ones((1, n_images), counts.dtype), counts]).astype(np.float32)


def evaluate(
    labels: np.ndarray, probabilities: np.ndarray, image_of: np.ndarray, seed: int
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
    """
    weights = draw_weights(int(image_of.max()) + 1, seed)
    correct = probabilities.argmax(axis=1) == labels
    surprise = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12))
    draws = {
        "auc_macro": _chunked_macro_auc(labels, probabilities, weights, image_of),
        "accuracy": _weighted_mean(correct, weights, image_of),
        "balanced_accuracy": _balanced_accuracy(correct, labels, weights, image_of),
        "log_loss": _weighted_mean(surprise, weights, image_of),
    }
    return {name: _estimate(values) for name, values in draws.items()}


def _chunked_macro_auc(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray, image_of: np.ndarray
) -> np.ndarray:
    """`macro_auc` of patches without ever holding all draws of all patches."""
    step = max(1, 8 * _CHUNK_ELEMENTS // len(labels))
    parts = [
        macro_auc(labels, probabilities, weights[start : start + step][:, image_of])
        for start in range(0, len(weights), step)
    ]
    return np.concatenate(parts)


def _per_image(values: np.ndarray, image_of: np.ndarray, n_images: int) -> np.ndarray:
    return np.bincount(image_of, weights=values, minlength=n_images)


def _weighted_mean(values: np.ndarray, weights: np.ndarray, image_of: np.ndarray) -> np.ndarray:
    n_images = weights.shape[1]
    total = weights @ _per_image(values.astype(np.float64), image_of, n_images)
    mean: np.ndarray = total / (weights @ _per_image(np.ones(len(values)), image_of, n_images))
    return mean


def _balanced_accuracy(
    correct: np.ndarray, labels: np.ndarray, weights: np.ndarray, image_of: np.ndarray
) -> np.ndarray:
    """Mean over the classes present in a draw of the share recognised."""
    recalls = []
    for c in np.unique(labels):
        of_class = (labels == c).astype(np.float64)
        hits = weights @ _per_image(correct * of_class, image_of, weights.shape[1])
        total = weights @ _per_image(of_class, image_of, weights.shape[1])
        recalls.append(np.divide(hits, total, out=np.full(len(weights), np.nan), where=total > 0))
    mean: np.ndarray = np.nanmean(recalls, axis=0)
    return mean


def _estimate(draws: np.ndarray) -> Estimate:
    """Value from row 0, percentile interval from the others."""
    drawn = draws[1:][np.isfinite(draws[1:])]
    if not np.isfinite(draws[0]) or len(drawn) == 0:
        return Estimate(float("nan"), float("nan"), float("nan"))
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Estimate(float(draws[0]), float(low), float(high))


def macro_roc(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Mean one-vs-rest true-positive rate on `FPR_GRID`: float64 array, (n_grid,)."""
    curves = []
    for c in range(probabilities.shape[1]):
        positive = labels == c
        if not 0 < positive.sum() < len(labels):
            continue
        order = np.argsort(-probabilities[:, c], kind="stable")
        scores = probabilities[order, c]
        ends = np.flatnonzero(np.append(np.diff(scores) != 0, True))
        hits = np.cumsum(positive[order])[ends] / positive.sum()
        alarms = np.cumsum(~positive[order])[ends] / (~positive).sum()
        curves.append(np.interp(FPR_GRID, np.append(0.0, alarms), np.append(0.0, hits)))
    if not curves:
        return np.full(len(FPR_GRID), np.nan)
    mean: np.ndarray = np.mean(curves, axis=0)
    return mean
