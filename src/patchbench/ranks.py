"""Several methods on several datasets: whether their ranks differ by more than chance.

Demsar, "Statistical comparisons of classifiers over multiple data sets" (Journal of Machine
Learning Research, 2006): the methods are ranked on each dataset; Friedman's test asks whether the
mean ranks differ at all, Nemenyi's critical difference how far two of them must be apart.
"""

import math
from dataclasses import dataclass

import numpy as np

ALPHA = 0.05
FEWEST_METHODS, FEWEST_DATASETS = 3, 2


@dataclass(frozen=True)
class RankTests:
    """What the mean ranks of at least three methods on at least two datasets tell.

    Attributes
    ----------
    chi2, chi2_p : float
        Friedman's statistic, corrected for ties, and its p.
    f, f_p : float
        Iman and Davenport's, which is less timid with few datasets; ``f`` is infinite where all
        datasets rank the methods alike.
    critical_difference : float
        Nemenyi's: mean ranks this far apart differ at the level ``alpha``.
    cliques : tuple of tuples of int
        Largest groups of methods whose mean ranks are closer than that, best first; to be read
        only where Friedman's test says that the ranks differ at all.
    alpha : float
    """

    chi2: float
    chi2_p: float
    f: float
    f_p: float
    critical_difference: float
    cliques: tuple[tuple[int, ...], ...]
    alpha: float


@dataclass(frozen=True)
class Ranking:
    """Mean ranks of methods over datasets.

    Attributes
    ----------
    mean_ranks : float64 array, (n_methods,)
        1 is best; tied methods share the mean of their ranks.
    n_datasets : int
        Datasets on which all methods have a value; the others are left out.
    tests : RankTests or None
    reason : str
        Why there are no tests; empty where there are.
    """

    mean_ranks: np.ndarray
    n_datasets: int
    tests: RankTests | None
    reason: str


def rank_methods(
    values: np.ndarray, alpha: float = ALPHA, *, higher_is_better: bool = True
) -> Ranking:
    """Rank methods on each dataset, and test whether their mean ranks differ.

    Parameters
    ----------
    values : float array, (n_datasets, n_methods)
        One score per dataset and method, for example macro AUC; NaN where a method was not run.
    alpha : float
        Level of Nemenyi's test, 0-1.
    higher_is_better : bool

    Returns
    -------
    Ranking
        Without tests for fewer than three methods or two datasets; mean ranks are NaN where no
        dataset has a value of all methods.

    Examples
    --------
    >>> found = rank_methods(np.array([[0.9, 0.8, 0.7], [0.9, 0.7, 0.7], [0.8, 0.9, 0.6]]))
    >>> found.mean_ranks.round(2), found.tests.cliques
    (array([1.33, 1.83, 2.83]), ((0, 1, 2),))
    """
    scores = np.asarray(values, dtype=np.float64)
    complete = scores[~np.isnan(scores).any(axis=1)]
    n_datasets, n_methods = complete.shape
    if n_datasets == 0:
        reason = "no dataset has a value of every method"
        return Ranking(np.full(n_methods, np.nan), 0, None, reason)
    ranks = _ranks(-complete if higher_is_better else complete)
    mean_ranks = ranks.mean(axis=0)
    for n, fewest, what in (
        (n_methods, FEWEST_METHODS, "methods"),
        (n_datasets, FEWEST_DATASETS, "datasets"),
    ):
        if n < fewest:
            reason = f"{n} {what if n != 1 else what[:-1]}; these tests need {fewest} or more"
            return Ranking(mean_ranks, n_datasets, None, reason)
    apart = critical_difference(n_methods, n_datasets, alpha)
    chi2, chi2_p = friedman(ranks)
    f, f_p = iman_davenport(chi2, n_datasets, n_methods)
    tests = RankTests(chi2, chi2_p, f, f_p, apart, cliques(mean_ranks, apart), alpha)
    return Ranking(mean_ranks, n_datasets, tests, "")


def friedman(ranks: np.ndarray) -> tuple[float, float]:
    """Friedman's statistic of ranks, (n_datasets, n_methods), corrected for ties, and its p.

    0 and 1 where all methods are tied on all datasets.
    """
    from scipy.special import chdtrc

    n, k = ranks.shape
    between = n * float(((ranks.mean(axis=0) - (k + 1) / 2) ** 2).sum())
    # of the ranks within a dataset: k (k + 1) / 12 where none are tied
    variance = float(((ranks - (k + 1) / 2) ** 2).sum()) / (n * (k - 1))
    if variance == 0:
        return 0.0, 1.0
    chi2 = between / variance
    return chi2, float(chdtrc(k - 1, chi2))


def iman_davenport(chi2: float, n_datasets: int, n_methods: int) -> tuple[float, float]:
    """F of a Friedman statistic, and its p, with k - 1 and (k - 1)(n - 1) degrees of freedom.

    Where all datasets rank the methods alike F is infinite. Its p would be 0 even for two
    datasets; then p is that of Friedman's statistic.
    """
    from scipy.special import chdtrc, fdtrc

    n, k = n_datasets, n_methods
    left = n * (k - 1) - chi2
    if left <= 1e-9 * n * k:
        return math.inf, float(chdtrc(k - 1, chi2))
    f = (n - 1) * chi2 / left
    return f, float(fdtrc(k - 1, (k - 1) * (n - 1), f))


def critical_difference(n_methods: int, n_datasets: int, alpha: float = ALPHA) -> float:
    """How far apart two mean ranks must be to differ, by Nemenyi's test of all pairs.

    >>> round(critical_difference(4, 14), 2)
    1.25
    """
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - alpha, n_methods, math.inf)) / math.sqrt(2)
    return q * math.sqrt(n_methods * (n_methods + 1) / (6 * n_datasets))


def cliques(mean_ranks: np.ndarray, apart: float) -> tuple[tuple[int, ...], ...]:
    """Find the largest groups of two or more methods with mean ranks closer than ``apart``.

    >>> cliques(np.array([3.0, 1.0, 1.5, 2.2]), 1.3)
    ((1, 2, 3), (3, 0))
    """
    order = np.argsort(mean_ranks, kind="stable")
    ranks = mean_ranks[order]
    # past the last method closer to each than that; rounding does not make closer what is as far
    ends = [int((ranks - rank < apart - 1e-9).sum()) for rank in ranks]
    groups = []
    for start, end in enumerate(ends):
        inside = start > 0 and ends[start - 1] >= end  # of the group before
        if end - start > 1 and not inside:
            groups.append(tuple(int(i) for i in order[start:end]))
    return tuple(groups)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks within each row, 1 for the lowest; tied values share the mean of theirs."""
    below = (values[:, None, :] < values[:, :, None]).sum(axis=2)
    level = (values[:, None, :] == values[:, :, None]).sum(axis=2)
    ranks: np.ndarray = below + (level + 1) / 2
    return ranks
