"""Promises of ranking and dropping patches, and of comparing on the same images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench import noise
from patchbench.metrics import draw_weights
from patchbench.paired import difference, holm

SCORES = st.lists(st.integers(0, 5), min_size=6, max_size=40)


def images_of(n: int) -> np.ndarray:
    """Image of each patch, for images of three patches."""
    return np.arange(n) // 3


@given(SCORES, st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0]))
def test_the_share_asked_for_is_dropped_and_the_floor_is_counted(
    values: list[int], fraction: float
) -> None:
    scores, image_of = np.array(values, dtype=float), images_of(len(values))
    kept = noise.without_worst(scores, fraction, image_of, 0)
    n_wanted = len(scores) - round(fraction * len(scores))
    assert kept.rows.sum() == n_wanted + kept.n_by_floor
    assert set(image_of[kept.rows]) == set(image_of)


@given(SCORES, st.sampled_from([0.1, 0.5, 0.9]))
def test_no_patch_dropped_is_cleaner_than_one_kept_of_its_image(
    values: list[int], fraction: float
) -> None:
    scores, image_of = np.array(values, dtype=float), images_of(len(values))
    kept = noise.without_worst(scores, fraction, image_of, 0).rows
    for image in np.unique(image_of):
        own = image_of == image
        if (own & ~kept).any():
            assert scores[own & kept].max() <= scores[own & ~kept].min()


def test_the_floor_keeps_the_cleanest_patch_of_an_image_that_is_all_noise() -> None:
    scores = np.array([9.0, 8.0, 9.5, 0.0, 0.1, 0.2])
    kept = noise.without_worst(scores, 0.5, images_of(6), 0)
    assert kept.rows.tolist() == [False, True, False, True, True, True]
    assert kept.n_by_floor == 1
    each = noise.without_worst_of_each(scores, 1.0, images_of(6), 0)
    assert each.rows.tolist() == [False, True, False, True, False, False]
    assert each.n_by_floor == 2


@given(SCORES, st.sampled_from([0.0, 0.1, 0.34, 0.5, 0.9]))
def test_every_image_loses_the_same_share_and_its_noisiest_patches(
    values: list[int], fraction: float
) -> None:
    scores, image_of = np.array(values, dtype=float), images_of(len(values))
    kept = noise.without_worst_of_each(scores, fraction, image_of, 0).rows
    for image in np.unique(image_of):
        own = image_of == image
        assert kept[own].sum() == max(1, own.sum() - np.rint(fraction * own.sum()))
        if (own & ~kept).any():
            assert scores[own & kept].max() <= scores[own & ~kept].min()


def test_among_equal_scores_the_lot_decides_not_the_order() -> None:
    """Images stand in order of class: whoever drops the last would drop the last classes."""
    image_of = np.repeat(np.arange(100), 20)
    kept = noise.without_worst(np.zeros(2000), 0.5, image_of, 0).rows
    halves = kept.reshape(2, 1000).mean(axis=1)
    np.testing.assert_allclose(halves, 0.5, atol=0.05)  # three standard errors
    other = noise.without_worst(np.zeros(2000), 0.5, image_of, 1).rows
    assert 0.4 < (kept == other).mean() < 0.6


@given(SCORES)
def test_ranks_among_themselves_follow_the_slow_count(values: list[int]) -> None:
    scores = np.array(values, dtype=float)
    slow = [((scores < s).sum() + (scores <= s).sum()) / (2 * len(scores)) for s in scores]
    np.testing.assert_allclose(noise.noisiness_among(scores, scores), slow)


def test_saliency_is_relative_to_the_image_and_neutral_where_the_map_is_zero() -> None:
    found = noise.relative(np.array([1.0, 3.0, 2.0, 0.0, 0.0, 0.0]), images_of(6))
    assert found.tolist() == [0.5, 1.5, 1.0, 1.0, 1.0, 1.0]


def test_a_method_does_not_differ_from_itself() -> None:
    draws = np.random.default_rng(0).random(201)
    same = difference(draws, draws)
    assert (same.value, same.p) == (0.0, 1.0)
    assert np.isnan([same.low, same.high]).all() and same.reason.startswith("no interval")


def test_draws_that_all_agree_on_a_difference_know_no_p() -> None:
    ahead = difference(np.ones(2001), np.zeros(2001))  # right against wrong, on three images say
    assert ahead.value == 1.0
    assert np.isnan([ahead.low, ahead.high, ahead.p]).all()
    assert ahead.reason == "no interval: the draws of images all give the same value"


def test_without_an_interval_stands_how_many_draws_know_the_difference() -> None:
    draws = np.append(np.linspace(0.4, 0.6, 39), [np.nan] * 162)
    found = difference(draws, np.full(201, 0.3))
    assert found.value == pytest.approx(0.1) and np.isnan(found.low)
    assert found.n_draws == 38
    assert found.reason == "no interval: defined in 38 of 200 draws of images"
    assert difference(draws * np.nan, draws).reason == "not defined on these images"


def test_a_clear_difference_has_a_small_p_and_none_is_zero() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(0.7, 0.02, 2001)
    clear = difference(base + 0.1 + rng.normal(0, 0.01, 2001), base)
    assert clear.low > 0 and 0 < clear.p < 0.01
    unclear = difference(base + rng.normal(0, 0.01, 2001), base)
    assert unclear.low < 0 < unclear.high and unclear.p > 0.05


def test_holm_follows_the_steps_by_hand() -> None:
    """Sorted 0.01, 0.02, 0.03, 0.5 times 4, 3, 2, 1: 0.04, 0.06, 0.06, 0.5; none may fall."""
    adjusted = holm(np.array([0.03, 0.01, 0.5, 0.02]))
    np.testing.assert_allclose(adjusted, [0.06, 0.04, 0.5, 0.06])
    np.testing.assert_allclose(holm(np.array([0.6, 0.7])), [1.0, 1.0])
    assert holm(np.array([])).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(values: list[float]) -> None:
    p = np.array(values)
    adjusted = holm(p)
    assert (adjusted >= p).all() and (adjusted <= np.minimum(1, p * len(p))).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_the_paired_p_is_uniform_when_there_is_no_difference() -> None:
    """Two scores of equal worth on the same images: one test in twenty says p < 0.05."""
    rng, small = np.random.default_rng(1), 0
    weights = draw_weights(80, seed=0, n_draws=400)
    for _ in range(200):
        one, other = rng.normal(size=(2, 80))
        means = [(weights @ values) / weights.sum(axis=1) for values in (one, other)]
        small += difference(*means).p < 0.05
    assert small == pytest.approx(10, abs=10)
