"""Methods of a study are compared on the same images, and what is undefined says so."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, friedmanchisquare
from sklearn.metrics import precision_score, recall_score, roc_auc_score

from patchbench import results_table as results
from patchbench.auc import macro_auc
from patchbench.bootstrap import draw_groups, draw_weights
from patchbench.decisions import decisions
from patchbench.delong import delong_interval, delong_test
from patchbench.evaluation import BOOTSTRAP_SEED
from patchbench.method_summaries import rank_table, why_no_ranks
from patchbench.method_tests import reference, verdicts
from patchbench.metrics import evaluate
from patchbench.paired import holm
from patchbench.study import Study
from unit._compared import FLOOR, NETWORK, OTHER, PATCH, answers, decided, several, with_tests

SIX = tuple(f"class {i}" for i in range(6))


def study_of(
    labels: np.ndarray, classes: tuple[str, ...], methods: Any = (NETWORK, PATCH, OTHER, FLOOR)
) -> Study:
    """One seed; the earlier a method stands, the better it is on val and on test."""
    made = {
        ("scenes", method, 0): answers(labels, 2.0 - 0.5 * rank, rank, len(classes))
        for rank, method in enumerate(methods)
    }
    return with_tests(decided(made, classes))


def rows_of(frame: pd.DataFrame, method: Any, **more: Any) -> pd.DataFrame:
    wanted = dict(zip(("patches", "encoder", "classifier", "fusion"), method, strict=True)) | more
    for name, value in wanted.items():
        frame = frame[frame[name] == value]
    return frame


def probabilities(study: Study, method: Any, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rows = rows_of(study.predictions, method, seed=seed, split="test")
    return rows["label"].to_numpy(), np.stack(rows["probabilities"].to_list())


@pytest.fixture(scope="module")
def usual() -> Study:
    return study_of(np.arange(90) % 6, SIX)


def test_values_of_classes_are_those_of_another_library(usual: Study) -> None:
    labels, found = probabilities(usual, PATCH)
    told = rows_of(usual.class_metrics, PATCH).pivot(
        index="label", columns="measure", values="value"
    )
    decided_on = found.argmax(axis=1)
    areas = [roc_auc_score(labels == c, found[:, c]) for c in range(6)]
    np.testing.assert_allclose(told["auc"], areas)
    np.testing.assert_allclose(told["recall"], recall_score(labels, decided_on, average=None))
    np.testing.assert_allclose(told["precision"], precision_score(labels, decided_on, average=None))
    auc = usual.class_metrics[usual.class_metrics["measure"] == "auc"]
    assert (auc["low"] < auc["value"]).all()
    assert (auc["value"] <= auc["high"]).all()


def test_summaries_agree_with_the_metrics_of_the_runs_to_the_last_digit(usual: Study) -> None:
    labels, found = probabilities(usual, OTHER)
    told = rows_of(usual.seed_summary, OTHER).set_index("metric")
    for name, single in evaluate(labels, found, np.arange(90), BOOTSTRAP_SEED).items():
        row = told.loc[name]
        assert (row["mean"], row["low"], row["high"]) == (single.value, single.low, single.high)
    assert (told["reason"] == "a single seed: no spread over seeds").all()
    assert told["sd"].isna().all()


def test_every_method_is_tested_against_the_network_best_on_val(usual: Study) -> None:
    tests = usual.method_tests
    assert set(tests["reference_encoder"]) == {"resnet18"}
    assert "resnet18" not in set(tests["encoder"])
    assert len(tests) == 3 * 2
    labels, own = probabilities(usual, PATCH)
    _, other = probabilities(usual, NETWORK)
    row = rows_of(tests, PATCH, measure="accuracy").iloc[0]
    right, rival = own.argmax(1) == labels, other.argmax(1) == labels
    assert row["difference"] == pytest.approx(right.mean() - rival.mean())
    only, sole = int((right & ~rival).sum()), int((~right & rival).sum())
    assert row["second_test"] == "mcnemar"
    assert row["second_p"] == pytest.approx(binomtest(only, only + sole).pvalue)


def test_holm_counts_all_methods_of_a_dataset(usual: Study) -> None:
    for measure in ("auc_macro", "accuracy"):
        rows = verdicts(usual, "scenes", measure)
        np.testing.assert_allclose(rows["p_holm"], holm(rows["p"].to_numpy()))
    np.testing.assert_allclose(rows["second_p_holm"], holm(rows["second_p"].to_numpy()))


def test_without_a_network_the_best_patch_method_on_val_is_the_reference() -> None:
    study = study_of(np.arange(60) % 3, SIX[:3], (OTHER, PATCH, FLOOR))
    assert set(study.method_tests["reference_encoder"]) == {"bagnet17"}
    assert set(study.method_tests["encoder"]) == {"sift", "random_projection"}


def test_two_classes_are_tested_by_delong_too() -> None:
    study = study_of(np.arange(60) % 2, SIX[:2])
    labels, own = probabilities(study, PATCH)
    _, other = probabilities(study, NETWORK)
    row = rows_of(study.method_tests, PATCH, measure="auc_macro").iloc[0]
    assert row["second_test"] == "delong"
    assert row["second_p"] == delong_test(labels, own[:, 1], other[:, 1]).p
    assert row["difference"] == pytest.approx(
        roc_auc_score(labels, own[:, 1]) - roc_auc_score(labels, other[:, 1])
    )


def test_one_encoder_alone_leaves_tables_without_tests_and_with_the_rest() -> None:
    study = study_of(np.arange(60) % 3, SIX[:3], (PATCH,))
    assert study.method_tests.empty
    assert study.dataset_ranks.empty
    assert len(study.class_metrics) == 9
    assert len(study.seed_summary) == 7


def test_only_controls_leave_no_reference() -> None:
    study = study_of(np.arange(60) % 3, SIX[:3], (FLOOR,))
    assert reference(study, decisions(study, "scenes")) is None
    assert study.method_tests.empty


def test_a_class_of_three_test_images_has_a_wide_interval_and_fewer_draws() -> None:
    labels = np.append(np.arange(60) % 3, [3, 3, 3])
    study = study_of(labels, SIX[:4])
    rows = rows_of(study.class_metrics, PATCH, measure="auc").set_index("label")
    assert rows.loc[3, "n_positive"] == 3
    width = rows["high"] - rows["low"]
    assert width[3] > 1.5 * width[:2].max()
    assert rows["reason"].isna().all()
    recall = rows_of(study.class_metrics, PATCH, measure="recall").set_index("label")
    assert recall.loc[3, "n_draws"] == pytest.approx(2000 * (1 - (60 / 63) ** 63), abs=60)
    assert (study.method_tests["n_draws"] <= 2000).all()


def test_a_class_missing_from_test_is_null_with_its_reason() -> None:
    study = study_of(np.arange(60) % 3, SIX[:4])
    rows = rows_of(study.class_metrics, PATCH, label=3).set_index("measure")
    assert rows[["value", "low", "high"]].isna().to_numpy().all()
    assert rows.loc["auc", "reason"] == "no image of the class: no area"
    assert rows.loc["recall", "reason"] == "no image of the class: no recall"
    tests = verdicts(study, "scenes")
    assert tests["difference"].notna().all()  # of the classes that are there


def test_test_images_of_a_single_class_leave_auc_undefined_and_accuracy_known() -> None:
    study = study_of(np.zeros(20, dtype=int), SIX[:3])
    auc, accuracy = (verdicts(study, "scenes", m) for m in ("auc_macro", "accuracy"))
    assert auc[["difference", "low", "p", "p_holm"]].isna().to_numpy().all()
    assert (auc["reason"] == "not defined: all test images are of one class").all()
    assert accuracy["p_holm"].notna().all()
    summary = study.seed_summary.set_index("metric").loc["auc_macro"]
    assert summary["reason"].str.startswith("not defined").all()


def test_decisions_on_other_images_are_not_compared() -> None:
    study = decided(
        {
            ("scenes", NETWORK, 0): answers(np.arange(60) % 3, 2.0, 0),
            ("scenes", PATCH, 0): answers(np.arange(59) % 3, 2.0, 1),
        },
        SIX[:3],
    )
    tests = with_tests(study).method_tests
    assert tests["difference"].isna().all()
    assert (tests["reason"] == "its test images are not those of the reference").all()


def test_seeds_are_averaged_within_a_draw_and_their_spread_kept_apart() -> None:
    labels = np.arange(60) % 3
    made = {
        ("scenes", method, seed): answers(labels, 1.2, 10 * seed + rank)
        for rank, method in enumerate((NETWORK, PATCH))
        for seed in (0, 1, 2)
    }
    study = with_tests(decided(made, SIX[:3]))
    row = rows_of(study.seed_summary, PATCH, metric="accuracy").iloc[0]
    single = [(found.argmax(1) == labels).mean() for (_, m, _), (_, found) in made.items()
              if m == PATCH]  # fmt: skip
    assert row["mean"] == pytest.approx(np.mean(single))
    assert row["sd"] == pytest.approx(np.std(single, ddof=1))
    assert (row["lowest"], row["highest"]) == (min(single), max(single))
    assert row["n_seeds"] == 3 and pd.isna(row["reason"])
    draws = draw_weights(60, BOOTSTRAP_SEED)[1:].astype(float)
    right = [
        np.mean([made["scenes", m, s][1].argmax(1) == labels for s in (0, 1, 2)], axis=0)
        for m in (PATCH, NETWORK)
    ]
    ends = np.quantile(draws @ right[0] / 60, [0.025, 0.975])
    np.testing.assert_allclose(row[["low", "high"]].to_list(), ends)
    tests = study.method_tests[study.method_tests["measure"] == "accuracy"]
    assert sorted(tests["seed"]) == [-1, 0, 1, 2]
    joint = verdicts(study, "scenes", "accuracy").iloc[0]
    assert (joint["seed"], joint["n_seeds"], joint["second_test"]) == (-1, 3, "none")
    ends = np.quantile(draws @ (right[0] - right[1]) / 60, [0.025, 0.975])
    np.testing.assert_allclose(joint[["low", "high"]].to_list(), ends)


def test_a_class_has_the_mean_over_seeds_with_the_interval_of_that_mean() -> None:
    labels = np.arange(60) % 3
    made = {("scenes", PATCH, seed): answers(labels, 0.8, seed) for seed in (0, 1, 2)}
    rows = with_tests(decided(made, SIX[:3])).class_metrics
    assert sorted(set(rows["seed"])) == [-1, 0, 1, 2]
    found = [own for _, own in made.values()]
    rows = rows[rows["label"] == 1].set_index(["measure", "seed"])
    for measure in ("auc", "recall", "precision"):
        single = rows.loc[measure].loc[[0, 1, 2]]
        assert rows.loc[(measure, -1), "value"] == pytest.approx(single["value"].mean())
    auc = delong_interval(labels == 1, np.stack([own[1][:, 1] for own in made.values()]))
    assert rows.loc[("auc", -1), "low"] == auc.low
    own = labels == 1
    times = draw_weights(60, BOOTSTRAP_SEED)[1:].astype(float)[:, own]
    right = np.mean([each.argmax(axis=1)[own] == 1 for each in found], axis=0)
    ends = np.quantile(times @ right / times.sum(axis=1), [0.025, 0.975])
    np.testing.assert_allclose(rows.loc[("recall", -1), ["low", "high"]].to_list(), ends)


def test_every_rule_has_the_interval_of_its_mean_over_seeds_and_scores_show_it() -> None:
    labels, other = np.arange(60) % 3, (*PATCH[:3], "majority_vote")
    made = {
        ("scenes", method, seed): answers(labels, 0.8, 10 * seed + rank)
        for rank, method in enumerate((PATCH, other))
        for seed in (0, 1, 2)
    }
    study = with_tests(decided(made, SIX[:3]))
    weights = draw_weights(60, BOOTSTRAP_SEED)
    for row in results.scores(study, "scenes", "image").to_dict("records"):
        method = tuple(row[name] for name in ("patches", "encoder", "classifier", "fusion"))
        single = [macro_auc(labels, made["scenes", method, s][1], weights) for s in (0, 1, 2)]
        mean = np.mean(single, axis=0)
        assert row["value"] == pytest.approx(mean[0])
        assert row["sd"] == pytest.approx(np.std([own[0] for own in single], ddof=1))
        np.testing.assert_allclose([row["low"], row["high"]], np.quantile(mean[1:], [0.025, 0.975]))


def test_two_methods_that_are_always_right_are_not_told_to_be_equal_for_certain() -> None:
    labels = np.arange(12) % 3
    right = 0.1 + np.eye(3)[labels]
    right /= right.sum(axis=1, keepdims=True)
    made = {("scenes", method, 0): (labels, right) for method in (NETWORK, PATCH)}
    study = with_tests(decided(made, SIX[:3]))
    for row in study.method_tests.to_dict("records"):
        assert (row["difference"], row["p"]) == (0, 1)
        assert np.isnan(row["low"]) and row["reason"].startswith("no interval")
    recall = rows_of(study.class_metrics, PATCH, measure="recall", label=0).iloc[0]
    exact = binomtest(4, 4).proportion_ci(method="exact")
    assert (recall["low"], recall["high"]) == pytest.approx((exact.low, 1))


def test_images_of_a_group_are_drawn_together() -> None:
    np.testing.assert_array_equal(draw_groups(np.arange(9), 3, 50), draw_weights(9, 3, 50))
    weights = draw_groups(np.array([0, 1, 0, 2]), 3, 50)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    labels, groups = np.tile([0, 1, 2], 20), np.repeat(np.arange(12), 5)
    # all images of a group are easy, or all are hard
    own = answers(labels, 1.0, 0)[1]
    own[np.isin(groups, (0, 1, 2, 3))] = 1 / 3
    made = {("scenes", PATCH, 0): (labels, own), ("scenes", NETWORK, 0): answers(labels, 4.0, 1)}
    grouped = with_tests(decided(made, SIX[:3], {"scenes": groups}))
    single = with_tests(decided(made, SIX[:3]))
    wide, narrow = (
        rows_of(s.seed_summary, PATCH, metric="log_loss").iloc[0] for s in (grouped, single)
    )
    assert (wide["n_groups"], narrow["n_groups"]) == (12, 60)
    assert wide["mean"] == pytest.approx(narrow["mean"])
    assert wide["high"] - wide["low"] > 1.2 * (narrow["high"] - narrow["low"])


def test_many_methods_get_enough_draws_to_survive_holm() -> None:
    found = decisions(several(), "scenes")
    assert found.n_draws == 2000
    assert replace(found, methods=found.methods * 20).n_draws == 80 * 20 * len(found.methods)


def test_methods_are_ranked_over_three_datasets() -> None:
    study = several()
    ranks = study.dataset_ranks
    assert set(ranks["dataset"]) == {"scenes", "scenes-texture", "flowers"}
    assert "random_projection" not in set(ranks["encoder"])
    values = ranks.pivot(index="dataset", columns="encoder", values="value")
    chi2, p = friedmanchisquare(*values.to_numpy().T)
    assert ranks["friedman_chi2"].iloc[0] == pytest.approx(chi2)
    assert ranks["friedman_p"].iloc[0] == pytest.approx(p)
    wide = ranks.pivot(index="dataset", columns="encoder", values="rank")
    np.testing.assert_array_equal(wide, values.rank(axis=1, ascending=False))
    means = ranks.drop_duplicates("encoder").set_index("encoder")["mean_rank"]
    pd.testing.assert_series_equal(means.sort_index(), wide.mean(), check_names=False)


@pytest.mark.parametrize(("n_datasets", "n_methods"), [(1, 9), (2, 3), (3, 2), (0, 0)])
def test_too_little_to_rank_has_a_reason(n_datasets: int, n_methods: int) -> None:
    assert "were not ranked" in why_no_ranks(n_datasets, n_methods)
    assert why_no_ranks(3, 3) == ""


def test_a_method_missing_from_one_dataset_is_not_ranked() -> None:
    study = several()
    gone = (study.metrics["dataset"] == "flowers") & (study.metrics["encoder"] == "sift")
    left = replace(study, metrics=study.metrics[~gone])
    ranks = rank_table(left, {name: results.scores(left, name, "image") for name in left.datasets})
    assert set(ranks["encoder"]) == set(study.dataset_ranks["encoder"]) - {"sift"}
