"""What is undefined says why, in the tables and in the report; what is defined says nothing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from patchbench import tables
from patchbench.bags import Bags
from patchbench.calibration import reliability_rows
from patchbench.evaluation import fusion_test_rows
from patchbench.noise import PatchView
from patchbench.reasons import EMPTY_BIN, NOT_COMPARED, joined, reason_of
from patchbench.report import finding, undefined
from patchbench.stages import background, detect, sweep
from patchbench.study import Study
from patchbench.sweeping import FILTER, Outcome, Step
from patchbench.trials import Score, row
from unit._synthetic_study import make_study

ABOUT = {"dataset": "scenes", "patches": "p", "encoder": "e", "classifier": "c", "seed": "0"}
ALIKE = "no interval: the draws of images all give the same value"
NOWHERE = "not defined on these images"
VARIED = np.random.default_rng(0).random(2001)
ONE, NONE = np.full(2001, 0.5), np.full(2001, np.nan)


def test_fusion_rules_that_agree_or_lack_a_class_say_so() -> None:
    labels = np.arange(60) % 3
    sure = np.eye(3)[labels] * 0.7 + 0.1
    noisy = sure + np.random.default_rng(0).random((60, 3))
    decisions = {"mean_probability": sure, "same": sure, "other": noisy}
    rows = fusion_test_rows(ABOUT, labels, decisions, np.arange(60)).set_index("fusion")
    assert rows["reason"].dropna().to_dict() == {"mean_probability": ALIKE, "same": ALIKE}
    assert rows.loc["other", ["difference", "low", "high", "p"]].notna().all()
    lone = fusion_test_rows(ABOUT, labels * 0, decisions, np.arange(60))
    assert set(lone["reason"]) == {NOWHERE} and lone["difference"].isna().all()


def test_empty_bins_and_bins_that_are_always_right_say_so() -> None:
    labels = np.arange(60) % 2
    logits = (
        np.where(np.eye(2)[labels], 3.0, 0.0) * np.r_[np.full(30, 1.0), np.full(30, 0.1)][:, None]
    )
    bags = Bags(logits, np.ones(60, int), np.zeros((60, 2)))
    frame = reliability_rows(ABOUT, bags, labels, np.arange(60), 1.0)
    bins = frame[frame["measure"] == "accuracy"]
    empty = bins["n_predictions"] == 0
    assert set(bins.loc[empty, "reason"]) == {EMPTY_BIN}
    assert set(bins.loc[~empty, "reason"]) == {ALIKE}  # accuracy 1 in each
    changes = frame[frame["measure"].str.endswith("_change")]
    assert set(changes["reason"]) == {ALIKE}  # a temperature of 1 changes nothing
    assert frame.loc[frame["measure"] == "log_loss", "reason"].isna().all()


@pytest.mark.parametrize(
    ("draws", "other", "expected"),
    [
        (VARIED, VARIED[::-1], None),
        (VARIED, None, {"difference": NOT_COMPARED}),
        (VARIED, VARIED, {"difference": ALIKE}),
        (ONE, ONE, {"value": ALIKE, "difference": ALIKE}),
        (NONE, VARIED, {"value": NOWHERE, "difference": NOWHERE}),
    ],
)
def test_experiments_say_of_value_and_difference_why_they_are_null(
    draws: np.ndarray, other: np.ndarray | None, expected: dict[str, str] | None
) -> None:
    untouched = None if other is None else Score(other, other[:1])
    found = row(Score(draws, draws[:1]), untouched)
    assert found["reason"] == (expected and joined(expected))
    for name, ends in (("value", ("low", "high")), ("difference", ("difference_low", "p"))):
        if np.isnan([found[end] for end in ends]).all():
            assert reason_of(name, found["reason"])


def test_a_sweep_says_of_each_difference_why_it_is_null() -> None:
    def outcome(draws: np.ndarray) -> Outcome:
        return Outcome({"patch": draws}, {"patch": "none"}, 0.1, 60)

    step, kept = Step(FILTER, "both", 0.3), outcome(VARIED)
    rows = [
        sweep._row(ABOUT, "none", step, kept, "patch", None, None),
        sweep._row(ABOUT, "gradcam", step, outcome(VARIED[::-1]), "patch", kept, kept),
        sweep._row(ABOUT, "gradcam", step, kept, "patch", kept, outcome(NONE)),
    ]
    table = tables.to_arrow(pd.DataFrame(rows), "sweep").to_pandas()
    alone = {"difference": NOT_COMPARED, "random_difference": NOT_COMPARED}
    last = {"difference": ALIKE, "random_difference": NOWHERE}
    assert table["reason"].fillna("").tolist() == [joined(alone), "", joined(last)]


def test_detectors_without_masks_and_groups_of_one_class_say_so() -> None:
    places = {"image_of": np.arange(3), "centers": np.zeros((3, 2)), "index": pd.DataFrame()}
    view = PatchView(**places, n_classes=2, image=lambda i: np.zeros((1, 1, 3), np.uint8))
    found = detect.background_auc(np.zeros(3), view, np.ones((2, 3)))
    told = detect.row(ABOUT, "test", "background_auc", found, 3)
    assert told["reason"] == "the dataset has no object masks" and np.isnan(told["value"])
    missed = background.confident_mistakes(
        np.ones(4, dtype=bool), np.eye(2)[[0, 1, 0, 1]], np.array([0, 1, 0, 1]),
        np.arange(4), np.ones((2001, 4)),
    )  # fmt: skip
    assert [row["reason"] for row in missed] == [NOWHERE, ALIKE]  # no vote is wrong; all the same


# ------------------------------------------------------------------------------- the report


def without_ends(study: Study, table: str, reason: str, rows: "pd.Series[bool]") -> Study:
    frame = getattr(study, table).copy()
    frame.loc[rows, ["low", "high"]] = np.nan
    frame.loc[rows, "reason"] = reason
    return replace(study, **{table: frame})


def of_table(study: Study, table: str) -> list[str]:
    return [gap for gap in finding.gaps(study) if gap.startswith(f"table {table}")]


def test_a_whole_study_lists_no_undefined_statistic() -> None:
    study = make_study(detectors=("random", "gradcam"), experiments=("interaction", "shuffle"))
    assert undefined.gaps(study) == []


def test_a_reason_is_one_line_however_many_rows_and_measures_have_it() -> None:
    study = make_study()
    rows = study.reliability["bin"] == -1
    study = without_ends(
        study, "reliability", ALIKE, rows & (study.reliability["level"] == "image")
    )
    (line,) = of_table(study, "reliability")
    assert line.startswith(
        f"table reliability, no interval ({ALIKE.removeprefix('no interval: ')})"
    )
    for measure in ("ece", "log_loss", "ece_change", "log_loss_change"):
        assert f"{measure} in " in line


def test_reasons_that_differ_in_their_counts_alone_are_one() -> None:
    study = make_study()
    tests = study.fusion_tests.reset_index(drop=True)
    told = [f"no interval: defined in {i % 30} of 2,000 draws of images" for i in tests.index]
    lost = tests.assign(low=np.nan, high=np.nan, reason=told)
    (line,) = of_table(replace(study, fusion_tests=lost), "fusion_tests")
    assert "(defined in too few of 2,000 draws of images): difference in " in line


def test_controls_and_what_is_compared_with_itself_or_nothing_are_left_out() -> None:
    study = make_study()
    tests = study.fusion_tests
    constant = (tests["classifier"] == "majority_class") | (tests["encoder"] == "random_projection")
    assert constant.any()
    left = constant | (tests["fusion"] == tests["rival"])
    assert of_table(without_ends(study, "fusion_tests", ALIKE, left), "fusion_tests") == []
    (line,) = of_table(without_ends(study, "fusion_tests", ALIKE, tests["p"] >= 0), "fusion_tests")
    assert f"difference in {(~left).sum()} of {(~left).sum()} rows" in line


def test_each_difference_of_a_sweep_is_counted_by_itself() -> None:
    study = make_study(detectors=("random", "gradcam"))
    frame = study.sweep.copy()
    gone = frame["detector"] == "gradcam"
    frame.loc[gone, ["difference_low", "difference_high"]] = np.nan
    frame.loc[gone, "reason"] = joined({"difference": ALIKE})
    (line,) = of_table(replace(study, sweep=frame), "sweep")
    assert line.partition("): ")[2].startswith("difference in ") and ";" not in line
