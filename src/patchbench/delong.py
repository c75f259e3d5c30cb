"""DeLong's variance of the AUC-ROC, and his test of two AUCs on the same images.

DeLong, DeLong & Clarke-Pearson, "Comparing the areas under two or more correlated receiver
operating characteristic curves: a nonparametric approach" (Biometrics, 1988), computed from
mid-ranks in O(n log n) by Sun & Xu, "Fast implementation of DeLong's algorithm for comparing the
areas under correlated receiver operating characteristic curves" (IEEE Signal Processing Letters,
2014). Rows must be independent of each other: images, not the patches of an image.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from patchbench.bootstrap import COVERAGE, Estimate, certain_ends

# rounding leaves about 1e-32; one pair of 100,000 + 100,000 images ordered otherwise, 1e-21
_NO_VARIANCE = 1e-28


@dataclass(frozen=True)
class DelongAreas:
    """Areas under the curves of several scores on the same images.

    Attributes
    ----------
    auc : float64 array, (n_scores,)
    covariance : float64 array, (n_scores, n_scores)
        Of the areas over samples of images; NaN where a class has a single image, from which no
        spread can be told.
    """

    auc: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True)
class DelongTest:
    """Two AUCs on the same images, and whether they differ.

    Attributes
    ----------
    auc_a, auc_b : float
    covariance : float64 array, (2, 2)
        Of the two areas; NaN where a class has a single image.
    p : float
        Two-sided p that both areas are equal, 0-1; NaN where a class has a single image and the
        scores do not order the images alike.
    """

    auc_a: float
    auc_b: float
    covariance: np.ndarray
    p: float


def delong(labels: np.ndarray, scores: np.ndarray) -> DelongAreas:
    """Areas under the ROC curves of several scores, ties counted half, and their covariance.

    Parameters
    ----------
    labels : bool array, (n,)
        True for the positive class; 0 and 1 will do.
    scores : float array, (n_scores, n) or (n,)
        Higher means more positive.

    Raises
    ------
    ValueError
        If lengths differ, a score is NaN, labels are not of two classes or one class is missing.

    Examples
    --------
    >>> found = delong(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    >>> found.auc, found.covariance
    (array([0.75]), array([[0.125]]))
    """
    positive, rows = _checked(labels, scores)
    of_positives, of_negatives = _components(positive, rows)
    covariance = _covariance(of_positives) + _covariance(of_negatives)
    return DelongAreas(of_positives.mean(axis=1), covariance)


def delong_interval(labels: np.ndarray, scores: np.ndarray, coverage: float = COVERAGE) -> Estimate:
    """Area under one ROC curve, or the mean of several, with DeLong's interval, on the logit scale.

    The plain interval leaves 0-1 and covers too seldom near 1; that of the log-odds of the area,
    carried back, does neither (Pepe, "The statistical evaluation of medical tests", 2003). Where
    all positives beat all negatives the variance is 0, whatever the number of images. Then the
    interval is that of an exact binomial test: of m pairs without an image in common, m the size
    of the smaller class, all were won. Any other area without variance, as of scores that are all
    the same, has no interval.

    Parameters
    ----------
    labels : bool array, (n,)
    scores : float array, (n,) or (n_scores, n)
        Higher means more positive. Of several, as of networks trained with several seeds, the mean
        of their areas is told: on the same images, so that their covariance counts.
    coverage : float
        How often the interval is to hold the true area, 0-1.

    Returns
    -------
    Estimate
        Ends are NaN, with the reason, where the area is neither 0 nor 1 and a class has a single
        image or there is no variance.

    Raises
    ------
    ValueError
        As :func:`delong`, and if ``coverage`` is not between 0 and 1.

    Examples
    --------
    >>> delong_interval(np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 3, 4, 5])).low.__round__(3)
    0.292
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage is {coverage}; it must lie between 0 and 1, as 0.95 does")
    found = delong(labels, scores)
    auc, variance = float(found.auc.mean()), float(found.covariance.mean())
    n_positive = int(np.sum(labels))
    if auc in (0.0, 1.0):
        n_pairs = min(n_positive, len(labels) - n_positive)
        return Estimate(auc, *certain_ends(auc, n_pairs, coverage))
    if math.isnan(variance):
        whose = "the class" if n_positive == 1 else "another class"
        reason = f"no interval: a single image of {whose}"
        return Estimate(auc, reason=reason)
    if variance <= _NO_VARIANCE:
        reason = "no interval: all images of a class fare alike"
        return Estimate(auc, reason=reason)
    middle = math.log(auc / (1 - auc))
    half = NormalDist().inv_cdf((1 + coverage) / 2) * math.sqrt(variance) / (auc * (1 - auc))
    low, high = ((1 + math.tanh(end / 2)) / 2 for end in (middle - half, middle + half))
    return Estimate(auc, low, high)


def delong_test(labels: np.ndarray, scores_a: np.ndarray, scores_b: np.ndarray) -> DelongTest:
    """Test whether two scores have the same area under the ROC curve on the same images.

    Where the estimated variance of the difference is 0, p is 1 for equal areas. For different
    ones, as of a perfect score and one that is always the same, the formula would give a p of 0
    after any number of images; then p is that of a sign test of as many pairs as the smaller class
    has images.

    Parameters
    ----------
    labels : bool array, (n,)
        True for the positive class; 0 and 1 will do.
    scores_a, scores_b : float array, (n,)
        Higher means more positive.

    Raises
    ------
    ValueError
        As :func:`delong`.

    Examples
    --------
    >>> labels = np.array([0, 0, 0, 1, 1, 1])
    >>> found = delong_test(labels, np.array([1, 2, 3, 4, 5, 6]), np.array([1, 4, 3, 2, 5, 6]))
    >>> found.auc_a, round(found.auc_b, 3), round(found.p, 3)
    (1.0, 0.778, 0.371)
    """
    if np.shape(scores_a) != np.shape(scores_b):
        raise ValueError(
            f"scores have the shapes {np.shape(scores_a)} and {np.shape(scores_b)}; "
            "both must score the same images"
        )
    positive, rows = _checked(labels, np.stack([scores_a, scores_b]))
    of_positives, of_negatives = _components(positive, rows)
    auc_a, auc_b = (float(area) for area in of_positives.mean(axis=1))
    apart = of_positives[:1] - of_positives[1:], of_negatives[:1] - of_negatives[1:]
    variance = float(sum(_covariance(each)[0, 0] for each in apart))
    covariance = _covariance(of_positives) + _covariance(of_negatives)
    alike = all(np.array_equal(each, np.zeros_like(each)) for each in apart)
    if alike:
        p = 1.0
    elif variance > _NO_VARIANCE or math.isnan(variance):
        p = math.erfc(abs(auc_a - auc_b) / math.sqrt(2 * variance))
    else:
        p = 2.0 ** (1 - min(np.sum(positive), np.sum(~positive)))
    return DelongTest(auc_a, auc_b, covariance, p)


def _checked(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels as bool, (n,), and scores as float64, (n_scores, n)."""
    given, rows = np.asarray(labels), np.atleast_2d(np.asarray(scores, dtype=np.float64))
    if given.ndim != 1 or rows.ndim != 2 or rows.shape[1] != len(given):
        raise ValueError(
            f"labels have the shape {given.shape} and scores {np.shape(scores)}; "
            "one score per label is needed"
        )
    classes = np.unique(given)
    if not np.isin(classes, (0, 1)).all():
        raise ValueError(
            f"labels hold {classes[:5].tolist()}; only 0 and 1 are known here, "
            "so compare one class with the rest: labels == c"
        )
    if len(classes) < 2:
        raise ValueError(
            f"labels hold {classes.tolist()} alone; an AUC needs images of both classes"
        )
    if np.isnan(rows).any():
        raise ValueError(f"{int(np.isnan(rows).sum())} scores are NaN; leave their images out")
    return given.astype(bool), rows


def _components(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of the other class that each positive beats, and that each negative loses to.

    Returns
    -------
    of_positives : float64 array, (n_scores, n_positive)
    of_negatives : float64 array, (n_scores, n_negative)
    """
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    everyone = np.stack([_mid_ranks(row) for row in scores])
    own = np.stack([_mid_ranks(row[positive]) for row in scores])
    others = np.stack([_mid_ranks(row[~positive]) for row in scores])
    of_positives: np.ndarray = (everyone[:, positive] - own) / n_negative
    of_negatives: np.ndarray = 1 - (everyone[:, ~positive] - others) / n_positive
    return of_positives, of_negatives


def _mid_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; tied values share the mean of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[which]
    return ranks


def _covariance(components: np.ndarray) -> np.ndarray:
    """Of the mean of the columns: (n_scores, n_scores), NaN for a single column."""
    n_scores, n = components.shape
    if n < 2:
        return np.full((n_scores, n_scores), np.nan)
    apart = components - components.mean(axis=1, keepdims=True)
    covariance: np.ndarray = apart @ apart.T / ((n - 1) * n)
    return covariance
