"""AUC against patch size, and maps of embeddings: what these two figures promise."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from patchbench import plugins
from patchbench.figures import _style as style
from patchbench.figures._labels import spread_out
from patchbench.stages import draw
from patchbench.study import Study
from unit._drawn import drawn, texts
from unit._synthetic_study import make_study

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
    wanted = np.array([0.0, 0.01, 0.02, 0.5, 0.99, 1.0])
    places = spread_out(wanted, 0.1, 0.0, 1.0)
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
