"""Metrics equal slow and independent computations; intervals treat an image's patches as one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    brier_score_loss,
    confusion_matrix,
    log_loss,
    roc_auc_score,
    roc_curve,
)

from patchbench import auc, metrics
from patchbench.reliability import levelled


def slow_auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    wins = pairs = 0.0
    for i in np.flatnonzero(labels):
        for j in np.flatnonzero(~labels):
            pair = weights[i] * weights[j]
            pairs += pair
            wins += pair * (float(scores[i] > scores[j]) + 0.5 * float(scores[i] == scores[j]))
    return wins / pairs if pairs else float("nan")


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(2, 25), st.integers(1, 6))
def test_weighted_auc_equals_counting_pairs(seed: int, n: int, n_levels: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.5
    scores = rng.integers(0, n_levels, n).astype(float)
    weights = rng.integers(0, 4, (3, n)).astype(float)
    slow = [slow_auc(labels, scores, row) for row in weights]
    np.testing.assert_allclose(auc.weighted_auc(labels, scores, weights), slow, atol=1e-12)


def problem(n: int = 300, n_classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    logits = rng.normal(size=(n, n_classes)) + 1.2 * np.eye(n_classes)[labels]
    return labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_values_agree_with_scikit_learn() -> None:
    labels, probabilities = problem()
    found = metrics.evaluate(labels, probabilities, np.arange(len(labels)), seed=0)
    predicted = probabilities.argmax(axis=1)
    expected = {
        "auc_macro": roc_auc_score(labels, probabilities, multi_class="ovr"),
        "auc_micro": roc_auc_score(labels, probabilities, multi_class="ovr", average="micro"),
        "accuracy": (predicted == labels).mean(),
        "balanced_accuracy": balanced_accuracy_score(labels, predicted),
        "log_loss": log_loss(labels, probabilities),
        "brier": brier_score_loss(labels, probabilities, scale_by_half=False),
    }
    assert set(found) == {*expected, "ece"}
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=1e-6), name
        assert found[name].low < value < found[name].high


def test_the_auc_of_patches_is_that_of_weighted_patches_however_many_draws_go_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(3)
    image_of = np.repeat(np.arange(20), rng.integers(1, 6, 20))
    labels = rng.integers(0, 4, 20)[image_of]
    probabilities = rng.dirichlet(np.ones(4), len(labels)).round(1)  # with many ties
    weights = metrics.draw_weights(20, seed=1, n_draws=50)
    each = [[slow_auc(labels == c, probabilities[:, c], row[image_of]) for c in range(4)]
            for row in weights]  # fmt: skip
    slow = np.mean(each, axis=1)
    together = auc.auc_draws(labels, probabilities, image_of, weights)
    np.testing.assert_allclose(together, slow, atol=1e-12)
    monkeypatch.setattr(auc, "_ROUND_ELEMENTS", 100)
    monkeypatch.setattr(auc, "_LADDER_ELEMENTS", 100)
    in_rounds = auc.auc_draws(labels, probabilities, image_of, weights)
    np.testing.assert_allclose(in_rounds, slow, atol=1e-12)


def test_an_image_may_hold_positive_and_negative_patches() -> None:
    rng = np.random.default_rng(4)
    image_of = np.repeat(np.arange(15), 4)
    positive, scores = rng.random(60) < 0.4, rng.random(60).round(1)
    weights = metrics.draw_weights(15, seed=1, n_draws=30)
    slow = auc.weighted_auc(positive, scores, weights[:, image_of])
    mine = auc.binary_auc_draws(positive, scores, image_of, weights)
    np.testing.assert_allclose(mine, slow, atol=1e-12)


def test_copies_of_a_patch_do_not_narrow_the_interval() -> None:
    labels, probabilities = problem(80)
    alone = metrics.evaluate(labels, probabilities, np.arange(80), seed=0)
    repeated = metrics.evaluate(
        np.repeat(labels, 5), np.repeat(probabilities, 5, axis=0), np.repeat(np.arange(80), 5), 0
    )
    for name in alone:
        assert repeated[name].low == pytest.approx(alone[name].low, abs=1e-5), name
        assert repeated[name].high == pytest.approx(alone[name].high, abs=1e-5), name


def test_images_of_a_group_are_drawn_together_as_a_slow_loop_does() -> None:
    labels, probabilities = problem(60)
    image_of, group_of = np.repeat(np.arange(60), 2), np.arange(60) // 3 % 7  # of unlike sizes
    patches = labels[image_of], np.repeat(probabilities, 2, axis=0), image_of
    found = metrics.evaluate(*patches, 5, group_of)["accuracy"]
    right, draws = probabilities.argmax(axis=1) == labels, []
    for times in metrics.draw_weights(7, 5)[1:].astype(int):
        drawn = [right[group_of == g] for g in range(7) for _ in range(times[g])]
        draws.append(np.concatenate(drawn).mean())
    assert found.value == pytest.approx(right.mean(), abs=1e-12)
    expected = np.quantile(draws, [0.025, 0.975])
    np.testing.assert_allclose([found.low, found.high], expected, atol=1e-12)


def test_groups_of_one_image_change_no_bit() -> None:
    labels, probabilities = problem(50)
    asked = labels, probabilities, np.arange(50), 1
    assert metrics.evaluate(*asked) == metrics.evaluate(*asked, np.arange(50))


def test_the_larger_the_groups_of_like_images_the_wider_the_interval() -> None:
    rng, widths = np.random.default_rng(0), []
    for size in (1, 4, 16):
        group_of = np.arange(192) // size
        sure = rng.permutation(np.arange(192 // size) % 4)[group_of] > 0  # 3 of 4 groups are right
        probabilities = np.where(sure[:, None], [0.9, 0.1], [0.1, 0.9])
        found = metrics.evaluate(np.zeros(192, int), probabilities, np.arange(192), 0, group_of)
        assert found["accuracy"].value == 0.75
        widths.append(found["accuracy"].high - found["accuracy"].low)
    # groups of n like images are as good as an n-th of the images
    np.testing.assert_allclose(np.divide(widths[1:], widths[:-1]), 2, rtol=0.1)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    # two unit Gaussians one apart: AUC = Phi(1 / sqrt 2) = 0.7602
    rng, hits = np.random.default_rng(0), 0
    for repeat in range(100):
        labels = rng.integers(0, 2, 120)
        scores = rng.normal(size=120) + labels
        positive = 1 / (1 + np.exp(-scores))
        found = metrics.evaluate(
            labels, np.stack([1 - positive, positive], 1), np.arange(120), repeat
        )
        hits += found["auc_macro"].low <= 0.7602 <= found["auc_macro"].high
    assert 88 <= hits <= 100


def test_one_class_alone_gives_no_auc_rather_than_a_number() -> None:
    probabilities = np.full((10, 2), 0.5)
    found = metrics.evaluate(np.zeros(10, int), probabilities, np.arange(10), seed=0)
    assert np.isnan(found["auc_macro"].value)
    assert np.isnan(found["auc_macro"].low)


def certain(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Every image decided rightly, all in the same way."""
    found: np.ndarray = np.eye(n_classes)[labels]
    return found


def test_all_right_on_few_images_claims_no_certainty() -> None:
    labels = np.arange(12) % 3
    found = metrics.evaluate(labels, certain(labels, 3), np.arange(12), seed=0)
    exact = binomtest(12, 12).proportion_ci(method="exact")
    accuracy = found.pop("accuracy")
    np.testing.assert_allclose([accuracy.low, accuracy.high], [exact.low, exact.high])
    assert not accuracy.reason
    for name, told in found.items():
        assert np.isfinite(told.value) and np.isnan([told.low, told.high]).all(), name
        assert told.reason.startswith("no interval"), name
    wrong = metrics.evaluate(labels, certain((labels + 1) % 3, 3), np.arange(12), 0)["accuracy"]
    exact = binomtest(0, 12).proportion_ci(method="exact")
    np.testing.assert_allclose([wrong.low, wrong.high], [exact.low, exact.high])


def test_images_of_a_group_count_once_where_all_are_right() -> None:
    labels, group_of = np.arange(12) % 3, np.arange(12) // 4
    found = metrics.evaluate(labels, certain(labels, 3), np.arange(12), 0, group_of)["accuracy"]
    assert found.low == pytest.approx(binomtest(3, 3).proportion_ci(method="exact").low)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(2, 4))
def test_no_interval_has_zero_width_and_none_is_missing_without_a_reason(
    seed: int, n: int, n_classes: int
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    probabilities = certain(rng.integers(0, n_classes, n), n_classes)
    for name, told in metrics.evaluate(labels, probabilities, np.arange(n), seed=0).items():
        assert np.isnan(told.low) == np.isnan(told.high) == bool(told.reason), name
        assert told.reason or told.low < told.high, name


def test_draws_without_a_class_are_left_out_of_what_is_a_mean_over_classes() -> None:
    labels, probabilities = problem(40, 3)
    labels = np.where(np.arange(40) < 2, 3, labels)  # class 3 has two images
    probabilities = np.concatenate([0.9 * probabilities, np.full((40, 1), 0.1)], axis=1)
    found = metrics.evaluate(labels, probabilities, np.arange(40), seed=0)
    draws, right = metrics.draw_weights(40, 0)[1:].astype(int), probabilities.argmax(1) == labels
    recalls = [
        [np.average(right[labels == c], weights=times[labels == c]) for c in range(4)]
        for times in draws
        if all(times[labels == c].any() for c in range(4))
    ]
    assert 1000 < len(recalls) < 2000
    told = found["balanced_accuracy"]
    expected = np.quantile(np.mean(recalls, axis=1), [0.025, 0.975])
    np.testing.assert_allclose([told.low, told.high], expected)
    assert told.n_draws == found["auc_macro"].n_draws == len(recalls)
    assert {found[name].n_draws for name in ("accuracy", "log_loss", "auc_micro")} == {2000}


def test_too_few_draws_with_every_class_give_no_interval() -> None:
    labels, probabilities = np.arange(9), np.random.default_rng(0).dirichlet(np.ones(9), 9)
    found = metrics.evaluate(labels, probabilities, np.arange(9), seed=0)["auc_macro"]
    assert np.isfinite(found.value) and np.isnan(found.low)
    assert found.reason == f"no interval: defined in {found.n_draws} of 2,000 draws of images"


def test_the_roc_curve_is_the_library_s() -> None:
    labels, probabilities = problem(200, 2)
    false_rate, true_rate, _ = roc_curve(labels == 1, probabilities[:, 1])
    mine = auc.macro_roc(labels, probabilities)
    area = np.trapezoid(mine, auc.FPR_GRID)
    assert area == pytest.approx(np.trapezoid(true_rate, false_rate), abs=0.01)
    assert (np.diff(mine) >= 0).all()


# ------------------------------------------------------------------------------ every draw


def test_every_draw_of_every_metric_is_scikit_learn_s_on_the_images_drawn() -> None:
    labels, probabilities = problem(60, 3, seed=5)
    probabilities = probabilities.round(1) + 1e-3  # with ties
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    image_of, weights = np.repeat(np.arange(20), 3), metrics.draw_weights(20, 2, 12)
    predictions = labels, probabilities, image_of, weights
    found = {
        "micro": auc.micro_auc_draws(*predictions),
        "macro": auc.auc_draws(*predictions),
        "brier": metrics.brier_draws(*predictions),
        "log_loss": metrics.log_loss_draws(*predictions),
        "confusion": metrics.confusion_draws(*predictions),
    }
    for draw, times in enumerate(weights):
        rows = np.repeat(np.arange(60), times[image_of].astype(int))
        truth, given = labels[rows], probabilities[rows]
        expected = {
            "micro": roc_auc_score(truth, given, multi_class="ovr", average="micro"),
            "macro": roc_auc_score(truth, given, multi_class="ovr"),
            "brier": brier_score_loss(truth, given, scale_by_half=False),
            "log_loss": log_loss(truth, given),
            "confusion": confusion_matrix(truth, given.argmax(axis=1), labels=range(3)),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(found[name][draw], value, atol=1e-9, err_msg=name)


def test_the_confusion_matrix_adds_up_to_the_classes_and_to_the_accuracy() -> None:
    labels, probabilities = problem(90)
    weights = metrics.draw_weights(90, 0, 5)
    counts = metrics.confusion_draws(labels, probabilities, np.arange(90), weights)
    assert counts.shape == (6, 4, 4)
    np.testing.assert_array_equal(counts.sum(axis=(1, 2)), 90)
    np.testing.assert_array_equal(counts[0].sum(axis=1), np.bincount(labels))
    accuracy = accuracy_score(labels, probabilities.argmax(axis=1))
    assert np.trace(counts[0]) / 90 == pytest.approx(accuracy)


def test_best_and_worst_forecasts_have_the_ends_of_the_scale() -> None:
    labels = np.array([0, 1, 2])
    for turn, brier in ((0, 0.0), (1, 2.0)):
        certain = np.eye(3)[(labels + turn) % 3]
        found = metrics.evaluate(labels, certain, np.arange(3), seed=0)
        assert found["brier"].value == brier
        assert found["ece"].value == pytest.approx(turn)


def test_the_interval_of_the_calibration_error_lies_about_its_value() -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        probabilities = rng.dirichlet(np.ones(4), 40)
        labels = (rng.random((40, 1)) < probabilities.cumsum(axis=1)).argmax(axis=1)
        found = metrics.evaluate(labels, probabilities, np.arange(40), seed)["ece"]
        assert 0 <= found.low <= found.value <= found.high <= 1
    draws = np.array([0.1, 0.1, 0.2, 0.3])
    np.testing.assert_allclose(levelled(draws), [0.1, 0.0, 0.1, 0.2])
    np.testing.assert_array_equal(levelled(np.array([0.3, 0.1, 0.2])), [0.3, 0.1, 0.2])
    np.testing.assert_array_equal(levelled(draws[:1]), draws[:1])


def test_draws_are_made_once_and_cannot_be_changed() -> None:
    weights = metrics.draw_weights(7, 3)
    assert metrics.draw_weights(7, 3) is weights
    with pytest.raises(ValueError, match="read-only"):
        weights[0] = 2
    assert (weights[0] == 1).all() and (weights.sum(axis=1) == 7).all()
