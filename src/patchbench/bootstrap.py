"""Draws of images with replacement, and the intervals they give.

All bootstrap intervals come from drawing *images*; the patches of an image stay together, because
they are not independent of each other, and so do images of one group, where a dataset names groups.
A draw is an integer weight per image, so every metric is
computed as a weighted one, for all draws at once.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

N_DRAWS = 2000
COVERAGE = 0.95
FEWEST_DRAWS = round(2 / (1 - COVERAGE))  # of fewer, none is expected beyond either end
_CHUNK_ELEMENTS = 1 << 20


@dataclass(frozen=True)
class Interval:
    """Where the middle `COVERAGE` of draws lies.

    Attributes
    ----------
    low, high : float
        NaN where ``reason`` is given.
    n_draws : int
        Draws in which the metric is defined.
    reason : str
        Why there is no interval; empty where there is.
    """

    low: float
    high: float
    n_draws: int
    reason: str


@dataclass(frozen=True)
class Estimate:
    """A value and its interval; NaN where they are not known, for the ``reason`` given.

    ``n_draws`` is in how many draws the metric is defined; 0 where the interval needs none.
    """

    value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    n_draws: int = 0
    reason: str = ""

    @property
    def numbers(self) -> dict[str, float]:
        """Columns ``value``, ``low`` and ``high``."""
        return {"value": self.value, "low": self.low, "high": self.high}

    @property
    def columns(self) -> dict[str, float | str | None]:
        """`numbers`, and ``reason`` as tables have it: None where there is none."""
        return {**self.numbers, "reason": self.reason or None}


@lru_cache(maxsize=1)
def draw_weights(n_images: int, seed: int, n_draws: int = N_DRAWS) -> np.ndarray:
    """How often each image is drawn: (1 + n_draws, n_images), read-only; row 0 is all ones.

    The last answer is kept: many methods are scored on the same draws of the same images.
    """
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n_images, np.full(n_images, 1 / n_images), size=n_draws)
    weights = np.concatenate([np.ones((1, n_images), np.float32), counts], dtype=np.float32)
    weights.setflags(write=False)
    return weights


def draw_groups(group_of: np.ndarray, seed: int, n_draws: int = N_DRAWS) -> np.ndarray:
    """As :func:`draw_weights`, but images of one group are drawn together.

    Parameters
    ----------
    group_of : int array, (n_images,)
        Group of each image, from 0 without gaps. Where every image is its own group, numbered in
        order, the draws are those of :func:`draw_weights`.
    seed : int
    n_draws : int

    Returns
    -------
    float32 array, (1 + n_draws, n_images)
        Row 0 is all ones; draws of groups of unlike size differ in how many images they hold.

    Examples
    --------
    >>> draw_groups(np.array([0, 1, 0]), seed=1, n_draws=2)
    array([[1., 1., 1.],
           [1., 1., 1.],
           [2., 0., 2.]], dtype=float32)
    """
    drawn = draw_weights(int(group_of.max()) + 1, seed, n_draws)
    if np.array_equal(group_of, np.arange(drawn.shape[1])):
        return drawn  # every image by itself: no copy
    found: np.ndarray = drawn[:, group_of]
    return found


def numbered(groups: Iterable[Hashable]) -> np.ndarray:
    """Number groups from 0 in order of appearance: int64 array, (n_images,).

    >>> numbered(["b", "a", "b"])
    array([0, 1, 0])
    """
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in groups], dtype=np.int64)


def drawn_sums(
    columns: Sequence[np.ndarray], image_of: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Sum columns over the predictions that each draw holds.

    Parameters
    ----------
    columns : sequence of bool, int or float arrays, (n,) each
    image_of : int array, (n,)
        Which image each prediction belongs to, from 0.
    weights : float array, (n_draws, n_images)
        How often each image counts.

    Returns
    -------
    float64 array, (n_columns, n_draws)

    Examples
    --------
    >>> drawn_sums([np.array([1, 2, 4])], np.array([0, 0, 1]), np.array([[1, 1], [2, 0]]))
    array([[7., 6.]])
    """
    n_images = weights.shape[1]
    per_image = np.stack([np.bincount(image_of, each, n_images) for each in columns], axis=1)
    sums = np.empty((len(columns), len(weights)))
    step = max(1, _CHUNK_ELEMENTS // max(1, n_images))
    for start in range(0, len(weights), step):
        rows = slice(start, start + step)
        sums[:, rows] = (weights[rows].astype(np.float64) @ per_image).T
    return sums


def interval(draws: np.ndarray) -> Interval:
    """The percentile interval of draws.

    Draws in which a metric is not defined, since they hold no image of a class, are left out.
    Draws that are all alike give no interval: that resampling changes nothing does not mean that
    other images would not either.

    Parameters
    ----------
    draws : float array, (n_draws,)
        NaN where not defined.

    Examples
    --------
    >>> interval(np.ones(2000)).reason
    'no interval: the draws of images all give the same value'
    """
    drawn = draws[np.isfinite(draws)]
    if len(drawn) < FEWEST_DRAWS:
        reason = f"no interval: defined in {len(drawn)} of {len(draws):,} draws of images"
        return Interval(np.nan, np.nan, len(drawn), reason)
    tail = (1 - COVERAGE) / 2
    low, high = (float(end) for end in np.quantile(drawn, [tail, 1 - tail]))
    if np.isclose(low, high, rtol=1e-12, atol=1e-12):  # alike but for rounding
        reason = "no interval: the draws of images all give the same value"
        return Interval(np.nan, np.nan, len(drawn), reason)
    return Interval(low, high, len(drawn), "")


def estimate(draws: np.ndarray, n_trials: int = 0) -> Estimate:
    """Value from the first draw, that of the images as they are; interval from the others.

    Parameters
    ----------
    draws : float array, (1 + n_draws,)
    n_trials : int
        Of a share, how many independent images or groups it is of: a share of none or all of
        them, which resampling cannot change, then has the interval of `certain_ends`.
    """
    value = float(draws[0])
    if not np.isfinite(value):
        return Estimate(reason="not defined on these images")
    found = interval(draws[1:])
    if n_trials and value in (0.0, 1.0):
        return Estimate(value, *certain_ends(value, n_trials), found.n_draws)
    return Estimate(value, found.low, found.high, found.n_draws, found.reason)


def certain_ends(share: float, n_trials: int, coverage: float = COVERAGE) -> tuple[float, float]:
    """Ends of the exact binomial interval of a share that is 0 or 1.

    Clopper & Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    binomial" (Biometrika, 1934).

    >>> low, high = certain_ends(1.0, 10)
    >>> round(low, 3), high
    (0.692, 1.0)
    """
    bound = ((1 - coverage) / 2) ** (1 / n_trials)
    return (bound, 1.0) if share == 1 else (0.0, 1 - bound)
