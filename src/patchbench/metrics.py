"""How good decisions are: AUC-ROC, accuracy and log-loss with intervals by image.

All intervals come from one bootstrap that draws *images* with replacement; the patches of an
image stay together, because they are not independent of each other. A draw is an integer
weight per image, so every metric is computed as a weighted one, for all draws at once.
"""

from dataclasses import dataclass

import numpy as np

from patchbench.auc import auc_draws

N_DRAWS = 2000
COVERAGE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value and its interval; NaN where the metric is not defined."""

    value: float
    low: float
    high: float


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
    draws = {
        "auc_macro": auc_draws(labels, probabilities, image_of, weights),
        "accuracy": _weighted_mean(correct, weights, image_of),
        "balanced_accuracy": _balanced_accuracy(correct, labels, weights, image_of),
        "log_loss": log_loss_draws(labels, probabilities, image_of, weights),
    }
    return {name: estimate(values) for name, values in draws.items()}


def log_loss_draws(
    labels: np.ndarray, probabilities: np.ndarray, image_of: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Mean of minus the log-probability of the label, nats, for each row of image weights."""
    own = probabilities[np.arange(len(labels)), labels]
    return _weighted_mean(-np.log(np.maximum(own, 1e-12)), weights, image_of)


def share_draws(
    counted: np.ndarray, among: np.ndarray, image_of: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Share of ``counted`` in ``among``, both bool (n,), for each row of image weights.

    NaN where a draw has none of the latter.
    """
    n_images = weights.shape[1]
    hits = weights @ _per_image((counted & among).astype(np.float64), image_of, n_images)
    total = weights @ _per_image(among.astype(np.float64), image_of, n_images)
    share: np.ndarray = np.divide(hits, total, out=np.full(len(weights), np.nan), where=total > 0)
    return share


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


def estimate(draws: np.ndarray) -> Estimate:
    """Value from the first draw, that of the images as they are; interval from the others."""
    drawn = draws[1:][np.isfinite(draws[1:])]
    if not np.isfinite(draws[0]) or len(drawn) == 0:
        return Estimate(float("nan"), float("nan"), float("nan"))
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Estimate(float(draws[0]), float(low), float(high))
