"""Choose a setting of a rule on images that nothing was fitted on."""

from collections.abc import Callable, Iterable

import numpy as np


def lowest_log_loss(
    candidates: Iterable[float], fuse: Callable[[float], np.ndarray], labels: np.ndarray
) -> float:
    """The candidate whose decisions have the lowest log-loss; of equal ones the first.

    Parameters
    ----------
    candidates : iterable of float
        The harmless one first, so that a setting is changed only where that helps.
    fuse : callable
        From a candidate to probabilities, (n_images, n_classes).
    labels : int array, (n_images,)
    """

    def loss(candidate: float) -> float:
        of_true_class = fuse(candidate)[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(of_true_class, 1e-12)).mean())

    return min(candidates, key=loss)
