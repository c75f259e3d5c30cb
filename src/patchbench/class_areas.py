"""How well each class is told from all others: its AUC-ROC on images, with DeLong's interval."""

from dataclasses import dataclass

import numpy as np

from patchbench.bootstrap import Estimate
from patchbench.delong import delong_interval


@dataclass(frozen=True)
class ClassArea:
    """One class against the rest.

    Attributes
    ----------
    label : int
    area : Estimate
        AUC-ROC of the probability of the class.
    n_positive, n_negative : int
        Images of the class, and of all others.
    """

    label: int
    area: Estimate
    n_positive: int
    n_negative: int


def class_areas(labels: np.ndarray, probabilities: np.ndarray) -> list[ClassArea]:
    """One-vs-rest AUC of every class, with a 95 % interval that needs no bootstrap.

    Parameters
    ----------
    labels : int array, (n_images,)
        True classes. Images, not patches: those of one image are not independent.
    probabilities : float array, (n_images, n_classes) or (n_seeds, n_images, n_classes)
        Of several seeds, the mean of their areas is told.

    Examples
    --------
    >>> found = class_areas(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3]]))
    >>> found[0].area.value, found[0].area.reason
    (0.5, 'no interval: a single image of another class')
    """
    classes = range(probabilities.shape[-1])
    return [_one_class(labels == c, probabilities[..., c], c) for c in classes]


def _one_class(positive: np.ndarray, scores: np.ndarray, label: int) -> ClassArea:
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    for n, whose in ((n_positive, "of the class"), (n_negative, "of another class")):
        if n == 0:
            reason = f"no image {whose}: no area"
            return ClassArea(label, Estimate(reason=reason), n_positive, n_negative)
    return ClassArea(label, delong_interval(positive, scores), n_positive, n_negative)
