"""Draw rows of labelled data at random without losing a class."""

import numpy as np


def draw(labels: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """Rows of a plain random sample without replacement, ascending.

    One row of every class is drawn ahead of the rest, so that no class is missed as long as
    ``limit`` is not below the number of classes.

    Parameters
    ----------
    labels : int array, (n,)
        Class of each row.
    limit : int
        Most rows to draw; where there are no more, all are taken.

    Returns
    -------
    int array, (min(n, limit),)
    """
    if len(labels) <= limit:
        return np.arange(len(labels))
    order = np.random.default_rng(seed).permutation(len(labels))
    firsts = np.unique(labels[order], return_index=True)[1]
    order = np.concatenate([order[firsts], np.delete(order, firsts)])
    return np.sort(order[:limit])


def draw_balanced(labels: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """As `draw`, but as many rows of each class; what a small class lacks goes to the others."""
    if len(labels) <= limit:
        return np.arange(len(labels))
    rng = np.random.default_rng(seed)
    classes, counts = np.unique(labels, return_counts=True)
    found, left = [], limit
    for done, place in enumerate(np.argsort(counts, kind="stable")):
        share = min(int(counts[place]), left // (len(classes) - done))
        rows = np.flatnonzero(labels == classes[place])
        found.append(rng.choice(rows, share, replace=False))
        left -= share
    return np.sort(np.concatenate(found))
