"""Two studies are compared method by method: what changed is found, and nothing else."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from patchbench import io
from patchbench.__main__ import main
from patchbench.auc import macro_auc
from patchbench.comparison import CHANGED, IDENTICAL, OTHER, OVERLAP, SAME, UNTOLD, compare
from patchbench.comparison_costs import changed_costs, changed_text
from patchbench.comparison_text import summary, text
from patchbench.errors import UserError
from patchbench.evaluation import BOOTSTRAP_SEED
from patchbench.io import write_json, write_table
from patchbench.metrics import draw_weights
from patchbench.paired import difference, holm
from patchbench.sides import METHOD, open_sides
from patchbench.study import Study
from unit._synthetic_study import make_study

Change = Callable[[pd.DataFrame], pd.DataFrame]
TABLES = {"predictions": "all_predictions", "metrics": "metrics", "costs": "costs"}


@pytest.fixture(scope="module")
def study() -> Study:
    found = make_study(
        n_encoders=2, n_classes=3, n_fusions=2, classifiers=("logistic",), controls=False
    )
    rows = found.predictions[found.predictions["fusion"].isin(["center_weighted", "none"])]
    return replace(found, predictions=rows)


def left(study: Study, folder: Path, **run: Any) -> Path:
    """The folder that a study leaves, as far as it is compared."""
    for name, table in TABLES.items():
        write_table(folder / f"{name}.parquet", getattr(study, name), table)
    about = study.run | {"datasets": study.datasets, "extraction": study.extraction}
    write_json(folder / "run.json", about | run)
    return folder


def changed(study: Study, change: Change) -> Study:
    return replace(study, predictions=change(study.predictions.copy()))


def scrambled(rows: pd.DataFrame) -> pd.DataFrame:
    """The first encoder with logistic: its probabilities given to other images."""
    mine = (rows["encoder"] == "bagnet17") & (rows["classifier"] == "logistic")
    mixed = np.random.default_rng(0).permutation(np.flatnonzero(mine))
    found = rows["probabilities"].to_numpy(copy=True)
    found[np.flatnonzero(mine)] = rows["probabilities"].to_numpy()[mixed]
    return rows.assign(probabilities=found)


def both(tmp_path: Path, study: Study, other: Study) -> pd.DataFrame:
    return compare(*open_sides(left(study, tmp_path / "a"), left(other, tmp_path / "b")))


def test_the_same_study_decides_identically(tmp_path: Path, study: Study) -> None:
    found = both(tmp_path, study, study)
    assert len(found) == 3 and (found["verdict"] == IDENTICAL).all()
    assert summary(found).startswith("Nothing changed: 3 methods")
    assert (found["train_s_ratio"] == 1).all() and (found["peak_rss_mib_ratio"] == 1).all()


def test_the_one_method_that_changed_is_found_and_no_other(tmp_path: Path, study: Study) -> None:
    found = both(tmp_path, study, changed(study, scrambled))
    first = found.iloc[0]
    assert (first["verdict"], first["encoder"], first["classifier"]) == (
        CHANGED,
        "bagnet17",
        "logistic",
    )
    assert (found["verdict"][1:] == IDENTICAL).all()
    assert summary(found).startswith("Of 3 methods 1 changed beyond noise (Holm, 5 %): bagnet17")
    assert first["difference"] < -0.3 and first["n_changed"] > 10


def test_a_change_that_is_the_same_in_every_draw_is_no_noise(tmp_path: Path, study: Study) -> None:
    def right(rows: pd.DataFrame) -> pd.DataFrame:
        n = len(rows["probabilities"].iloc[0])
        return rows.assign(probabilities=[np.eye(n)[label].tolist() for label in rows["label"]])

    def flat(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(probabilities=[np.full(len(p), 1 / len(p)).tolist() for p in
                                          rows["probabilities"]])  # fmt: skip

    found = both(tmp_path, changed(study, right), changed(study, flat))
    assert set(found["verdict"]) == {UNTOLD} and found["p"].isna().all()
    assert set(found["difference"]) == {-0.5}
    said = "3 changed, but draws of images do not tell how surely"
    assert said in summary(found) and "within noise" not in summary(found)


def test_differences_are_those_of_one_bootstrap_and_adjusted_over_what_changed(
    tmp_path: Path, study: Study
) -> None:
    rng = np.random.default_rng(3)

    def shaken(rows: pd.DataFrame) -> pd.DataFrame:
        noisy = [np.array(p) + rng.uniform(0, 0.02, len(p)) for p in rows["probabilities"]]
        mine = rows["encoder"] != "resnet18"
        found = [(n / n.sum()).tolist() for n in noisy]
        return rows.assign(probabilities=np.where(mine, pd.Series(found), rows["probabilities"]))

    other = changed(study, shaken)
    found = both(tmp_path, study, other)
    asked = found[found["verdict"] != IDENTICAL]
    assert len(asked) == 2 and set(asked["verdict"]) <= {SAME, CHANGED}
    np.testing.assert_allclose(asked["p_holm"], holm(asked["p"].to_numpy()))
    weights = draw_weights(60, BOOTSTRAP_SEED)
    for row in asked.to_dict("records"):
        draws = []
        for side in (study, other):
            mine = (side.predictions[METHOD] == [row[name] for name in METHOD]).all(axis=1)
            rows = side.predictions[mine].sort_values("image_id")
            votes = np.stack(rows["probabilities"].to_list())
            draws.append(macro_auc(rows["label"].to_numpy(), votes, weights))
        expected = difference(draws[1], draws[0])
        ends = [row[name] for name in ("difference", "low", "high")]
        np.testing.assert_allclose(ends, [expected.value, expected.low, expected.high], atol=1e-12)


def test_images_of_a_group_are_drawn_together_where_either_side_names_groups(
    tmp_path: Path, study: Study
) -> None:
    a, b = left(study, tmp_path / "a"), left(changed(study, scrambled), tmp_path / "b")
    names = [f"image-{i:03d}" for i in range(60)]
    scenes = np.arange(60) // 3 % 8
    images = {"image_id": names, "group": [f"scene {i}" for i in scenes], "dataset": "scenes"}
    images |= {"class_name": "", "label": 0, "split": "test"}
    shape = dict.fromkeys(("source_height_px", "source_width_px"), 1)
    write_table(b / "images.parquet", pd.DataFrame(images | shape), "all_images")
    row = compare(*open_sides(a, b)).iloc[0]
    draws = []
    for side in (study, changed(study, scrambled)):
        rows = side.predictions[(side.predictions[METHOD] == list(row[METHOD])).all(axis=1)]
        votes = np.stack(rows["probabilities"].to_list())
        weights = draw_weights(8, BOOTSTRAP_SEED)[:, scenes]
        draws.append(macro_auc(rows["label"].to_numpy(), votes, weights))
    expected = difference(draws[1], draws[0])
    ends = [expected.value, expected.low, expected.high]
    np.testing.assert_allclose(row[["difference", "low", "high"]].astype(float), ends, atol=1e-12)


def test_the_order_of_images_does_not_matter(tmp_path: Path, study: Study) -> None:
    other = changed(study, scrambled)
    plain = both(tmp_path / "plain", study, other)
    mixed = [changed(s, lambda rows: rows.sample(frac=1, random_state=1)) for s in (study, other)]
    again = both(tmp_path / "mixed", *mixed)
    columns = [*METHOD, "verdict", "auc_a", "low_b", "difference", "low", "p", "p_holm"]
    pd.testing.assert_frame_equal(
        again[columns].sort_values(METHOD, ignore_index=True),
        plain[columns].sort_values(METHOD, ignore_index=True),
    )


def test_costs_that_changed_beyond_the_spread_of_repeats_are_told(
    tmp_path: Path, study: Study
) -> None:
    costs = study.costs.copy()
    sift, one = costs["encoder"] == "sift", costs["shard"] == 1
    pieces = ["item_ms_low", "item_ms_median", "item_ms_high"]
    slower, noisy = costs["stage"] == "encode", costs["stage"] == "classify"
    for rows, factor in ((sift & slower, 4.0), (sift & noisy, 1.4)):  # pieces are 0.8 to 1.3
        costs.loc[rows, [*pieces, "work_s", "warm_up_s"]] *= factor
        costs.loc[rows, "items_per_s"] /= factor
    costs.loc[sift & slower & one, "bytes_written"] *= 2
    costs.loc[~sift & (costs["stage"] == "fit_encoder"), "peak_rss_mib"] *= 1.3
    costs.loc[sift & (costs["stage"] == "fit_encoder"), "peak_rss_mib"] *= 1.05
    unseen = costs[sift].assign(stage="prepare", seed=9)
    other = replace(study, costs=pd.concat([costs, unseen]))
    a, b = open_sides(left(study, tmp_path / "a"), left(other, tmp_path / "b"))
    found = changed_costs(a, b)
    assert found[["stage", "encoder", "measure"]].to_numpy().tolist() == [
        ["encode", "sift", "items_per_s"],
        ["encode", "sift", "mb_written"],
        ["fit_encoder", "bagnet17", "peak_rss_mib"],
    ]
    np.testing.assert_allclose(found["ratio"], [1 / 4, 3 / 2, 1.3])
    assert "| items per s |" in changed_text(found) and "(3)" in changed_text(found)
    assert changed_costs(a, a).empty and not changed_text(changed_costs(a, a))


def test_other_test_images_are_refused_or_compared_without_pairing(
    tmp_path: Path, study: Study
) -> None:
    fewer = changed(study, lambda rows: rows[rows["image_id"] > "image-009"])
    a, b = open_sides(left(study, tmp_path / "a"), left(fewer, tmp_path / "b"))
    with pytest.raises(UserError, match=r"50 are in both, 10 only in A, for example image-000"):
        compare(a, b)
    found = compare(a, b, unpaired=True)
    assert found["p"].isna().all()
    without = found["low_b"].isna()  # all right, and nothing to tell them apart by
    assert (found.loc[without, "auc_b"] == 1).all() and (~without).any()
    assert (found.loc[~without, "verdict"] == OVERLAP).all()
    assert (found.loc[without, "verdict"] == OTHER).all()
    assert "no paired test" in summary(found) and "intervals overlap" in text(a, b, found)
    assert "1.000 [no interval]" in text(a, b, found) and "nan" not in text(a, b, found)


def test_a_method_on_other_images_does_not_spoil_the_others(tmp_path: Path, study: Study) -> None:
    def fewer(rows: pd.DataFrame) -> pd.DataFrame:
        return rows[(rows["encoder"] != "sift") | (rows["image_id"] > "image-009")]

    other = changed(changed(study, scrambled), fewer)
    a, b = open_sides(left(study, tmp_path / "a"), left(other, tmp_path / "b"))
    found, whole = compare(a, b), both(tmp_path / "whole", study, changed(study, scrambled))
    apart, rest = (found[found["encoder"].eq("sift").eq(on)] for on in (True, False))
    assert (apart["verdict"] == OTHER).all()
    assert apart[["difference", "p", "n_changed"]].isna().to_numpy().all()
    reason = "other test images: 50 are in both, 10 only in A, for example image-000"
    assert (apart["reason"] == reason).all()
    columns = [*METHOD, "verdict", "auc_a", "low_b", "difference", "low", "p", "p_holm"]
    expected = whole.loc[whole["encoder"] != "sift", columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest[columns].reset_index(drop=True), expected)
    assert "1 method on other test images cannot be paired" in summary(found)
    assert f"O{reason[1:]} (1 method)" in text(a, b, found)


def test_other_labels_and_classes_are_refused(tmp_path: Path, study: Study) -> None:
    def relabelled(rows: pd.DataFrame) -> pd.DataFrame:
        wrong = rows["image_id"].isin(["image-003", "image-004"])
        return rows.assign(label=rows["label"].where(~wrong, 2))

    sides = open_sides(
        left(study, tmp_path / "a"), left(changed(study, relabelled), tmp_path / "b")
    )
    with pytest.raises(UserError, match=r"2 of 60 test images have another label.*image-003"):
        compare(*sides, unpaired=True)
    about = {"scenes": study.datasets["scenes"] | {"classes": ["a", "b"]}}
    sides = open_sides(tmp_path / "a", left(study, tmp_path / "c", datasets=about))
    with pytest.raises(UserError, match="its classes are daisy"):
        compare(*sides)


def test_methods_and_settings_of_one_side_are_listed(tmp_path: Path, study: Study) -> None:
    fewer = changed(study, lambda rows: rows[rows["encoder"] != "sift"])
    config = study.run["config"] | {"calibration": "temperature"}
    a, b = open_sides(
        left(study, tmp_path / "a"), left(fewer, tmp_path / "b", config=config, commit="1" * 12)
    )
    told = text(a, b, compare(a, b))
    assert "Only in A (1 method):\n\n- sift / logistic: center" in told
    assert "- calibration: (absent) in A, temperature in B" in told
    assert "111111111111" in told and "Only in B" not in told


def test_another_picture_under_the_same_name_is_pointed_at(tmp_path: Path, study: Study) -> None:
    configs = [
        study.run["config"] | {"datasets": {"scenes": {"image_size_px": 96, "seed": seed}}}
        for seed in (0, 1)
    ]
    folders = [left(study, tmp_path / str(i), config=c) for i, c in enumerate(configs)]
    a, b = open_sides(*folders)
    assert "Note: datasets.scenes.seed is 0 in A and 1 in B" in text(a, b, compare(a, b))


def test_nothing_in_common_is_said(tmp_path: Path, study: Study) -> None:
    other = changed(study, lambda rows: rows.assign(dataset="digits"))
    a, b = open_sides(left(study, tmp_path / "a"), left(other, tmp_path / "b"))
    told = text(a, b, compare(a, b))
    assert "no method in common" in told and "(A: scenes; B: digits)" in told


def test_a_study_is_found_in_a_folder_of_results(tmp_path: Path, study: Study) -> None:
    for side in "ab":
        left(study, tmp_path / side / "results/studies/scenes")
    left(study, tmp_path / "b/results/studies/other")
    a, b = open_sides(tmp_path / "a", tmp_path / "b/results")
    assert a.folder.name == b.folder.name == "scenes"
    with pytest.raises(UserError, match="holds the studies other, scenes; give the folder of one"):
        open_sides(tmp_path / "b", tmp_path / "b/results")


def test_what_is_missing_is_said_in_one_sentence(
    tmp_path: Path, study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = left(study, tmp_path / "a")
    (folder / "predictions.parquet").unlink()
    for given, reason in (
        (folder, "has no predictions.parquet; run snakemake again"),
        (tmp_path, "has no run.json"),
        (tmp_path / "nowhere", "there is no folder"),
    ):
        assert main(["compare", str(given), str(given)]) == 2
        told = capsys.readouterr()
        assert reason in told.err and told.err.count("\n") == 1 and not told.out


def test_a_study_of_another_version_is_read_as_far_as_it_goes(tmp_path: Path, study: Study) -> None:
    def without(path: Path, *columns: str) -> None:
        table = pq.read_table(path).replace_schema_metadata(None).drop_columns(list(columns))
        metadata = {"sha256": io._table_hash(table), "provenance": "{}"}
        pq.write_table(table.replace_schema_metadata(metadata), path)

    a, b = left(study, tmp_path / "a"), left(study, tmp_path / "b")
    without(b / "predictions.parquet", "detector")
    without(b / "costs.parquet", "peak_gpu_mib", "peak_rss_mib")
    found = compare(*open_sides(a, b))
    assert (found["verdict"] == IDENTICAL).all() and found["peak_rss_mib_ratio"].isna().all()
    without(b / "predictions.parquet", "probabilities")
    with pytest.raises(UserError, match="lacks the columns probabilities, since another version"):
        open_sides(a, b)


def test_the_command_prints_text_or_json_and_writes_csv(
    tmp_path: Path, study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = left(study, tmp_path / "a"), left(changed(study, scrambled), tmp_path / "b")
    command = ["compare", *map(str, folders), "--csv", str(tmp_path / "new/found.csv")]
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("Of 3 methods 1 changed beyond noise")
    table = pd.read_csv(tmp_path / "new/found.csv")
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["verdict"] for row in told["methods"]] == list(table["verdict"])
    assert told["methods"][0]["peak_gpu_mib_ratio"] is None
