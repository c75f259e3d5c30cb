"""Decide on val images by rules that are fitted on val: fold by fold, never on their own labels.

Rules are chosen by what they decide on val. A rule that has learned from the very same images
would win whatever it is worth.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from patchbench.bags import Bags

_FOLDS = 5


def n_folds(labels: np.ndarray) -> int:
    """Folds that images can be dealt to with every class in each; 0 where there are too few."""
    least = int(np.bincount(labels).min())
    return min(_FOLDS, least) if least > 1 else 0


def deal(labels: np.ndarray) -> np.ndarray:
    """Fold of each image, classes spread evenly; -1 where there are too few: int (n_images,)."""
    folds = n_folds(labels)
    if not folds:
        return np.full(len(labels), -1)
    order = np.argsort(labels, kind="stable")
    found = np.empty(len(labels), dtype=np.int64)
    found[order] = np.arange(len(labels)) % folds
    return found


def decide(build: Callable[[], Any], bags: Bags, labels: np.ndarray) -> np.ndarray:
    """Decisions on val images, each by a rule fitted on the other folds.

    Parameters
    ----------
    build : callable
        Gives a rule that is not fitted yet.
    bags, labels : Bags, int array (n_images,)
        The val images. Of too few to be dealt, decisions are by the rule fitted on all.

    Returns
    -------
    probabilities : float64 array, (n_images, n_classes)
    """
    rule, fold_of = build(), deal(labels)
    if not rule.fitted or (fold_of < 0).all():
        decisions: np.ndarray = rule.fit(bags, labels).fuse(bags)
        return decisions
    found = np.empty((len(labels), bags.patch_logits.shape[1]))
    for fold in np.unique(fold_of):
        inside = fold_of == fold
        fitted = build().fit(bags.of_images(~inside), labels[~inside])
        found[inside] = fitted.fuse(bags.of_images(inside))
    return found
