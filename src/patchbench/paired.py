"""Compare methods on the same images: differences with interval and p, from bootstrap draws."""

from dataclasses import dataclass

import numpy as np

from patchbench.bootstrap import N_DRAWS, interval

# Holm multiplies p by the number of tests; so many draws each keep the smallest one below 0.05
_DRAWS_PER_TEST = 80
_ROUNDING = 1e-12
_MOST_WEIGHTS = 1 << 27  # float32, so half a GiB


@dataclass(frozen=True)
class Difference:
    """Value of a paired difference, its percentile interval and its two-sided bootstrap p.

    NaN where they are not known, for the ``reason`` given; ``n_draws`` is in how many draws the
    difference is defined.
    """

    value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan
    n_draws: int = 0
    reason: str = ""


def difference(draws: np.ndarray, other: np.ndarray) -> Difference:
    """How much higher one method is than another, from draws of the same images.

    Draws that agree on one difference know no p, as they know no interval: they tell that images
    are few or alike, not how sure it is. Where they agree that there is none, p is 1.

    Parameters
    ----------
    draws, other : float array, (1 + n_draws,)
        The value on the images as they are, then on each draw.
    """
    apart = draws - other
    apart[np.abs(apart) < _ROUNDING] = 0.0
    drawn = apart[1:][np.isfinite(apart[1:])]
    if not np.isfinite(apart[0]):
        return Difference(reason="not defined on these images")
    # one is added to both counts, so that no number of draws gives a p of 0
    side = min((drawn <= 0).sum(), (drawn >= 0).sum()) + 1
    found, p = interval(apart[1:]), min(1.0, 2 * side / (len(drawn) + 1))
    if np.isnan(found.low) and (p < 1 or len(drawn) == 0):
        p = np.nan
    return Difference(float(apart[0]), found.low, found.high, float(p), found.n_draws, found.reason)


def draws_for(n_tests: int, n_images: int) -> int:
    """How many draws of images a family of tests needs, as far as memory allows.

    >>> draws_for(10, 500), draws_for(100, 500), draws_for(100, 32768)
    (2000, 8000, 4096)
    """
    most = max(N_DRAWS, _MOST_WEIGHTS // max(1, n_images))
    return min(most, max(N_DRAWS, _DRAWS_PER_TEST * n_tests))


def holm(p: np.ndarray) -> np.ndarray:
    """Adjust several p for having asked several questions; all errors together stay below p.

    Holm, "A simple sequentially rejective multiple test procedure" (Scandinavian Journal of
    Statistics, 1979): the smallest p counts as often as there are questions, the next one time
    fewer, and none becomes smaller than the one before.

    Parameters
    ----------
    p : float array, (n,)
        Known and 0-1, in any order.

    Returns
    -------
    adjusted : float64 array, (n,)
        In the order of ``p``, at most 1.

    >>> holm(np.array([0.5, 0.01, 0.02])).round(2)
    array([0.5 , 0.03, 0.04])
    """
    order = np.argsort(p, kind="stable")
    stepped = np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(stepped))
    return adjusted


@dataclass(frozen=True)
class McNemar:
    """Images that only the one or only the other method decides rightly, and the two-sided p."""

    only_first: int
    only_second: int
    p: float


def mcnemar(right: np.ndarray, other: np.ndarray) -> McNemar:
    """Test whether two methods are right equally often, on the same images.

    McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages" (Psychometrika, 1947), in its exact form: images on which both are right or both
    are wrong do not tell the methods apart; of the others, as many should fall to either as heads
    and tails of a coin. The p is 1 where there are none.

    Parameters
    ----------
    right, other : bool array, (n_images,)
        Whether the one and the other method is right.

    Raises
    ------
    ValueError
        If lengths differ.

    Examples
    --------
    >>> mcnemar(np.array([True, True, False, True]), np.array([False, False, False, True]))
    McNemar(only_first=2, only_second=0, p=0.5)
    """
    from scipy.special import bdtr

    first, second = np.asarray(right, dtype=bool), np.asarray(other, dtype=bool)
    if first.shape != second.shape:
        raise ValueError(
            f"decisions have the shapes {first.shape} and {second.shape}; "
            "both methods must decide on the same images"
        )
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    n = only_first + only_second
    p = min(1.0, 2 * float(bdtr(min(only_first, only_second), n, 0.5))) if n else 1.0
    return McNemar(only_first, only_second, p)
