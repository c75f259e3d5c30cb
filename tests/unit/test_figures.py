"""Figures draw any study, overlap nothing, and state what they show."""

from argparse import Namespace
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from patchbench import plugins, runtimes, tables
from patchbench import results_table as results
from patchbench.figures import _style as style
from patchbench.stages import draw
from patchbench.study import Study
from unit._synthetic_study import make_study

FIGURES = plugins.available("figures")
LONG = "an-encoder-with-a-name-that-is-far-too-long-for-any-axis"


def tiny() -> Study:
    return make_study(
        n_encoders=1, n_fusions=1, n_classes=2, controls=False, cnns=(), classifiers=("logistic",)
    )


def crowded() -> Study:
    return make_study(
        encoders=("bagnet17", "sift", LONG, "bagnet33", "sift-dense", "vlad", "moments"),
        n_seeds=2,
        n_fusions=3,
        n_classes=23,
        classifiers=("logistic", "svm", "majority_class"),
        cnns=("resnet18", "vgg16_bn"),
    )


def sized() -> Study:
    """Several patch sizes, one of them with two strides, and two classifiers."""
    return make_study(
        n_encoders=4,
        n_classes=10,
        patches=("fine", "coarse", "wide", "dense"),
        classifiers=("logistic", "majority_class"),
    )


def holed() -> Study:
    """No interval, no AUC for one encoder, no costs for another, nothing trained."""
    study = make_study(n_encoders=2, cnns=())
    metrics = study.metrics.assign(low=np.nan, high=np.nan)
    metrics.loc[metrics["encoder"] == "sift", "value"] = np.nan
    costs = study.costs[study.costs["encoder"] != "bagnet17"]
    return replace(
        study,
        metrics=metrics,
        costs=costs,
        history=tables.empty("all_history"),
        thumbnails={},
        patch_thumbnails={},
        extraction={},
    )


def without_results() -> Study:
    empty = {name: tables.empty(name) for name in ("metrics", "costs")}
    empty |= {name: tables.empty(f"all_{name}") for name in ("roc", "history", "embedding_map")}
    return replace(make_study(n_encoders=1), **empty)


STUDIES = {f.__name__: cache(f) for f in (make_study, tiny, crowded, sized, holed, without_results)}


@cache
def drawn(kind: str, name: str) -> Figure:
    with style.look():
        figure: Figure = plugins.load("figures", name).draw(STUDIES[kind](), "scenes")
        figure.draw_without_rendering()
    return figure


def texts(figure: Figure) -> list[Text]:
    """Texts that are drawn; ticks outside the view exist but are not."""
    hidden = {id(t) for ax in figure.axes if not ax.axison for t in ax.findobj(Text)}
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not low <= tick.get_loc() <= high:
                    hidden |= {id(tick.label1), id(tick.label2)}
    found = [text for text in figure.findobj(Text) if id(text) not in hidden]
    return [text for text in found if text.get_visible() and text.get_text().strip()]


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("kind", STUDIES)
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
        work = draw.run(Namespace(study=tmp_path, out=tmp_path / folder))
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


# -------------------------------------------------------------- auc_against_patch_size


def size_rows(study: Study) -> pd.DataFrame:
    frame: pd.DataFrame = plugins.load("figures", "auc_against_patch_size").data(study, "scenes")
    return frame


def test_every_method_has_one_auc_and_accuracy_per_patch_size_and_level() -> None:
    study = make_study(n_encoders=2, patches=("fine", "coarse", "wide"), n_seeds=2)
    frame = size_rows(study)
    patch = frame[frame["patches"] != "whole-image"]
    names = {"bagnet17", "sift", "random_projection", "majority_class"}
    assert set(patch["line"]) == names  # sizes differ, so no stride needs telling
    assert set(patch["fusion"]) == {"mean_probability", "none"}
    for _, line in patch.groupby(["metric", "level", "line"]):
        assert sorted(line["patch_size_px"]) == [16, 24, 48]
        assert set(line["n_seeds"]) == {2}
    cnn = frame[frame["patches"] == "whole-image"]
    assert list(cnn["metric"]) == ["auc_macro", "accuracy"]
    assert set(cnn["level"]) == {"image"}
    assert cnn["patch_size_px"].isna().all()


def test_image_accuracy_against_patch_size_is_the_one_of_the_metrics() -> None:
    study = make_study(n_encoders=2, patches=("fine", "wide"), n_seeds=2)
    frame = size_rows(study)
    drawn_rows = frame[(frame["metric"] == "accuracy") & (frame["level"] == "image")]
    keys = ["patches", "encoder", "classifier", "fusion"]
    rows = study.metrics[study.metrics["level"] == "image"]
    means = rows[rows["metric"] == "accuracy"].groupby(keys)["value"].mean()
    for row in drawn_rows.to_dict("records"):
        assert row["value"] == pytest.approx(means[tuple(row[key] for key in keys)])
    methods = {metric: set(map(tuple, own[[*keys, "level"]].to_numpy()))
               for metric, own in frame.groupby("metric")}  # fmt: skip
    assert methods["accuracy"] == methods["auc_macro"]


def test_auc_and_accuracy_have_panels_of_the_same_names_and_chance_is_only_of_auc() -> None:
    panels = drawn("sized", "auc_against_patch_size").axes
    assert [ax.get_ylabel() for ax in panels] == ["AUC-ROC", "", "Accuracy", ""]
    names = [{text.get_text() for text in ax.texts} for ax in panels]
    assert names[0] == names[2] | {"chance"}
    assert names[1] == names[3] | {"chance"}
    assert "chance" not in names[2] | names[3]


@pytest.mark.parametrize(
    ("patches", "lines"),
    [
        (("coarse", "wide", "dense"), {"sift · 50 % overlap", "sift · 83 % overlap"}),
        (("fine", "dense", "wide"), {"sift · stride 8 px", "sift · stride 24 px"}),
    ],
)
def test_entries_of_one_size_are_told_apart_by_overlap_or_stride(
    patches: tuple[str, ...], lines: set[str]
) -> None:
    frame = size_rows(make_study(encoders=("sift",), patches=patches, controls=False, cnns=()))
    found = set(frame.loc[frame["encoder"] == "sift", "line"])
    assert lines <= found


def test_one_patch_size_is_said_to_draw_no_line() -> None:
    words = [t.get_text() for t in texts(drawn("make_study", "auc_against_patch_size"))]
    assert any("one patch size, 24 px" in text for text in words)
    assert {"chance", "random_projection", "majority_class", "resnet18 (whole image)"} <= set(words)
    several = [t.get_text() for t in texts(drawn("sized", "auc_against_patch_size"))]
    assert not any("one patch size" in text for text in several)


def test_names_beside_a_panel_keep_their_order_and_distance() -> None:
    module = plugins.load("figures", "auc_against_patch_size")
    wanted = np.array([0.0, 0.01, 0.02, 0.5, 0.99, 1.0])
    places = module.spread_out(wanted, 0.1, 0.0, 1.0)
    assert (np.diff(places) >= 0.1 - 1e-9).all()
    assert places.min() >= 0
    assert places.max() <= 1 + 1e-9
    assert places[3] == 0.5


# ----------------------------------------------------------------------- embedding_map


def test_the_best_six_encoders_are_mapped_and_the_others_named() -> None:
    figure = drawn("crowded", "embedding_map")
    words = [text.get_text() for text in texts(figure)]
    aucs = [float(w.rpartition(" ")[2]) for w in words if "   image AUC 0" in w]
    assert len(aucs) == 6
    assert aucs == sorted(aucs, reverse=True)
    assert "random_projection" in " ".join(words).split("Not drawn")[1]


def test_pictures_on_a_map_overlap_neither_each_other_nor_the_frame() -> None:
    for ax in drawn("make_study", "embedding_map").axes:
        boxes = np.array([image.get_window_extent().extents for image in ax.images])
        assert len(boxes) > 5
        assert (boxes[:, :2] >= np.array(ax.bbox.min) - 0.01).all()
        assert (boxes[:, 2:] <= np.array(ax.bbox.max) + 0.01).all()
        shared = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
        shared = shared - np.maximum(boxes[:, None, :2], boxes[None, :, :2])
        assert not np.triu((shared > 0).all(axis=2), k=1).any()


def test_a_map_of_equal_embeddings_draws_and_says_so() -> None:
    study = make_study(n_encoders=1)
    study = replace(study, embedding_map=study.embedding_map.assign(x=0.0, y=0.0))
    with style.look():
        figure = plugins.load("figures", "embedding_map").draw(study, "scenes")
        figure.draw_without_rendering()
    assert "all embeddings are alike" in {text.get_text() for text in texts(figure)}


def test_a_picture_of_many_patches_stays_small(tmp_path: Path) -> None:
    study = make_study(n_encoders=5)
    noise = np.random.default_rng(0).integers(0, 255, (len(study.embedding_map) // 6, 32, 32, 3))
    study = replace(study, patch_thumbnails={"scenes/coarse": noise.astype(np.uint8)})
    with style.look():
        draw.save(plugins.load("figures", "embedding_map").draw(study, "scenes"), tmp_path / "map")
    assert (tmp_path / "map.svg").stat().st_size < 1_500_000


# ------------------------------------------------------------------------------ results_table


def test_runtime_adds_stages_and_shards_and_divides_by_images() -> None:
    study = make_study(n_encoders=1, controls=False)
    costs = study.costs.copy()
    costs["work_s"] = costs["stage"].map(
        {"fit_encoder": 10.0, "fit_classifier": 2.0, "encode": 6.0, "classify": 1.2, "fuse": 0.24}
        | {"cnn": 30.0, "cnn_predict": 0.6}
    )
    times = runtimes.runtime(replace(study, costs=costs)).set_index(["encoder", "classifier"])
    patch, cnn = times.loc[("bagnet17", "logistic")], times.loc[("resnet18", "own_head")]
    assert patch["train_s"] == 12.0
    # two shards of 600 images each, and 2,400 decisions
    assert patch["inference_ms_per_image"] == pytest.approx(1000 * (12 + 2.4) / 1200 + 0.1)
    assert (cnn["train_s"], cnn["inference_ms_per_image"]) == (30.0, 2.0)


def test_a_missing_stage_leaves_the_runtime_blank_never_zero() -> None:
    study = make_study(n_encoders=1)
    times = runtimes.runtime(replace(study, costs=study.costs[study.costs["stage"] != "encode"]))
    patch = times[times["patches"] != "whole-image"]
    assert patch["inference_ms_per_image"].isna().all()
    assert patch["train_s"].notna().all()


def test_wide_has_one_row_per_run_and_fusion() -> None:
    study = make_study(n_datasets=2, n_seeds=2)
    frame = results.wide(study)
    image = study.metrics[study.metrics["level"] == "image"]
    assert len(frame) == (image["metric"] == "auc_macro").sum()
    keys = ["dataset", *results.METHOD, "fusion", "seed"]
    assert not frame.duplicated(keys).any()
    assert frame["log_loss"].notna().all()


def test_fusion_is_fixed_beforehand_not_picked_by_score() -> None:
    frame = results.with_one_fusion(results.scores(make_study(), "scenes", "image"))
    assert set(frame["fusion"]) == {"mean_probability", "none"}
    assert results.preferred_fusion(["vote", "max"]) == "max"


def test_scores_average_seeds_and_count_those_with_a_value() -> None:
    study = make_study(n_encoders=1, n_seeds=3)
    metrics = study.metrics.copy()
    metrics.loc[(metrics["seed"] == 2) & (metrics["encoder"] == "bagnet17"), "value"] = np.nan
    frame = results.scores(replace(study, metrics=metrics), "scenes", "image")
    row = frame[(frame["encoder"] == "bagnet17") & (frame["classifier"] == "logistic")].iloc[0]
    kept = metrics[
        (metrics["encoder"] == "bagnet17")
        & (metrics["classifier"] == "logistic")
        & (metrics["fusion"] == row["fusion"])
        & (metrics["metric"] == "auc_macro")
    ]
    assert row["n_seeds"] == 2
    assert row["value"] == pytest.approx(kept["value"].mean())


def test_label_names_only_what_varies() -> None:
    method = {"patches": "coarse", "encoder": "sift", "classifier": "logistic", "detector": "none"}
    assert results.label(make_study(), method) == "sift"
    several = make_study(classifiers=("logistic", "svm"), patches=("coarse", "fine"))
    assert results.label(several, method) == "sift · logistic · coarse"


def test_at_most_keeps_every_encoder() -> None:
    frame = pd.DataFrame({"encoder": list("aaabbc"), "kind": ["patch"] * 5 + ["control"]})
    assert list(results.at_most(frame, 4)["encoder"]) == ["a", "a", "b", "c"]
