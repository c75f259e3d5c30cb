"""Draw rows of labelled data at random without losing a class, as many as memory has room for."""

import sys

import numpy as np
import pandas as pd

from patchbench.seeds import derive

# share of the memory that val patches may take: they only choose between a few settings
VAL_SHARE = 0.25
_BYTES = 4  # of a float32


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


def row_limits(max_mib: int, dim: int, bytes_per_value: int, n_val: int) -> tuple[int, int]:
    """Most train and val rows whose matrices fit together into ``max_mib`` MiB.

    Parameters
    ----------
    max_mib : int
        Memory for both matrices and every copy that a fit makes of the train matrix.
    dim : int
        Values in a row.
    bytes_per_value : int
        What a fit holds for each value of the train matrix.
    n_val : int
        Val rows that there are; what they leave of their share goes to train.

    >>> row_limits(1024, 512, 4, n_val=20_000)
    (504288, 20000)
    >>> row_limits(1024, 512, 28, n_val=1_000_000)
    (56173, 131072)
    """
    budget = max_mib * 2**20
    val = min(n_val, int(VAL_SHARE * budget) // (_BYTES * dim))
    return (budget - val * _BYTES * dim) // (bytes_per_value * dim), val


def sample(index: pd.DataFrame, limit: int, seed: int) -> pd.DataFrame:
    """At most ``limit`` rows of one split, in their old order; says so if fewer.

    A plain random draw without replacement, except that every class keeps a row.
    """
    if len(index) <= limit:
        return index
    split = index["split"].iloc[0]
    print(
        f"{split}: using {limit} of {len(index)} patches, drawn at random, because of max_fit_mib",
        file=sys.stderr,
    )
    rows = draw(index["label"].to_numpy(), limit, derive(seed, "fit_classifier", split))
    return index.iloc[rows]
