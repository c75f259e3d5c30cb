"""How sure predictions are, against how often they are right: bins of confidence, and their error.

Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017, arXiv:1706.04599).
"""

from dataclasses import dataclass

import numpy as np

from patchbench.bootstrap import drawn_sums

N_BINS = 15


@dataclass(frozen=True)
class Reliability:
    """How sure and how right predictions are, in bins of how sure they are.

    Attributes
    ----------
    confidence, share : float64 array, (n_bins,)
        Mean confidence in a bin, NaN where it is empty; share of the predictions in it.
    n : int array, (n_bins,)
        Predictions in each bin.
    accuracy : float64 array, (n_bins, 1 + n_draws)
        Share of them that is right: as they are, then in each draw of images; NaN where empty.
    ece : float64 array, (1 + n_draws,)
        Expected calibration error: mean over bins of the distance between confidence and
        accuracy, weighted by share.
    """

    confidence: np.ndarray
    share: np.ndarray
    n: np.ndarray
    accuracy: np.ndarray
    ece: np.ndarray


def reliability(
    labels: np.ndarray, probabilities: np.ndarray, image_of: np.ndarray, weights: np.ndarray
) -> Reliability:
    """Compare confidence, the probability of the likeliest class, with how often that is true.

    Bins are of equal width, each with its upper end (Guo et al. 2017). The error is a sum of
    distances, so chance raises it: that of few predictions lies above its true value, and that
    of a draw of them above that; see :func:`levelled`.

    Parameters
    ----------
    labels : int array, (n,)
        True class of each prediction (of a patch: its image's).
    probabilities : float array, (n, n_classes)
        Rows sum to 1.
    image_of : int array, (n,)
        Which image each prediction belongs to, from 0 without gaps.
    weights : float array, (1 + n_draws, n_images)
        How often each image counts; see :func:`patchbench.metrics.draw_weights`.
    """
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.clip(np.ceil(sure * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
    members = [bins == i for i in range(N_BINS)]
    columns = [part * each for part in (1.0, right, sure) for each in members]
    n, hits, mass = drawn_sums(columns, image_of, weights).reshape(3, N_BINS, len(weights))
    filled = n > 0
    accuracy = np.divide(hits, n, out=np.full(n.shape, np.nan), where=filled)
    confidence = np.divide(mass[:, 0], n[:, 0], out=np.full(N_BINS, np.nan), where=filled[:, 0])
    ece = np.abs(hits - mass).sum(axis=0) / n.sum(axis=0)
    counts = n[:, 0].astype(np.int64)
    return Reliability(confidence, counts / counts.sum(), counts, accuracy, ece)


def levelled(ece: np.ndarray) -> np.ndarray:
    """Take from the errors of draws what chance adds to them.

    A draw holds fewer different predictions than there are, so its bins stray further: its error
    lies above the value by much in small samples, often all of the interval does. The draws are
    moved down until their mean is the value, and cut at 0.

    Parameters
    ----------
    ece : float array, (1 + n_draws,)
        The value, which stays as it is, then that of each draw; none is NaN.

    Returns
    -------
    float64 array, (1 + n_draws,)
    """
    if len(ece) < 2:
        return ece.copy()
    return np.append(ece[0], np.maximum(0.0, ece[1:] - max(0.0, ece[1:].mean() - ece[0])))
