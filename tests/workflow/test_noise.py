"""Detectors, explanations, the sweep and experiments, run by the workflow on few scenes."""

from pathlib import Path

import numpy as np
import pandas as pd
from harness import due

STUDY = "results/studies/tiny"
RUN = "results/scenes/p16s16/seed0/bagnet9/logistic"
CNN = "results/scenes/whole-image/seed0/small"


def table(finished: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(finished / STUDY / f"{name}.parquet")


def test_every_detector_is_swept_as_filter_and_as_weights(finished: Path) -> None:
    sweep = table(finished, "sweep")
    by_detector = sweep[sweep["detector"] != "none"].groupby("detector")
    found = {name: set(map(tuple, rows[["use", "applied"]].values)) for name, rows in by_detector}
    ways = {(use, applied) for use in ("filter", "weight") for applied in ("train", "test", "both")}
    in_train = {way for way in ways if way[1] == "train"}
    assert found.pop("small_loss") == in_train  # it needs labels, and test labels nobody may see
    assert set(found) == {"random", "oracle_mask", "low_variance", "spectral_residual", "gradcam"}
    assert all(way == ways for way in found.values())


def test_the_share_that_was_asked_for_is_removed(finished: Path) -> None:
    sweep = table(finished, "sweep")
    rows = sweep[
        (sweep["use"] == "filter") & (sweep["applied"] == "train") & (sweep["fraction"] > 0)
    ]
    n_train = 43 * 9  # patches of the train images
    floor = rows["n_by_floor"] / n_train
    np.testing.assert_allclose(rows["removed_train"] + floor, rows["fraction"], atol=0.02)


def test_random_removal_is_compared_with_itself_keeping_all_with_nothing(
    finished: Path,
) -> None:
    sweep = table(finished, "sweep")
    random = sweep[sweep["detector"] == "random"]
    assert (random["random_difference"] == 0).all()
    assert sweep.loc[sweep["detector"] == "none", "difference"].isna().all()
    others = sweep[sweep["detector"] != "none"]
    known = others[others["difference_low"].notna()]
    assert known["difference"].between(known["difference_low"], known["difference_high"]).all()
    unknown = others[others["difference_low"].isna()]
    assert (unknown.loc[unknown["difference"] == 0, "p"] == 1).all()  # nothing changed
    assert unknown.loc[unknown["difference"] != 0, "p"].isna().all()
    assert others["p"].between(0, 1).all()


def test_a_network_is_trained_without_each_fold_and_leaves_no_checkpoint(finished: Path) -> None:
    folder = finished / CNN / "folds/1-of-2"
    assert {p.name for p in folder.iterdir()} == {
        "cnn.npz",
        "cnn.log",
        "cnn.cost.json",
        "history.parquet",
        "folds.parquet",
    }
    folds = pd.read_parquet(folder / "folds.parquet")
    images = pd.read_parquet(finished / "results/scenes/images.parquet")
    assert set(folds["fold"][images["split"] == "train"]) == {0, 1}
    assert set(folds["fold"][images["split"] != "train"]) == {-1}


def test_train_images_are_explained_by_a_network_that_never_saw_them(finished: Path) -> None:
    explained = pd.read_parquet(finished / CNN / "maps/gradcam/explained.parquet")
    folds = pd.read_parquet(finished / CNN / "folds/0-of-2/folds.parquet").set_index("image_row")
    train = explained["split"] == "train"
    own = explained[train]
    assert (own["fold"].to_numpy() == folds.loc[own["image_row"], "fold"].to_numpy()).all()
    assert set(explained.loc[train, "fold"]) == {0, 1}
    assert set(explained.loc[~train, "fold"]) == {-1}


def test_the_oracle_is_right_and_chance_is_told(finished: Path) -> None:
    found = table(finished, "detection")
    assert set(found["encoder"]) == {"sift", "bagnet9"}
    found = found[found["measure"] == "background_auc"].set_index("detector")
    assert (found.loc["oracle_mask", "value"] == 1).all()
    random = found.loc["random"]
    assert (random["low"] <= 0.5).all() and (random["high"] >= 0.5).all()


def test_votes_are_split_by_saliency_and_foreground(finished: Path) -> None:
    rows = table(finished, "background")
    patches = pd.read_parquet(finished / "results/scenes/p16s16/index.parquet")
    n_patches = (patches["split"] == "test").sum()
    for by in ("saliency", "foreground"):
        part = rows[(rows["by"] == by) & (rows["measure"] == "log_loss")]
        assert (part.groupby(["encoder", "classifier"])["n_patches"].sum() == n_patches).all(), by
    assert set(rows["classifier"]) == {"logistic", "own_head"}


def test_maps_of_both_networks_are_measured(finished: Path) -> None:
    found = table(finished, "faithfulness")
    assert set(map(tuple, found[["encoder", "explain"]].values)) == {
        ("small", "gradcam"),
        ("small", "evidence"),
        ("bagnet9", "gradcam"),
        ("bagnet9", "evidence"),
    }


def test_browser_holds_votes_evidence_influence_and_maps_of_test_images(finished: Path) -> None:
    arrays = np.load(finished / STUDY / "browser.npz")
    found = {name.removeprefix("scenes/"): arrays[name] for name in arrays.files}
    images = pd.read_parquet(finished / "results/scenes/images.parquet")
    rows = [images.index[images["image_id"] == name][0] for name in found["ids"]]
    assert set(images.loc[rows, "split"]) == {"test"}
    assert images.loc[rows, "label"].tolist() == found["labels"].tolist()
    assert set(found["labels"]) == set(range(6))
    index = pd.read_parquet(finished / "results/scenes/p16s16/index.parquet")
    shards = [np.load(path) for path in sorted((finished / RUN / "patch_logits").glob("*.npy"))]
    logits = np.concatenate(shards)  # as the index has them
    own = [logits[index["image_row"] == row].astype(float) for row in rows]
    votes = np.exp(own) / np.exp(own).sum(axis=2, keepdims=True)
    name = "p16s16/bagnet9/logistic"
    assert (found[f"votes/{name}"] == votes.argmax(axis=2)).all()
    assert np.abs(found[f"evidence/{name}"] / 255 - votes).max() <= 0.51 / 255
    mean, n_patches = votes.mean(axis=1), votes.shape[1]
    without = (votes.sum(axis=1, keepdims=True) - votes) / (n_patches - 1)
    decided = mean.argmax(axis=1)[:, None, None]
    fall = np.take_along_axis(mean[:, None] - without, decided, axis=2)[..., 0]
    kept = found[f"influence/{name}/mean_probability"]
    assert np.abs(kept / 10_000 - fall).max() <= 0.51 / 10_000
    explained = pd.read_parquet(finished / CNN / "maps/gradcam/explained.parquet")
    places = [explained.index[explained["image_row"] == row][0] for row in rows]
    assert found["mapped/small"].tolist() == explained.loc[places, "predicted"].tolist()
    assert found["maps/small"].max(axis=(1, 2)).tolist() == [255] * len(rows)
    paid = found["attention/p16s16/bagnet9/none/abmil"] / 10_000
    np.testing.assert_allclose(paid.mean(axis=1), 1, atol=1e-3)


def test_overlays_show_test_images_with_their_maps_and_what_is_kept(finished: Path) -> None:
    arrays = np.load(finished / STUDY / "overlays.npz")
    found = {name.removeprefix("scenes/"): arrays[name] for name in arrays.files}
    images = np.load(finished / "results/scenes/images.npy")
    places = [np.flatnonzero((images == image).all(axis=(1, 2, 3))) for image in found["images"]]
    table = pd.read_parquet(finished / "results/scenes/images.parquet").loc[np.concatenate(places)]
    assert (table["split"] == "test").all()
    assert table["label"].tolist() == found["labels"].tolist() == list(range(6))
    maps = np.load(finished / CNN / "maps/gradcam/predicted.npy")
    explained = pd.read_parquet(finished / CNN / "maps/gradcam/explained.parquet")
    rows = [explained.index[explained["image_row"] == row][0] for row in table.index]
    np.testing.assert_array_equal(found["maps/gradcam/small"], maps[rows])
    assert "maps/evidence/bagnet9" in found
    assert "maps/abmil/bagnet9" in found
    by_object = found["kept/oracle_mask"] * found["masks"]
    assert by_object.sum() / found["masks"].sum() > np.nanmean(found["kept/oracle_mask"])


def test_votes_are_weighed_by_what_detectors_say(finished: Path) -> None:
    rows = table(finished, "predictions")
    found = {
        name: np.stack(list(part["probabilities"]))
        for name, part in rows[
            (rows["classifier"] == "logistic") & (rows["split"] == "test")
        ].groupby("fusion")
    }
    for name in ("saliency_weight", "gradcam_weight"):
        assert found[name].shape == found["mean_probability"].shape
        assert not np.allclose(found[name], found["mean_probability"]), name


def test_every_run_is_put_to_the_experiments_that_it_can_be_put_to(finished: Path) -> None:
    found = table(finished, "experiments").groupby(["encoder", "classifier"])["experiment"].unique()
    on_images = {"shuffle", "interaction", "channel_blackout"}
    assert set(found["small", "own_head"]) == on_images
    for classifier in ("logistic", "own_head"):
        assert set(found["bagnet9", classifier]) == on_images | {"spatial_blackout"}


def test_what_is_left_as_it_is_has_the_value_of_the_comparison(finished: Path) -> None:
    """Pixels asked anew and saved votes give the same decisions as the stages before."""
    keys = ["encoder", "classifier", "fusion"]
    metrics = table(finished, "metrics")
    known = metrics[metrics["level"] == "image"].set_index([*keys, "metric"])["value"]
    rows = table(finished, "experiments")
    still = rows["experiment"].eq("shuffle") & rows["amount"].eq(1) & rows["policy"].eq("shuffled")
    still |= rows["experiment"].str.endswith("blackout") & rows["amount"].eq(0)
    still = rows[still]
    assert set(still["experiment"]) == {"shuffle", "spatial_blackout", "channel_blackout"}
    expected = known.loc[list(still[[*keys, "measure"]].itertuples(index=False, name=None))]
    np.testing.assert_allclose(still["value"], expected, atol=2e-3)


def test_parts_of_a_bagnet_with_its_own_head_act_on_their_own(finished: Path) -> None:
    rows = table(finished, "experiments")
    r = rows[rows["measure"] == "pearson_r"].set_index(["encoder", "classifier"])["value"]
    np.testing.assert_allclose(r["bagnet9", "own_head"], 1, atol=1e-3)
    assert (r["small", "own_head"] < 0.9999).all()


def test_an_edited_detector_reruns_what_descends_from_it_only(finished: Path) -> None:
    path = finished / "src/patchbench/detectors/low_variance.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("-grey.std(", "-2 * grey.std("), encoding="utf-8")
    try:
        jobs = due(finished, f"{STUDY}/metrics.parquet")
    finally:
        path.write_text(text, encoding="utf-8")
    # votes are fused again, because some rules weigh them by what detectors say
    assert jobs == {"detect": 2, "sweep": 2, "fuse": 2, "pool": 2, "collect": 1}
