"""Studies with holes: every figure is drawn, and the report says what is missing and why."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from patchbench import plugins, tables
from patchbench.figures import _style as style
from patchbench.report import finding
from patchbench.report.page import render, result_rows
from patchbench.study import Study
from unit._synthetic_study import make_study

EMPTY = {
    name: tables.empty(name)
    for name in (
        "metrics",
        "fusion_tests",
        "reliability",
        "learned",
        "costs",
        "sweep",
        "background",
    )
} | {name: tables.empty(f"all_{name}") for name in ("predictions", "roc", "history")}
DRAWN = {
    "metrics": ("background_votes", "loss_curves", "parts_interaction", "reliability"),
    "predictions": ("confusion_matrix", "error_consistency"),
    "roc": ("roc_curves",),
    "costs": ("auc_against_runtime",),
    "sweep": ("detector_sweep",),
    "background": ("background_votes",),
}


@cache
def whole() -> Study:
    """Every stage was run."""
    return make_study(
        n_encoders=2, n_fusions=2, detectors=("random",), experiments=("interaction",)
    )


@cache
def of_one() -> Study:
    """One encoder, one seed, one rule, two classes, no network and no control."""
    return make_study(
        n_encoders=1, n_fusions=1, n_classes=2, controls=False, cnns=(), classifiers=("logistic",)
    )


def of_three_test_images() -> Study:
    study = make_study(n_encoders=1, n_fusions=1)
    rows = study.predictions
    kept = (rows["label"] != 0) | rows["image_id"].isin(["image-000", "image-006", "image-012"])
    return replace(study, predictions=rows[kept])


def without_anything() -> Study:
    empty = EMPTY | {"embedding_map": tables.empty("all_embedding_map")}
    return replace(of_one(), **empty, thumbnails={}, patch_thumbnails={}, extraction={}, methods={})


def words(page: str) -> str:
    """What a reader sees of a page."""
    text = re.sub(r"<(script|style|template).*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"<[^>]+>", " ", text)


def draws(study: Study, name: str) -> None:
    with style.look():
        figure = plugins.load("figures", name).draw(study, "scenes")
        figure.draw_without_rendering()


@pytest.mark.parametrize("table", list(DRAWN))
def test_figures_of_a_study_without_a_table_are_drawn_and_the_page_is_made(
    table: str, tmp_path: Path
) -> None:
    study = replace(whole(), **{table: EMPTY[table]})
    for name in DRAWN[table]:
        draws(study, name)
    page = words(render(replace(of_one(), **{table: EMPTY[table]}), tmp_path))
    assert not re.search(r"\b(nan|NaN|None|inf)\b", page)


@pytest.mark.parametrize("make", [of_one, of_three_test_images, without_anything])
def test_the_page_of_a_small_or_empty_study_is_made_without_nan(
    make: Callable[[], Study], tmp_path: Path
) -> None:
    text = words(render(make(), tmp_path))
    assert not re.search(r"\b(nan|NaN|None|inf)\b", text)
    assert "What is missing, and why" in text


def test_a_study_of_one_method_says_that_network_and_controls_are_missing() -> None:
    study = of_one()
    text = " ".join(finding.findings(study)[0].sentences)
    assert "No whole-image network was run" in text and "no control was run" in text
    assert "scenes: no whole-image network was run" in finding.gaps(study)
    reason = "benchmark.detectors of the config is empty"
    assert f"no noisy-patch detector was run: {reason}" in finding.gaps(study)


def test_the_smallest_class_is_told_and_few_images_are_named() -> None:
    study = of_three_test_images()
    counts = study.datasets["scenes"]["n_images"]
    counts["test"] |= {"daisy": 3}
    told = [gap for gap in finding.gaps(study) if "3 test images" in gap]
    assert told and "daisy" in told[0]


def test_an_encoder_without_metrics_still_has_a_colour_of_its_own() -> None:
    study = replace(whole(), metrics=EMPTY["metrics"])
    method = {"patches": "coarse", "classifier": "logistic"}
    marks = {name: style.mark(study, method | {"encoder": name}) for name in ("bagnet17", "sift")}
    assert marks["bagnet17"].color != marks["sift"].color


def test_undefined_values_are_blank_in_the_table_never_zero() -> None:
    study = whole()
    holed = replace(study, metrics=study.metrics.assign(value=np.nan, low=np.nan, high=np.nan))
    heads, rows = result_rows(holed)
    at = [head["key"] for head in heads].index("image_auc")
    assert {row["cells"][at]["text"] for row in rows} == {""}
    assert any("is not defined" in gap for gap in finding.gaps(holed))
