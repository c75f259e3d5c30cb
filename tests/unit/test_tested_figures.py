"""Figures and sentences of tests between methods: nothing overlaps, nothing undefined is drawn."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from patchbench import plan_figures, plugins, tables
from patchbench import results_table as results
from patchbench.evaluation import metric_rows
from patchbench.figures import _style as style
from patchbench.method_tests import BOOTSTRAP, Judgement, judgement, verdicts
from patchbench.metrics import ONE_CLASS
from patchbench.report import finding, tested
from patchbench.report.page import render
from patchbench.seed_means import SeedMeans
from patchbench.study import Study
from unit._compared import (
    FLOOR,
    NETWORK,
    OTHER,
    PATCH,
    answers,
    crowded,
    decided,
    several,
    with_tests,
)
from unit._drawn import texts
from unit._synthetic_study import make_study

FIGURES = ("class_auc", "critical_difference", "seed_spread")


def rare() -> Study:
    """Two classes that hardly any test image, or none, belongs to; a name that is no markup."""
    labels = np.append(np.arange(40) % 2, 2)
    made = {("scenes", m, 0): answers(labels, 1.5, i, 4) for i, m in enumerate((NETWORK, PATCH))}
    return with_tests(decided(made, ("daisy", "rose", "<b>$x$ & co", "tulip")))


def drawn(study: Study, name: str) -> Figure:
    with style.look():
        figure: Figure = plugins.load("figures", name).draw(study, "scenes")
        figure.draw_without_rendering()
    return figure


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for text in texts(figure))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (rare, "class_auc"),
        (crowded, "class_auc"),
        (crowded, "seed_spread"),
        (several, "seed_spread"),
        (several, "critical_difference"),
    ],
)
def test_nothing_overlaps_or_is_cut(kind: Callable[[], Study], name: str) -> None:
    figure = drawn(kind(), name)
    assert figure.get_size_inches()[0] == style.WIDTH_IN
    with style.look():
        boxes = [(t.get_text(), t.get_window_extent().extents) for t in texts(figure)]
    places = np.array([box for _, box in boxes])
    shared = np.minimum(places[:, None, 2:], places[None, :, 2:])
    shared = shared - np.maximum(places[:, None, :2], places[None, :, :2])
    for i, j in np.argwhere(np.triu((shared > 1.5).all(axis=2), k=1)):
        raise AssertionError(f"{boxes[i][0]!r} overlaps {boxes[j][0]!r}")
    assert (places[:, :2] > -1).all()
    assert (places[:, 2:] < figure.bbox.max + 1).all()
    assert "n = " in words(figure)


def test_each_figure_is_drawn_where_it_has_something_to_show() -> None:
    def asked(**lists: object) -> set[tuple[str, str]]:
        config = make_study().run["config"]
        found = plan_figures.figures(config | {"benchmark": config["benchmark"] | lists})
        return {pair for pair in found if pair[1] in FIGURES}

    assert asked() == {("scenes", "class_auc")}
    assert ("scenes", "seed_spread") in asked(seeds=[0, 1])
    three = asked(datasets=["scenes", "digits", "scenes-texture"])
    assert ("across-datasets", "critical_difference") in three
    assert len([name for _, name in three if name == "critical_difference"]) == 1


def test_an_undefined_class_is_named_with_its_reason_and_not_drawn() -> None:
    study = rare()
    text = words(drawn(study, "class_auc"))
    assert "not defined (no image of the class: no area)" in text
    assert "without a bar: a single image of the class" in text.replace("W", "w")
    frame = plugins.load("figures", "class_auc").data(study, "scenes")
    assert list(frame["class_name"])[-1] == "tulip"  # the undefined stands last


def test_a_study_without_the_stage_gives_reasons_instead_of_plots() -> None:
    study = make_study(n_encoders=1)
    for name in FIGURES:
        assert "No" in words(drawn(study, name))
    assert any("were not compared" in gap for gap in finding.gaps(study))


def test_ranks_that_do_not_differ_get_no_bars() -> None:
    study = several()
    same = replace(study, dataset_ranks=study.dataset_ranks.assign(friedman_p=0.4))
    assert "no bars are drawn" in words(drawn(same, "critical_difference"))
    assert "no bars are drawn" not in words(drawn(study, "critical_difference"))


def test_spread_over_seeds_holds_each_method_once_and_dots_of_all_seeds() -> None:
    study = several()
    frame = plugins.load("figures", "seed_spread").data(study, "scenes")
    assert not frame.duplicated("label").any()
    assert (frame["n_seeds"] == 2).all()
    (ax, *_) = drawn(study, "seed_spread").axes
    dots = [line for line in ax.lines if line.get_markersize() == 2.2]
    assert len(dots) == len(frame)
    assert all(len(line.get_xdata()) == 2 for line in dots)


def test_the_finding_tells_the_paired_test_and_agrees_with_the_interval_by_hand() -> None:
    study = several()
    best, network = (
        results.best_on_val(study, "scenes", results.scores(study, "scenes", "image"), kind)
        for kind in ("patch", "cnn")
    )
    assert best is not None
    assert network is not None
    text = tested.sentence(study, "scenes", best, network)
    assert text is not None
    by_hand = SeedMeans(study, "scenes").difference(best, network)
    assert by_hand is not None
    assert f"{tested.signed(by_hand.low)} to {tested.signed(by_hand.high)}" in text
    assert "after Holm for" in text
    assert "(paired bootstrap: p = " in text  # McNemar asks about one seed
    (told,) = (f.sentences for f in finding.findings(study) if f.dataset == "scenes")
    assert text in " ".join(told)


@pytest.mark.parametrize(
    ("p", "adjusted", "expected"),
    [
        (0.001, 0.004, "more than chance in the choice of test images explains (95 %"),
        (0.02, 0.08, "but not among 4"),
        (0.4, 1.0, "cannot be told apart"),
    ],
)
def test_the_verdict_follows_p_and_holm(p: float, adjusted: float, expected: str) -> None:
    study = several()
    tests = study.method_tests.assign(p=p, p_holm=adjusted)
    row = tests.iloc[0]
    other = {name: row[f"reference_{name}"] for name in tested._PLACE}
    changed = replace(study, method_tests=tests)
    assert expected in (tested.sentence(changed, "scenes", row, other) or "")


def test_what_is_undefined_is_listed_with_its_reason() -> None:
    gaps = " | ".join(tested.gaps(rare()))
    assert "AUC of tulip: no image of the class: no area" in gaps
    assert "no interval: a single image of the class" in gaps
    assert "few test images of <b>$x$ & co (1 image of a class); draws that hold none" in gaps
    assert "a single seed was run" in gaps
    assert "needs 3 datasets, and there is 1" in gaps
    alone = {("scenes", PATCH, 0): answers(np.arange(30) % 2, 1.0, 0)}
    text = " | ".join(tested.gaps(with_tests(decided(alone, ("a", "b")))))
    assert "there are no two methods" in text
    assert "spread over seeds" not in " ".join(tested.gaps(several()))


def test_groups_are_told_of() -> None:
    labels = np.arange(30) % 2
    made = {("scenes", m, 0): answers(labels, 1.0, i) for i, m in enumerate((NETWORK, PATCH))}
    study = with_tests(decided(made, ("a", "b"), {"scenes": np.repeat(np.arange(10), 3)}))
    assert "take images of one group as independent" in " ".join(tested.gaps(study))
    assert "drawn by group, of which there are 10" in " ".join(finding.findings(study)[0].sentences)


def test_where_images_come_in_groups_no_test_is_shown_that_ignores_them() -> None:
    labels = np.arange(120) % 2
    made = {
        ("scenes", m, 0): answers(labels, 2.0 - i, i) for i, m in enumerate((NETWORK, PATCH, OTHER))
    }
    alone = with_tests(decided(made, ("a", "b")))
    scenes = with_tests(decided(made, ("a", "b"), {"scenes": np.arange(120) // 12}))
    for study, names, columns in (
        (alone, ("DeLong", "McNemar"), ("second_p", "second_p_holm")),
        (scenes, ("paired bootstrap", "paired bootstrap"), ("p", "p_holm")),
    ):
        shown = tested.table(study, "scenes")
        assert shown is not None
        assert tuple(shown["tests"].values()) == names
        for measure, place in (("auc_macro", 4), ("accuracy", 7)):
            rows = verdicts(study, "scenes", measure).sort_values("value", ascending=False)
            told = {f"{tested.p_text(p)} ({tested.p_text(h)})" for p, h in rows[[*columns]].values}
            assert {cells[place] for cells in shown["rows"]} == told
    text = " ".join(finding.findings(scenes)[0].sentences)
    assert "(paired bootstrap: p" in text and "McNemar" not in text


def test_a_difference_that_no_draw_changes_is_not_called_indistinguishable() -> None:
    labels = np.arange(60) % 3
    right = 0.1 + np.eye(3)[labels]
    right /= right.sum(axis=1, keepdims=True)
    made = {
        ("scenes", NETWORK, 0): (labels, right),
        ("scenes", PATCH, 0): (labels, np.full((60, 3), 1 / 3)),
    }
    study = decided(made, ("a", "b", "c"))
    for one in (study, with_tests(study)):
        text = " ".join(finding.findings(one)[0].sentences)
        assert "is 0.500 below the network; draws of test images do not tell how sure" in text
        assert "told apart" not in text
    assert "Of accuracy the difference is \N{MINUS SIGN}0.667 (McNemar: p < 0.001)." in text


def test_holm_counts_the_comparisons_of_each_measure_by_itself() -> None:
    labels = np.arange(60) % 3
    made = {
        ("scenes", NETWORK, 0): (labels, (0.1 + np.eye(3)[labels]) / 1.3),
        ("scenes", PATCH, 0): (labels, np.full((60, 3), 1 / 3)),
        ("scenes", OTHER, 0): answers(labels, 0.5, 1),
    }
    study = with_tests(decided(made, ("a", "b", "c")))
    assert verdicts(study, "scenes")["p"].isna().sum() == 1
    text = " ".join(finding.findings(study)[0].sentences)
    assert "(McNemar: p < 0.001, < 0.001 after Holm for 2 comparisons)" in text


def test_where_delong_knows_no_p_that_of_the_bootstrap_is_shown() -> None:
    labels = np.r_[0, np.ones(39, dtype=int)]
    made = {("scenes", m, 0): answers(labels, 2.0 - i, i) for i, m in enumerate((NETWORK, PATCH))}
    study = with_tests(decided(made, ("a", "b")))
    row = verdicts(study, "scenes").iloc[0]
    assert np.isnan(row["second_p"])
    assert judgement(row) == Judgement(BOOTSTRAP, row["p"], row["p_holm"])


def test_methods_that_ran_but_have_no_score_are_not_called_missing() -> None:
    labels = np.zeros(20, dtype=int)
    made = {("scenes", m, 0): answers(labels, 1.0, i, 2) for i, m in enumerate((NETWORK, PATCH))}
    study = decided(made, ("a", "b"))
    blank = study.metrics.assign(value=np.nan, low=np.nan, high=np.nan, reason=ONE_CLASS)
    text = " ".join(finding.findings(with_tests(replace(study, metrics=blank)))[0].sentences)
    why = "run, but the AUC-ROC of images is not defined: all test images are of one class."
    assert f"sift: {why} resnet18 (whole image): {why}" in text


def test_the_page_shows_every_method_against_the_reference_and_runs_no_name(tmp_path: Path) -> None:
    page = render(rare(), tmp_path)
    assert "Every method against resnet18 (whole image)" in page
    assert "<b>$x$" not in page
    assert "Balanced accuracy" in page
    assert ">nan<" not in page
    assert tested.table(make_study(n_encoders=1), "scenes") is None


def test_the_page_shows_the_figure_of_all_datasets_by_itself(tmp_path: Path) -> None:
    page = render(several(), tmp_path)
    assert "<h3>across-datasets</h3>" in page
    assert page.count("critical difference, across-datasets") <= 1


def test_no_cell_of_the_table_of_tests_says_nan() -> None:
    labels = np.zeros(20, dtype=int)
    made = {
        ("scenes", m, 0): answers(labels, 1.0, i, 2) for i, m in enumerate((NETWORK, PATCH, FLOOR))
    }
    study = with_tests(decided(made, ("a", "b")))
    for row in (tested.table(study, "scenes") or {})["rows"]:
        assert not any("nan" in cell for cell in row), row


def test_a_study_that_is_always_right_tells_of_no_interval_and_draws_no_nan(tmp_path: Path) -> None:
    labels = np.arange(12) % 3
    right = 0.1 + np.eye(3)[labels]
    right /= right.sum(axis=1, keepdims=True)
    made = {("scenes", method, 0): (labels, right) for method in (NETWORK, PATCH)}
    study = decided(made, ("a", "b", "c"))
    rows = [
        metric_rows({**about}, "image", str(about["fusion"]), labels, right, *[np.arange(12)] * 2)
        for about in study.metrics[["dataset", *tested._PLACE, "seed"]].drop_duplicates()
        .to_dict("records")
    ]  # fmt: skip
    study = with_tests(replace(study, metrics=pd.concat(rows)))
    text = " ".join(finding.findings(study)[0].sentences)
    assert "AUC-ROC 1.000 (no interval)" in text
    assert "cannot be told apart (no interval of the paired difference; p = 1.00)" in text
    page = render(study, tmp_path)
    assert ">no interval<" in page and "+0.000 [no interval]" in page and "nan" not in text
    assert "auc_macro has no interval for 2 results (the draws of images all give" in page
    for name in ("class_auc", "fusion_comparison", "auc_against_runtime"):
        assert "nan" not in words(drawn(study, name)).lower()
    assert "[no interval]" in words(drawn(study, "fusion_comparison"))


def test_empty_tables_have_the_promised_columns() -> None:
    for name in tables.TEST_COLUMNS:
        assert isinstance(tables.empty(name), pd.DataFrame)
        assert all(meaning for _, meaning in tables.COLUMNS[name].values())


def test_the_finding_gives_the_interval_of_the_mean_over_seeds_and_their_spread() -> None:
    study = several()
    found = next(f for f in finding.findings(study) if f.dataset == "scenes")
    assert found.best is not None
    rows = study.seed_summary[study.seed_summary["encoder"] == found.best["encoder"]]
    row = rows[(rows["dataset"] == "scenes") & (rows["metric"] == "auc_macro")].iloc[0]
    expected = f"interval {row['low']:.3f} to {row['high']:.3f}, mean of 2 seeds with a standard "
    assert expected + f"deviation of {row['sd']:.3f})" in found.sentences[0]
