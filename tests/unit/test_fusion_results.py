"""Fusion rules compared: paired, adjusted for their number, told in words."""

from dataclasses import replace

import numpy as np
import pandas as pd

from patchbench import fusion_results
from patchbench.auc import macro_auc
from patchbench.bootstrap import draw_weights
from patchbench.evaluation import BOOTSTRAP_SEED, fusion_test_rows
from patchbench.paired import difference
from patchbench.report import fusion
from patchbench.study import Study
from unit._compared import PATCH, answers, decided
from unit._synthetic_study import make_study

ABOUT = {"dataset": "scenes", "patches": "p", "encoder": "e", "classifier": "c", "seed": "0"}
RULES = ["a", "b", "c", "d", "mean_probability"]


def study(p: list[float], difference: list[float], n_seeds: int = 1) -> Study:
    rows = pd.DataFrame({"fusion": RULES, "p": p, "difference": difference})
    rows = rows.assign(
        rival="mean_probability",
        rival_classifier="c",
        low=0.0,
        high=0.0,
        n_images=50,
        detector="none",
    )
    rows = pd.concat([rows.assign(**ABOUT | {"seed": seed}) for seed in range(n_seeds)])
    return replace(make_study(n_encoders=1), fusion_tests=rows)


def test_p_are_adjusted_over_the_rules_of_a_method_and_the_rival_is_not_asked() -> None:
    found = fusion_results.compared(
        study([0.001, 0.02, 0.03, 0.5, 1.0], [0.1, 0.05, -0.05, -0.01, 0.0]), "scenes"
    ).set_index("fusion")
    np.testing.assert_allclose(found.loc[RULES[:4], "p_adjusted"], [0.004, 0.06, 0.06, 0.5])
    assert list(found["verdict"]) == ["better", "same", "same", "same", "rival"]


def test_a_rule_without_a_p_is_not_called_the_same() -> None:
    one = study([float("nan"), 0.5, 0.5, 0.5, 1.0], [0.5, 0.0, 0.0, 0.0, 0.0])
    found = fusion_results.compared(one, "scenes").set_index("fusion")
    assert list(found["verdict"]) == ["untold", "same", "same", "same", "rival"]
    method = {"patches": "p", "encoder": "e", "classifier": "c", "detector": "none"}
    (text,) = fusion.sentences(one, "scenes", method)
    assert "1 is without a p, for draws of images do not tell (a +0.500)" in text


def test_the_largest_p_of_the_seeds_counts() -> None:
    both = study([0.001, 0.001, 0.001, 0.5, 1.0], [0.1, -0.1, 0.1, 0.0, 0.0], n_seeds=2)
    tests = both.fusion_tests
    tests.loc[(tests["seed"] == 1) & (tests["fusion"] == "c"), "p"] = 0.9
    found = fusion_results.compared(both, "scenes").set_index("fusion")["verdict"]
    assert list(found) == ["better", "worse", "same", "same", "rival"]


def test_of_several_seeds_the_means_are_compared_draw_by_draw() -> None:
    labels, rules = np.arange(60) % 3, ("mean_probability", "majority_vote")
    made = {
        ("scenes", (*PATCH[:3], rule), seed): answers(labels, 0.8, 10 * seed + rank)
        for rank, rule in enumerate(rules)
        for seed in (0, 1, 2)
    }
    about = dict(zip(("patches", "encoder", "classifier"), PATCH, strict=False))
    rows = [
        fusion_test_rows(
            about | {"dataset": "scenes", "seed": seed},
            labels,
            {rule: made["scenes", (*PATCH[:3], rule), seed][1] for rule in rules},
            np.arange(60),
        )
        for seed in (0, 1, 2)
    ]
    tested = replace(decided(made, ("a", "b", "c")), fusion_tests=pd.concat(rows))
    row = fusion_results.compared(tested, "scenes").set_index("fusion").loc["majority_vote"]
    weights = draw_weights(60, BOOTSTRAP_SEED)
    rival, own = (
        np.mean([macro_auc(labels, made["scenes", (*PATCH[:3], rule), s][1], weights)
                 for s in (0, 1, 2)], axis=0) for rule in rules
    )  # fmt: skip
    expected = difference(own, rival)
    found = row[["difference", "low", "high", "p"]].astype(float)
    np.testing.assert_allclose(found, [expected.value, expected.low, expected.high, expected.p])
    assert row["n_seeds"] == 3 and row["sd"] > 0
    ends = pd.concat(rows).groupby("fusion")[["low", "high"]].mean().loc["majority_vote"]
    assert row["high"] - row["low"] < ends["high"] - ends["low"]  # what seeds differ in cancels out


def test_the_sentence_names_every_verdict_with_its_rules() -> None:
    method = {"patches": "p", "encoder": "e", "classifier": "c", "detector": "none"}
    one = study([0.001, 0.002, 0.7, 0.5, 1.0], [0.1, -0.05, 0.02, -0.01, 0.0])
    assert fusion.sentences(one, "scenes", method) == [
        "Against mean_probability, of the 4 other fusion rules for e with c, 1 is better "
        "(a +0.100); 2 are not to be told apart from it (c +0.020, d \N{MINUS SIGN}0.010); 1 is "
        "worse (b \N{MINUS SIGN}0.050) (paired on the same test images, p below 0.05 after Holm)."
    ]
    assert fusion.sentences(one, "scenes", None) == []


def test_rules_are_paired_on_the_same_images() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    good = np.eye(3)[labels] + rng.random((90, 3))
    good /= good.sum(axis=1, keepdims=True)
    worse = 0.6 * good + 0.4 / 3 + 0.25 * rng.random((90, 3))
    decisions = {"mean_probability": good, "same": good.copy(), "worse": worse}
    rows = fusion_test_rows(ABOUT, labels, decisions, np.arange(90)).set_index("fusion")
    same = rows.loc["same"]
    assert (same["difference"], same["p"]) == (0, 1) and same[["low", "high"]].isna().all()
    assert rows.loc["worse", "high"] < 0 and rows.loc["worse", "p"] < 0.05
    assert set(rows["rival"]) == {"mean_probability"} and set(rows["n_images"]) == {90}
    scenes = fusion_test_rows(ABOUT, labels, decisions, np.arange(90) // 30).set_index("fusion")
    assert scenes.loc["worse", "difference"] == rows.loc["worse", "difference"]
    assert scenes.loc["worse", "low"] != rows.loc["worse", "low"]  # three scenes are drawn
