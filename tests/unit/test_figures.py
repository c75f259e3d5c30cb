"""Figures draw any study, overlap nothing, and state what they show."""

from argparse import Namespace
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from patchbench import plugins
from patchbench import results_table as results
from patchbench.figures import _style as style
from patchbench.stages import draw
from patchbench.study import Study
from unit._drawn import DRAWN, FIGURES, drawn, texts, tiny
from unit._synthetic_study import make_study

ABBREVIATIONS = {
    "AUC": "Area under the receiver operating characteristic",
    "ROC": "receiver operating characteristic",
    "ECE": "expected calibration error",
    "SNE": "stochastic neighbour embedding",
}


@pytest.mark.parametrize(("kind", "name"), DRAWN)
def test_every_study_draws_at_printed_width_without_overlap_or_cut_text(
    kind: str, name: str
) -> None:
    figure = drawn(kind, name)
    assert figure.get_size_inches()[0] == style.WIDTH_IN
    with style.look():
        found = [(t.get_text(), t.get_window_extent().extents) for t in texts(figure)]
    boxes = np.array([box for _, box in found])
    shared = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = shared - np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    for i, j in np.argwhere(np.triu((shared > 1.5).all(axis=2), k=1)):
        raise AssertionError(f"{found[i][0]!r} overlaps {found[j][0]!r}")
    outside = (boxes[:, :2] < -1).any(axis=1) | (boxes[:, 2:] > figure.bbox.max + 1).any(axis=1)
    assert [found[i][0] for i in np.flatnonzero(outside)] == []


@pytest.mark.parametrize("name", FIGURES)
def test_figures_state_how_many_images_they_rest_on(name: str) -> None:
    words = " ".join(text.get_text() for text in texts(drawn("make_study", name)))
    assert "n = " in words
    assert "commit 0123456789" in words


@pytest.mark.parametrize("name", FIGURES)
def test_caption_is_the_one_of_the_snakemake_report(name: str) -> None:
    caption = plugins.load("figures", name).CAPTION
    path = Path(__file__).parents[2] / "workflow" / "report" / f"{name}.rst"
    assert " ".join(path.read_text(encoding="utf-8").split()) == caption


@pytest.mark.parametrize("name", FIGURES)
def test_a_caption_that_stands_alone_explains_its_abbreviations(name: str) -> None:
    caption = plugins.load("figures", name).CAPTION
    for short, words in ABBREVIATIONS.items():
        if short in caption:
            before = caption[: caption.index(short) + len(words) + len(short) + 2]
            assert words.casefold() in before.casefold(), short


@pytest.mark.parametrize("name", ["roc_curves", "auc_against_runtime", "fusion_comparison"])
def test_chance_and_controls_are_drawn(name: str) -> None:
    words = [text.get_text() for text in texts(drawn("make_study", name))]
    assert "chance" in words
    assert {"random_projection (control)", "majority_class (control)"} <= set(words)
    assert "resnet18 (whole image)" in words


def test_an_empty_study_gives_a_reason_instead_of_a_plot() -> None:
    for name in FIGURES:
        words = " ".join(text.get_text() for text in texts(drawn("without_results", name)))
        if name != "dataset_overview":
            assert "No" in words


def test_an_undefined_auc_is_named_as_such() -> None:
    words = " ".join(text.get_text() for text in texts(drawn("holed", "fusion_comparison")))
    assert "not defined" in words
    assert "no interval" in words


def test_an_encoder_keeps_its_colour_in_every_dataset_and_figure() -> None:
    study = make_study(n_datasets=2, n_seeds=2, patches=("coarse", "fine"))
    colors = {
        (row["encoder"], style.mark(study, row).color)
        for row in study.metrics.drop_duplicates(results.METHOD).to_dict("records")
        if results.kind(study, row["patches"], row["encoder"], row["classifier"]) == "patch"
    }
    assert len(colors) == len({encoder for encoder, _ in colors}) == 3
    assert style.CNN_COLOR not in {color for _, color in colors}


def test_every_kind_of_file_has_the_same_bytes_when_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, some = tiny(), ["dataset_overview", "fusion_comparison"]
    monkeypatch.setattr(draw, "open_study", lambda folder: study)
    monkeypatch.setattr(plugins, "available", lambda package: some)
    for folder in ("first", "second"):
        work = draw.run(Namespace(study=tmp_path, out=tmp_path / folder, threads=1))
    assert work.n_items == len(some)
    for name in some:
        for suffix in ("svg", "pdf", "png", "csv"):
            first, second = (
                tmp_path / f / "scenes" / f"{name}.{suffix}" for f in ("first", "second")
            )
            assert first.read_bytes() == second.read_bytes(), first.name


def test_csv_behind_a_figure_holds_what_is_drawn() -> None:
    frame = plugins.load("figures", "fusion_comparison").data(make_study(), "scenes")
    assert set(frame["fusion"]) == {*plugins_of(make_study()), "none"}
    assert {"value", "low", "high", "n_images", "n_seeds"} <= set(frame.columns)


def plugins_of(study: Study) -> set[str]:
    return set(study.metrics.loc[study.metrics["patches"] != "whole-image", "fusion"]) - {"none"}


def test_names_of_a_hundred_classes_leave_room_for_each_other() -> None:
    study = make_study(n_encoders=1, n_fusions=1, n_classes=102, classifiers=("logistic",))
    with style.look():
        figure = plugins.load("figures", "confusion_matrix").draw(study, "scenes")
        figure.draw_without_rendering()
        ticks = [label for label in figure.axes[0].get_yticklabels() if label.get_text()]
        boxes = [label.get_window_extent().extents for label in ticks]
    assert 10 < len(boxes) < 102
    for above, below in pairwise(boxes):
        assert above[1] >= below[3]


def test_a_class_without_test_images_has_no_share_of_decisions() -> None:
    study = make_study(n_encoders=1, n_fusions=1, classifiers=("logistic",))
    held = study.predictions[study.predictions["label"] != 0]
    frame = plugins.load("figures", "confusion_matrix").data(
        replace(study, predictions=held), "scenes"
    )
    absent = frame["true_class"] == study.datasets["scenes"]["classes"][0]
    assert frame.loc[absent, "share"].isna().all() and frame.loc[~absent, "share"].notna().all()
