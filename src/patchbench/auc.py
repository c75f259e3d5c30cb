"""Area under the ROC curve, for thousands of weightings of the images at once.

A bootstrap draw is an integer weight per image. The scores of the positives are the rungs of a
ladder; which rungs each negative stands below is the same in all draws. So the negatives are
counted onto the ladder by one sparse product of a table, made once, with the weights of many
draws, and a running sum up the ladder gives what each positive beats.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

FPR_GRID = np.linspace(0.0, 1.0, 201)
# doubles that one round of draws works on: as many as stay in a core's cache
_ROUND_ELEMENTS = 1 << 19
_FEWEST_DRAWS = 16
# predictions whose ladders are held at once, all classes of them
_LADDER_ELEMENTS = 1 << 22

Ranked = tuple[np.ndarray, np.ndarray]  # which rows are positive, bool; their scores, float


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
    return binary_auc_draws(labels, scores, np.arange(len(scores)), weights)


def macro_auc(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over classes of the one-vs-rest AUC of images, for each row of weights.

    Classes without a positive or a negative example are left out of the mean.
    """
    return auc_draws(labels, probabilities, np.arange(len(labels)), weights)


def auc_draws(
    labels: np.ndarray, probabilities: np.ndarray, image_of: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Macro AUC of patches for each row of image weights; see `macro_auc`.

    Parameters
    ----------
    labels : int array, (n,)
        Class of each patch.
    probabilities : float array, (n, n_classes)
    image_of : int array, (n,)
        Image of each patch, from 0; an image may be without patches.
    weights : float array, (n_draws, n_images)
        A row of ones gives the ordinary AUC.

    Returns
    -------
    float64 array, (n_draws,)
        NaN where a draw lacks positives or negatives of a class.
    """
    problems = [
        (labels == c, probabilities[:, c])
        for c in range(probabilities.shape[1])
        if 0 < (labels == c).sum() < len(labels)
    ]
    if not problems:
        return np.full(len(weights), np.nan)
    mean: np.ndarray = _areas(problems, image_of, weights).mean(axis=0)
    return mean


def micro_auc_draws(
    labels: np.ndarray, probabilities: np.ndarray, image_of: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """AUC of all classes' probabilities in one list, for each row of image weights.

    Each prediction gives one positive, the probability of its label, and a negative for each other
    class: a positive is compared with the negatives of all images, its own among them. Parameters
    are those of `auc_draws`.
    """
    n_classes = probabilities.shape[1]
    positive = labels[:, None] == np.arange(n_classes)
    return binary_auc_draws(
        positive.ravel(), probabilities.ravel(), np.repeat(image_of, n_classes), weights
    )


def binary_auc_draws(
    positive: np.ndarray, scores: np.ndarray, image_of: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """AUC of patches, bool and float (n,), for each row of image weights; see `auc_draws`.

    An image may hold positive and negative patches.
    """
    area: np.ndarray = _areas([(positive, scores)], image_of, weights)[0]
    return area


def _areas(problems: Sequence[Ranked], image_of: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUC of each problem, for each row of image weights: (n_problems, n_draws)."""
    at_once = max(1, _LADDER_ELEMENTS // max(1, len(image_of)))
    parts = [
        _areas_at_once(problems[start : start + at_once], image_of, weights)
        for start in range(0, len(problems), at_once)
    ]
    return np.concatenate(parts)


def _areas_at_once(
    problems: Sequence[Ranked], image_of: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    n_draws, n_images = weights.shape
    ladders = [_ladder(*problem, image_of, n_images) for problem in problems]
    rungs = max(own.shape[0] for own, _ in ladders)
    step = max(_FEWEST_DRAWS, _ROUND_ELEMENTS // (n_images + 2 * rungs + 1))
    areas = np.full((len(problems), n_draws), np.nan)
    for start in range(0, n_draws, step):
        drawn = np.ascontiguousarray(weights[start : start + step].T, dtype=np.float64)
        for row, (own, rivals) in enumerate(ladders):
            mass, beaten = own @ drawn, rivals @ drawn
            np.cumsum(beaten, axis=0, out=beaten)
            wins = np.einsum("ud,ud->d", mass, beaten[:-1])
            pairs = mass.sum(axis=0) * beaten[-1]
            np.divide(wins, pairs, out=areas[row, start : start + step], where=pairs > 0)
    return areas


def _ladder(
    positive: np.ndarray, scores: np.ndarray, image_of: np.ndarray, n_images: int
) -> tuple[Any, Any]:
    """Which images' patches stand on each rung, as sparse arrays of counts.

    Returns
    -------
    own : sparse float64 array, (n_rungs, n_images)
        Positives with the score of the rung.
    rivals : sparse float64 array, (n_rungs + 1, n_images)
        Negatives that the rung is the lowest to beat; a negative of the same score counts half
        there and half one rung higher; in the last row those that no rung beats.
    """
    from scipy.sparse import csr_array

    heights, rung = np.unique(scores[positive], return_inverse=True)
    against, where = scores[~positive], image_of[~positive]
    lower, upper = (np.searchsorted(heights, against, side) for side in ("left", "right"))
    tied = lower != upper
    count = np.concatenate([np.where(tied, 0.5, 1.0), np.full(tied.sum(), 0.5)])
    places = np.concatenate([lower, upper[tied]]), np.concatenate([where, where[tied]])
    rivals = csr_array((count, places), shape=(len(heights) + 1, n_images))
    at = (rung, image_of[positive])
    own = csr_array((np.ones(len(rung)), at), shape=(len(heights), n_images))
    return own, rivals


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
