"""DeLong's fast variance is that of its definition; intervals hold the truth as often as said."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from patchbench import metrics
from patchbench.class_areas import class_areas
from patchbench.delong import delong, delong_interval, delong_test


def slow_components(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Structural components of DeLong 1988, by comparing every pair."""

    def wins(x: float, y: float) -> float:
        return 1.0 if x > y else 0.5 if x == y else 0.0

    above, below = scores[labels], scores[~labels]
    return (
        np.array([np.mean([wins(x, y) for y in below]) for x in above]),
        np.array([np.mean([wins(x, y) for x in above]) for y in below]),
    )


def slow_covariance(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    found = [slow_components(labels, row) for row in scores]
    total = np.zeros((len(scores), len(scores)))
    for side in (0, 1):
        parts = [components[side] for components in found]
        for i, a in enumerate(parts):
            for j, b in enumerate(parts):
                apart = [(x - a.mean()) * (y - b.mean()) for x, y in zip(a, b, strict=True)]
                total[i, j] += sum(apart) / (len(a) - 1) / len(a)
    return total


def some_scores(seed: int, n: int, n_scores: int, n_levels: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random(n) < 0.5, rng.integers(0, n_levels, (n_scores, n)).astype(float)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(4, 25), st.integers(1, 3), st.integers(1, 30))
def test_the_fast_covariance_is_that_of_all_pairs_with_ties(
    seed: int, n: int, n_scores: int, n_levels: int
) -> None:
    labels, scores = some_scores(seed, n, n_scores, n_levels)
    assume(2 <= labels.sum() <= n - 2)
    found = delong(labels, scores)
    np.testing.assert_allclose(found.auc, [roc_auc_score(labels, row) for row in scores])
    np.testing.assert_allclose(found.covariance, slow_covariance(labels, scores), atol=1e-14)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(4, 25), st.integers(2, 30))
def test_the_test_is_the_z_test_of_that_covariance(seed: int, n: int, n_levels: int) -> None:
    labels, scores = some_scores(seed, n, 2, n_levels)
    assume(2 <= labels.sum() <= n - 2)
    found = delong_test(labels, *scores)
    covariance = slow_covariance(labels, scores)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-14)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assume(variance > 1e-12)
    z = abs(found.auc_a - found.auc_b) / math.sqrt(variance)
    assert found.p == pytest.approx(2 * NormalDist().cdf(-z), rel=1e-6)
    assert delong_test(labels, *scores[::-1]).p == pytest.approx(found.p)


# Albumin, total protein, K-G score, and whether surgery helped: 43 patients with ovarian cancer of
# DeLong, DeLong & Clarke-Pearson 1988, as printed in the SAS/STAT 9.22 User's Guide, example 51.8.
PATIENTS = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0
1.6 5.6  5 1  3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1
4.3 7.0  4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1
3.0 4.7  8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1
3.2 5.1  5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1
3.5 6.2  5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1
3.6 6.6  5 1
"""


def test_a_published_example_comes_out_as_printed() -> None:
    albumin, protein, kg, helped = np.array(PATIENTS.split(), float).reshape(-1, 4).T
    for scores, area, error, p in (
        (albumin, 0.7366, 0.0927, 0.9102),
        (protein, 0.6478, 0.1000, 0.4561),
    ):
        found = delong_test(helped.astype(int), scores, -kg)
        assert (found.auc_a, found.auc_b) == pytest.approx((area, 0.7258), abs=5e-5)
        errors = np.sqrt(np.diag(found.covariance))
        assert errors == pytest.approx([error, 0.1028], abs=5e-5)
        assert found.p == pytest.approx(p, abs=5e-5)
    # both contrasts with the K-G score at once: chi-square of two degrees of freedom
    told = delong(helped.astype(bool), np.stack([albumin, protein, -kg]))
    contrast = np.array([[1, 0, -1], [0, 1, -1]])
    apart = contrast @ told.auc
    chi_square = apart @ np.linalg.solve(contrast @ told.covariance @ contrast.T, apart)
    assert chi_square == pytest.approx(2.5340, abs=5e-5)


def test_only_the_order_of_scores_counts() -> None:
    labels, scores = some_scores(1, 60, 2, 50)
    a, b = delong_test(labels, *scores), delong_test(labels, scores[0] ** 3, np.exp(scores[1]))
    assert (a.auc_a, a.auc_b, a.p) == (b.auc_a, b.auc_b, b.p)
    assert delong_test(labels, scores[0], 7 * scores[0] - 3).p == 1


def test_the_issue_finds_the_test_among_the_metrics() -> None:
    assert metrics.delong_test is delong_test


# ------------------------------------------------------------------------- without variance


def test_equal_areas_without_variance_do_not_differ() -> None:
    labels = np.array([0, 0, 1, 1])
    perfect, other = np.array([1.0, 2, 3, 4]), np.array([2.0, 1, 9, 8])
    assert delong_test(labels, perfect, perfect).p == 1
    assert delong_test(labels, perfect, other).p == 1


def test_few_images_never_give_a_p_of_0() -> None:
    for n in (2, 3, 10):
        labels = np.repeat([0, 1], n)
        found = delong_test(labels, labels, np.zeros(2 * n))
        assert (found.auc_a, found.auc_b) == (1, 0.5)
        assert found.p == pytest.approx(2 * 0.5**n)


def test_a_perfect_area_has_the_interval_of_as_many_pairs_won() -> None:
    for n in (1, 5, 40):
        labels = np.repeat([0, 1], [100, n])
        found = delong_interval(labels, labels.astype(float))
        assert (found.value, found.high) == (1, 1)
        assert found.low**n == pytest.approx(0.025)
        turned = delong_interval(labels, -labels.astype(float))
        assert (turned.value, turned.low) == (0, 0)
        assert turned.high == pytest.approx(1 - found.low)


def test_a_single_image_of_a_class_leaves_the_interval_and_the_p_open() -> None:
    labels, scores = np.array([0, 0, 0, 1]), np.array([1.0, 2, 5, 4])
    found = delong_interval(labels, scores)
    assert found.value == pytest.approx(2 / 3)
    assert np.isnan([found.low, found.high]).all()
    assert np.isnan(delong_test(labels, scores, np.array([1.0, 5, 2, 0])).p)
    assert delong_test(labels, scores, 2 * scores).p == 1


def test_scores_that_are_all_the_same_have_no_interval() -> None:
    found = delong_interval(np.repeat([0, 1], 20), np.zeros(40))
    assert found.value == 0.5 and np.isnan([found.low, found.high]).all()
    assert found.reason == "no interval: all images of a class fare alike"


# ------------------------------------------------------------------------------- intervals


@pytest.mark.parametrize(("area", "n_positive", "n_negative"), [(0.76, 40, 60), (0.92, 60, 60)])
def test_the_interval_covers_the_true_area_as_often_as_it_says(
    area: float, n_positive: int, n_negative: int
) -> None:
    # scores of unit Gaussians this far apart have the area Phi(apart / sqrt 2)
    apart = math.sqrt(2) * NormalDist().inv_cdf(area)
    rng, hits, n_repeats = np.random.default_rng(0), 0, 2000
    labels = np.repeat([0, 1], [n_negative, n_positive])
    for scores in rng.normal(size=(n_repeats, len(labels))) + apart * labels:
        found = delong_interval(labels, scores)
        hits += found.low <= area <= found.high
    assert 0.93 <= hits / n_repeats <= 0.97


def test_equal_methods_are_told_apart_as_seldom_as_the_p_says() -> None:
    rng, ps = np.random.default_rng(1), []
    labels = np.repeat([0, 1], [50, 50])
    for _ in range(1000):
        shared = rng.normal(size=100) + labels
        ps.append(delong_test(labels, *(shared + 0.7 * rng.normal(size=(2, 100)))).p)
    assert 0.03 <= np.mean(np.array(ps) < 0.05) <= 0.07
    assert 0.45 <= np.mean(ps) <= 0.55


def test_an_interval_stays_within_0_and_1_and_narrows_with_less_coverage() -> None:
    labels, scores = np.array([0, 0, 0, 1, 1, 1]), np.array([1.0, 2, 4, 3, 5, 6])
    wide, narrow = (delong_interval(labels, scores, share) for share in (0.999, 0.5))
    assert 0 < wide.low < narrow.low < narrow.value < narrow.high < wide.high < 1


def test_the_interval_of_a_mean_of_areas_counts_their_covariance() -> None:
    labels, scores = some_scores(3, 80, 3, 60)
    scores = scores + 20 * labels
    found, covariance = delong_interval(labels, scores), slow_covariance(labels, scores)
    area = np.mean([roc_auc_score(labels, row) for row in scores])
    middle, half = math.log(area / (1 - area)), 1.959964 * math.sqrt(covariance.mean())
    ends = [middle - half / (area * (1 - area)), middle + half / (area * (1 - area))]
    expected = [1 / (1 + math.exp(-end)) for end in ends]
    np.testing.assert_allclose([found.value, found.low, found.high], [area, *expected], rtol=1e-6)
    same = delong_interval(labels, np.stack([scores[0]] * 4))
    alone = delong_interval(labels, scores[0])
    np.testing.assert_allclose([same.low, same.high], [alone.low, alone.high])


# ---------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("labels", "scores", "told"),
    [
        ([1, 1, 1], [1.0, 2, 3], "both classes"),
        ([0, 1, 1], [1.0, np.nan, 3], "scores are NaN"),
        ([0, 1], [1.0, 2, 3], "one score per label"),
        ([0, 1, 2], [1.0, 2, 3], "one class with the rest"),
        ([], [], "both classes"),
    ],
)
def test_what_cannot_be_compared_is_told_in_one_sentence(
    labels: list[int], scores: list[float], told: str
) -> None:
    with pytest.raises(ValueError, match=told) as found:
        delong_interval(np.array(labels), np.array(scores))
    assert "\n" not in str(found.value)
    with pytest.raises(ValueError, match=told):
        delong_test(np.array(labels), np.array(scores), np.array(scores))


def test_two_scores_must_be_of_the_same_images() -> None:
    with pytest.raises(ValueError, match="the same images"):
        delong_test(np.array([0, 1]), np.array([1.0, 2]), np.array([1.0, 2, 3]))


def test_coverage_is_a_share() -> None:
    with pytest.raises(ValueError, match="coverage is 95"):
        delong_interval(np.array([0, 1]), np.array([0.0, 1]), 95)


# ------------------------------------------------------------------------------ each class


def test_each_class_has_the_area_of_scikit_learn_or_a_reason() -> None:
    rng = np.random.default_rng(0)
    labels = np.append(rng.integers(0, 3, 90), 3)  # class 3 has one image, class 4 none
    probabilities = rng.dirichlet(np.ones(5), 91) + 0.3 * np.eye(5)[labels]
    found = class_areas(labels, probabilities)
    for c in range(3):
        area = found[c].area
        assert area.value == pytest.approx(roc_auc_score(labels == c, probabilities[:, c]))
        assert area.low < area.value < area.high and not area.reason
        assert found[c].n_positive == (labels == c).sum()
    probabilities[-1, 3] = np.median(probabilities[:, 3])
    lone = class_areas(labels, probabilities)[3]
    assert 0 < lone.area.value < 1 and np.isnan(lone.area.low)
    assert lone.area.reason == "no interval: a single image of the class"
    assert np.isnan(found[4].area.value)
    assert found[4].area.reason == "no image of the class: no area"
