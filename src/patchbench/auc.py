"""Area under the ROC curve, for thousands of weightings of the images at once.

A bootstrap draw is an integer weight per image. For patches, the AUC of a draw needs of each
pair of a positive and a negative image only how often a patch of the one beats a patch of the
other; with that table of wins, thousands of draws are one matrix product.
"""

import numpy as np

FPR_GRID = np.linspace(0.0, 1.0, 201)
_CHUNK_ELEMENTS = 1 << 22
# the table of wins grows with the square of the number of images; past this, draw by draw
_MOST_IMAGES_IN_TABLE = 2000


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
        Ascending; an image may be without patches.
    weights : float array, (n_draws, n_images)
        A row of ones gives the ordinary AUC.

    Returns
    -------
    float64 array, (n_draws,)
        NaN where a draw lacks positives or negatives of a class.
    """
    found = [
        binary_auc_draws(labels == c, probabilities[:, c], image_of, weights)
        for c in range(probabilities.shape[1])
        if 0 < (labels == c).sum() < len(labels)
    ]
    if not found:
        return np.full(len(weights), np.nan)
    return np.mean(found, axis=0)


def binary_auc_draws(
    positive: np.ndarray, scores: np.ndarray, image_of: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """AUC of patches, bool and float (n,), for each row of image weights; see `auc_draws`.

    An image may hold positive and negative patches.
    """
    if weights.shape[1] > _MOST_IMAGES_IN_TABLE:
        return _chunked(positive, scores, image_of, weights)
    images, n_positive = np.unique(image_of[positive], return_counts=True)
    others, starts, n_negative = np.unique(
        image_of[~positive], return_index=True, return_counts=True
    )
    rivals = scores[~positive]
    wins = np.empty((len(images), len(others)))
    ends = np.cumsum(n_positive)
    for row, (end, n) in enumerate(zip(ends, n_positive, strict=True)):
        own = np.sort(scores[positive][end - n : end])
        # how many of the image's patches are below each rival, and how many are not above it
        lower = [np.searchsorted(own, rivals, side) for side in ("left", "right")]
        wins[row] = np.add.reduceat(n - (lower[0] + lower[1]) / 2, starts)
    for_positive, for_negative = weights[:, images], weights[:, others]
    total = ((for_positive @ wins) * for_negative).sum(axis=1)
    pairs = (for_positive @ n_positive) * (for_negative @ n_negative)
    auc: np.ndarray = np.divide(total, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)
    return auc


def _chunked(
    positive: np.ndarray, scores: np.ndarray, image_of: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """`weighted_auc` without ever holding all draws of all patches."""
    step = max(1, 8 * _CHUNK_ELEMENTS // len(scores))
    parts = [
        weighted_auc(positive, scores, weights[start : start + step][:, image_of])
        for start in range(0, len(weights), step)
    ]
    return np.concatenate(parts)


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
