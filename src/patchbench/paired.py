"""Compare methods on the same images: differences with interval and p, from bootstrap draws."""

from dataclasses import dataclass

import numpy as np

from patchbench.metrics import COVERAGE


@dataclass(frozen=True)
class Difference:
    """Value of a paired difference, its percentile interval and its two-sided bootstrap p."""

    value: float
    low: float
    high: float
    p: float


def difference(draws: np.ndarray, other: np.ndarray) -> Difference:
    """How much higher one method is than another, from draws of the same images.

    Parameters
    ----------
    draws, other : float array, (1 + n_draws,)
        The value on the images as they are, then on each draw.
    """
    apart = draws - other
    drawn = apart[1:][np.isfinite(apart[1:])]
    if not np.isfinite(apart[0]) or len(drawn) == 0:
        return Difference(*[float("nan")] * 4)
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    # one is added to both counts, so that no number of draws gives a p of 0
    side = min((drawn <= 0).sum(), (drawn >= 0).sum()) + 1
    p = min(1.0, 2 * side / (len(drawn) + 1))
    return Difference(float(apart[0]), float(low), float(high), float(p))
