"""Tests of ranks and of paired decisions give the numbers of libraries and published examples."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, f, friedmanchisquare, rankdata

from patchbench.paired import mcnemar
from patchbench.ranks import (
    cliques,
    critical_difference,
    friedman,
    iman_davenport,
    rank_methods,
)

# AUC of C4.5, C4.5+m, C4.5+cf and C4.5+m+cf on 14 datasets: Demsar 2006, table 6. Its mean ranks
# tell apart the two 0.975, which are tied as printed; so one has half a unit of the last place more
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9755, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_ranks_are_those_of_demsar() -> None:
    found = rank_methods(DEMSAR)
    np.testing.assert_allclose(found.mean_ranks, [3.143, 2.000, 2.893, 1.964], atol=5e-4)
    assert found.n_datasets == 14 and found.reason == ""


def test_statistics_are_those_of_demsar_but_for_ties() -> None:
    tests = rank_methods(DEMSAR).tests
    assert tests is not None
    # his statistic is not corrected for ties: 2, 2, 4 and 2 methods share a rank
    ties = sum(t**3 - t for t in (2, 2, 4, 2)) / (14 * (4**3 - 4))
    assert tests.chi2 * (1 - ties) == pytest.approx(9.28, abs=0.005)
    f_ratio, p = iman_davenport(tests.chi2 * (1 - ties), 14, 4)
    assert f_ratio == pytest.approx(3.69, abs=0.005)
    assert p == pytest.approx(f.sf(f_ratio, 3, 39))
    assert f.ppf(0.95, 3, 39) == pytest.approx(2.85, abs=0.005) and p < 0.05


def test_methods_are_grouped_as_in_demsars_figure_1() -> None:
    for alpha, groups in ((0.05, ((3, 1, 2, 0),)), (0.10, ((3, 1, 2), (2, 0)))):
        tests = rank_methods(DEMSAR, alpha).tests
        assert tests is not None and tests.cliques == groups


def test_the_critical_differences_are_those_of_demsar() -> None:
    assert critical_difference(4, 14, 0.05) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 14, 0.10) == pytest.approx(1.12, abs=0.005)


@pytest.mark.parametrize(
    ("n_methods", "q"),
    [(3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.949), (8, 3.031), (9, 3.102)],
)
def test_critical_values_are_those_of_demsars_table_5(n_methods: int, q: float) -> None:
    per_q = math.sqrt(n_methods * (n_methods + 1) / (6 * 10))
    assert critical_difference(n_methods, 10) / per_q == pytest.approx(q, abs=1.5e-3)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(3, 7), st.integers(2, 20))
def test_ranks_and_friedman_are_those_of_scipy(seed: int, n: int, k: int, n_levels: int) -> None:
    values = np.random.default_rng(seed).integers(0, n_levels, (n, k)).astype(float)
    ranks = rankdata(-values, axis=1)
    np.testing.assert_allclose(rank_methods(values).mean_ranks, ranks.mean(axis=0))
    chi2, p = friedman(ranks)
    if (values == values[:, :1]).all():
        assert (chi2, p) == (0, 1)
    else:
        expected = friedmanchisquare(*values.T)
        assert chi2 == pytest.approx(expected.statistic)
        assert p == pytest.approx(expected.pvalue)


def test_lower_may_be_better() -> None:
    found = rank_methods(-DEMSAR, higher_is_better=False)
    np.testing.assert_allclose(found.mean_ranks, rank_methods(DEMSAR).mean_ranks)


def test_methods_always_tied_are_one_clique_and_do_not_differ() -> None:
    tests = rank_methods(np.ones((5, 3))).tests
    assert tests is not None
    assert (tests.chi2, tests.chi2_p, tests.f, tests.f_p) == (0, 1, 0, 1)
    assert tests.cliques == ((0, 1, 2),)


def test_full_agreement_of_few_datasets_is_no_proof() -> None:
    tests = rank_methods(np.array([[3.0, 2, 1], [0.9, 0.8, 0.7]])).tests
    assert tests is not None
    assert math.isinf(tests.f) and tests.f_p == pytest.approx(math.exp(-2))


def test_cliques_are_the_largest_groups_and_none_lies_in_another() -> None:
    ranks = np.array([1.0, 1.8, 2.6, 5.0, 5.5])
    assert cliques(ranks, 1.0) == ((0, 1), (1, 2), (3, 4))
    assert cliques(ranks, 2.0) == ((0, 1, 2), (3, 4))
    assert cliques(ranks, 0.1) == ()
    assert cliques(ranks[::-1], 9.0) == ((4, 3, 2, 1, 0),)
    # just the critical difference apart is apart
    assert cliques(np.array([1.0, 2.0]), 1.0) == ()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.ones((5, 2)), "2 methods; these tests need 3 or more"),
        (np.ones((1, 4)), "1 dataset; these tests need 2 or more"),
        (np.full((3, 4), np.nan), "no dataset has a value of every method"),
    ],
)
def test_too_few_methods_or_datasets_give_a_reason_and_no_test(
    values: np.ndarray, reason: str
) -> None:
    found = rank_methods(values)
    assert found.tests is None and found.reason == reason


def test_a_dataset_that_lacks_a_method_is_left_out() -> None:
    holed = np.vstack([DEMSAR, [0.9, np.nan, 0.8, 0.7]])
    found = rank_methods(holed)
    assert found.n_datasets == 14
    np.testing.assert_array_equal(found.mean_ranks, rank_methods(DEMSAR).mean_ranks)


# -------------------------------------------------------------------------------- McNemar


def decisions(both: int, first: int, second: int, none: int) -> tuple[np.ndarray, np.ndarray]:
    counts = [both, first, second, none]
    return np.repeat([1, 1, 0, 0], counts) == 1, np.repeat([1, 0, 1, 0], counts) == 1


def test_mcnemar_gives_the_published_p() -> None:
    # Fagerland, Lydersen & Laake (BMC Medical Research Methodology, 2013), table 1
    found = mcnemar(*decisions(1, 1, 7, 12))
    assert (found.only_first, found.only_second) == (1, 7)
    assert found.p == pytest.approx(0.0703, abs=5e-5)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 5))
def test_mcnemar_is_the_binomial_test_of_the_images_that_tell(
    first: int, second: int, same: int
) -> None:
    found = mcnemar(*decisions(same, first, second, same))
    n = first + second
    expected = binomtest(first, n).pvalue if n else 1.0
    assert found.p == pytest.approx(expected)
    tails = sum(math.comb(n, i) for i in range(min(first, second) + 1)) / 2**n
    assert found.p == pytest.approx(min(1.0, 2 * tails))


def test_mcnemar_wants_the_same_images() -> None:
    with pytest.raises(ValueError, match="the same images"):
        mcnemar(np.array([True]), np.array([True, False]))
