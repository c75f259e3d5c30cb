"""Figures and sentences about noisy patches: drawn where detectors ran, and fair to them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from patchbench import plan_figures, plugins, sweep_results, tables
from patchbench.figures import background_votes, detector_sweep, overlays
from patchbench.report import finding, noise
from patchbench.report.page import render
from patchbench.stages._overlays import _spread
from patchbench.study import Study
from unit._drawn import STUDIES, drawn, texts
from unit._synthetic_study import make_study

NOISE = ["background_votes", "detector_sweep", "overlays"]
PARTS = ["blackout_curves", "parts_interaction", "shuffle_curves"]  # of studies with experiments
SEVERAL = ["critical_difference", "seed_spread"]  # of studies with several datasets or seeds
PUBLISHED = ("published_values", "published_patch_sizes")  # of studies held against the literature
DETECTORS = plugins.available("detectors")


def study_of(detectors: list[str]) -> Study:
    return make_study(n_encoders=1, n_fusions=1, controls=False, cnns=(), detectors=detectors)


def with_sweep(study: Study, **columns: float) -> Study:
    """The same study, every detector's step with other numbers."""
    dropped = study.sweep["detector"] != "none"
    sweep = study.sweep.copy()
    for name, value in columns.items():
        sweep.loc[dropped, name] = value
    return replace(study, sweep=sweep)


def words(kind: str, name: str) -> str:
    return " ".join(text.get_text() for text in texts(drawn(kind, name)))


def told(study: Study) -> str:
    return " ".join(noise.sentences(study, "scenes"))


def test_noise_figures_are_asked_for_only_where_detectors_run() -> None:
    without = {figure for _, figure in plan_figures.figures(make_study().run["config"])}
    asked = plan_figures.figures(study_of(DETECTORS).run["config"])
    others = {*PARTS, *PUBLISHED, *SEVERAL}
    assert without == set(plugins.available("figures")) - {*NOISE, *others, "scaling"}
    assert {("scenes", name) for name in NOISE} <= set(asked)


def test_the_page_lists_the_figures_that_are_drawn(tmp_path: Path) -> None:
    sweep, votes = detector_sweep.CAPTION[80:150], background_votes.CAPTION[:50]
    assert sweep not in render(make_study(n_encoders=1), tmp_path)
    text = render(study_of(DETECTORS), tmp_path)
    assert text.index(sweep) < text.index(votes)


def test_every_detector_and_keeping_all_are_named_beside_their_lines() -> None:
    found = words("noisy", "detector_sweep")
    assert all(name in found for name in [*DETECTORS, "keep all"])


def test_methods_that_are_not_drawn_are_named() -> None:
    left_out = sweep_results.swept(STUDIES["noisy"](), "scenes")[3:]
    assert left_out
    assert all(row["label"] in words("noisy", "detector_sweep") for row in left_out)


def test_a_detector_keeps_its_colour_whichever_others_ran() -> None:
    many, few = study_of(DETECTORS), study_of(["random", "small_loss"])
    colors = {name: detector_sweep._mark(many, name).color for name in DETECTORS}
    assert detector_sweep._mark(few, "small_loss").color == colors["small_loss"]
    assert len(set(colors.values())) == len(DETECTORS)


def test_an_entry_under_another_name_looks_like_its_plugin() -> None:
    study = study_of(["random", "mine"])
    study.run["config"]["detectors"] = {"mine": {"type": "entropy"}, "random": {}}
    assert detector_sweep._mark(study, "mine").color == (
        detector_sweep._mark(study_of(DETECTORS), "entropy").color
    )
    assert sweep_results.is_control(study, "random")
    assert not sweep_results.is_control(study, "mine")


def test_the_table_behind_the_sweep_has_weights_and_every_spread() -> None:
    frame = detector_sweep.data(study_of(DETECTORS), "scenes")
    assert set(frame["use"]) == {"filter", "weight"}
    assert frame.loc[frame["use"] == "weight", "fraction"].isna().all()
    assert set(frame["fraction"].dropna()) == {0.0, 0.1, 0.3, 0.5, 0.7}


def test_votes_tell_the_share_of_background_among_confident_mistakes() -> None:
    found = words("noisy", "background_votes")
    assert "Patches without object are 17 % of all" in found
    assert "32 % [27, 37] for sift (n = 750)" in found


@pytest.mark.parametrize(
    ("lacking", "reason"),
    [("saliency", "Without Grad-CAM maps"), ("foreground", "no object masks")],
)
def test_votes_say_which_groups_are_missing(lacking: str, reason: str) -> None:
    study = study_of(DETECTORS)
    left = study.background[study.background["by"] != lacking]
    figure = background_votes.draw(replace(study, background=left), "scenes")
    assert len(figure.axes) == 2
    assert reason in " ".join(text.get_text() for text in texts(figure))


def test_p_are_adjusted_over_the_detectors_and_never_over_controls() -> None:
    rows = pd.DataFrame(
        {
            "detector": ["random", "oracle_mask", "entropy", "low_variance", "gradcam"],
            "p": [1.0, 0.001, 0.03, 0.01, np.nan],
            "random_p": [1.0, 0.001, 0.9, 0.02, np.nan],
            "difference": [0.0, 0.1, 0.02, 0.03, np.nan],
            "random_difference": [0.0, 0.1, 0.0, 0.03, np.nan],
        }
    )
    found = sweep_results.judged(study_of(DETECTORS), rows)
    assert list(found["detector"]) == ["low_variance", "entropy"]
    np.testing.assert_allclose(found["p_adjusted"], [0.02, 0.03])
    np.testing.assert_allclose(found["random_p_adjusted"], [0.04, 0.9])


def test_a_detector_helps_only_if_it_beats_keeping_all_and_random_removal() -> None:
    detectors = ["random", "oracle_mask", "entropy", "low_variance"]
    gain = {"difference": 0.02, "p": 0.001}
    both = with_sweep(study_of(detectors), **gain, random_difference=0.02, random_p=0.001)
    assert "2 of the 2 detectors (entropy and low_variance)" in told(both)
    half = with_sweep(study_of(detectors), **gain, random_difference=0.001, random_p=0.5)
    assert "none of the 2 detectors more than chance explains" in told(half)
    assert "2 are better than keeping all patches, none is better than dropping" in told(half)


def test_one_small_p_among_many_detectors_is_not_called_help() -> None:
    study = with_sweep(study_of(DETECTORS), difference=0.01, p=0.5, random_p=0.5)
    lucky = study.sweep["detector"] == "entropy"
    sweep = study.sweep.assign(
        p=study.sweep["p"].mask(lucky, 0.02), random_p=study.sweep["random_p"].mask(lucky, 0.02)
    )
    assert "helps with none of the 8 detectors" in told(replace(study, sweep=sweep))


def test_the_share_judged_is_half_or_the_nearest_swept_not_the_best() -> None:
    study = study_of(DETECTORS)
    assert "Dropping half of the patches in training " in told(study)
    sweep = study.sweep[study.sweep["fraction"] != 0.5]
    text = told(replace(study, sweep=sweep[sweep["fraction"] != 0.3]))
    assert "Dropping 70 % of patches in training " in text


def test_the_finding_gives_ceiling_seconds_and_intervals() -> None:
    text = " ".join(finding.findings(study_of(DETECTORS))[0].sentences)
    assert "knows the true object masks would change it by +0.045" in text
    assert "its time was not recorded" in text  # no costs of maps are in this study
    assert "paired 95 % interval" in text
    without = told(study_of(["random", "entropy"]))
    assert without.count("Without true object masks") == 1
    assert "of the one detector" in without


def test_the_seconds_of_grad_cam_are_those_of_its_networks_and_maps_too() -> None:
    study = study_of(DETECTORS)
    study.run["config"]["noise"] = {"cnn": "net"}
    took = {"cnn": [100.0], "cnn_fold": [40.0, 41.0], "explain_gradcam": [5.0]}
    took["explain_occlusion"] = [1000.0]
    rows = pd.concat([study.costs.iloc[:1]] * 5, ignore_index=True)
    rows["stage"] = [stage for stage, each in took.items() for _ in each]
    rows["work_s"] = [value for each in took.values() for value in each]
    known = replace(study, costs=rows.assign(dataset="scenes", encoder="net", seed=0))
    seconds = {row["detector"]: row["work_s"] for row in sweep_results.table(known, "scenes")}
    own = 0.5 + DETECTORS.index("gradcam")
    assert seconds["gradcam"] == pytest.approx(186 + own)
    assert seconds["entropy"] == pytest.approx(0.5 + DETECTORS.index("entropy"))
    assert "it took 1" in told(known) and "maps included" in told(known)


def test_without_a_sweep_nothing_is_said_but_that_it_is_missing() -> None:
    study = make_study()
    assert noise.sentences(study, "scenes") == []
    gap = "no noisy-patch detector was run"
    assert any(told.startswith(gap) for told in finding.gaps(study))
    assert not any(told.startswith(gap) for told in finding.gaps(study_of(DETECTORS)))
    bare = replace(study_of(DETECTORS), detection=tables.empty("detection"))
    assert "its time was not recorded" in told(bare)


def test_the_answer_comes_first_in_one_sentence() -> None:
    study = study_of(DETECTORS)
    yes = noise.sentences(study, "scenes")[0]
    assert yes == (
        "Ignoring noisy patches helps here: gradcam, half of the patches dropped in training, "
        "changes image AUC by +0.020 (paired 95 % interval +0.010 to +0.030)."
    )
    no = noise.sentences(with_sweep(study, p=0.9, random_p=0.9), "scenes")[0]
    assert no.startswith("Ignoring noisy patches does not help here: the highest, ")


def test_the_table_of_the_answer_marks_what_beats_both_and_keeps_controls_unmarked() -> None:
    rows = {row["detector"]: row for row in sweep_results.table(study_of(DETECTORS), "scenes")}
    assert set(rows) == set(DETECTORS)
    assert rows["gradcam"]["train_helps"] and rows["gradcam"]["both_helps"]
    assert not any(rows[name]["train_helps"] for name in ("oracle_mask", "random", "entropy"))
    np.testing.assert_allclose(rows["gradcam"]["both"], [0.02, 0.01, 0.03])
    assert np.isnan(rows["small_loss"]["both"]).all()  # it needs labels, so it has no say in test
    assert sweep_results.cells(rows["gradcam"])[:3] == [
        "gradcam",
        "0.60 [0.58, 0.62]",
        "+0.020 [+0.010, +0.030] ▲",
    ]
    assert sweep_results.cells(rows["small_loss"])[3] == ""
    assert sweep_results.cells(rows["oracle_mask"])[0] == "oracle_mask (control)"


def test_overlays_say_how_much_of_each_column_is_object() -> None:
    found = overlays.data(study_of(DETECTORS), "scenes")
    share = found.groupby("column")["object_share"].mean()
    assert share["kept/gradcam"] == 1
    assert np.isnan(share["kept/oracle_mask"])  # nothing was kept
    assert np.isnan(share["maps/evidence/bagnet17"]) or 0 <= share["maps/evidence/bagnet17"] <= 1
    assert (found.loc[found["image"] == 0, "predicted"] == "thistle").all()


def test_pixels_show_the_share_of_their_patches_that_is_kept() -> None:
    rng = np.random.default_rng(0)
    boxes = pd.DataFrame(
        [(y, x, 6, 6) for y in (0, 3, 6) for x in (0, 3)],
        columns=["y_px", "x_px", "height_px", "width_px"],
    )
    kept = rng.random(len(boxes)) < 0.5
    found = _spread(boxes, kept, side_px=12, image_px=12)
    for y, x in np.ndindex(12, 12):
        over = [
            keep
            for (top, left, *_), keep in zip(boxes.to_numpy(), kept, strict=True)
            if top <= y < top + 6 and left <= x < left + 6
        ]
        expected = np.mean(over) if over else np.nan
        np.testing.assert_allclose(found[y, x], expected, rtol=1e-6)
