"""Temperature makes votes as sure as they are right, and reliability measures that by image."""

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp

from patchbench import tables
from patchbench.bags import Bags, softmax
from patchbench.calibration import (
    SETTINGS,
    WHOLE,
    divided,
    reliability_rows,
    temperature,
)
from patchbench.evaluation import BOOTSTRAP_SEED
from patchbench.io import read_json, read_table, write_array, write_json, write_table
from patchbench.metrics import draw_weights, evaluate
from patchbench.reliability import N_BINS, reliability
from patchbench.stages import fuse

ABOUT = {"dataset": "d", "patches": "p", "encoder": "e", "classifier": "c", "seed": 0}


def honest(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose probabilities are true: labels are drawn by them."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(n, 4))
    drawn = rng.random((n, 1)) < np.cumsum(softmax(logits), axis=1)
    return logits, drawn.argmax(axis=1)


def loss(logits: np.ndarray, labels: np.ndarray) -> float:
    return float((logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]).mean())


def by_chance(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error as a loop over bins."""
    total = 0.0
    for i in range(N_BINS):
        low, high = i / N_BINS, (i + 1) / N_BINS
        inside = [row for row in range(len(labels)) if low < probabilities[row].max() <= high]
        if inside:
            sure = np.mean([probabilities[row].max() for row in inside])
            right = np.mean([probabilities[row].argmax() == labels[row] for row in inside])
            total += len(inside) / len(labels) * abs(sure - right)
    return total


# ---------------------------------------------------------------------------- temperature


@pytest.mark.parametrize("factor", [0.2, 3.0, 12.0])
def test_temperature_finds_by_how_much_logits_were_stretched(factor: float) -> None:
    logits, labels = honest(20_000)
    plain = temperature(logits, labels)
    assert plain == pytest.approx(1.0, abs=0.05)
    assert temperature(factor * logits, labels) == pytest.approx(factor * plain, rel=1e-3)


@pytest.mark.parametrize("row", [[0.0, 0.0, 0.0, 0.0], [3.0, -2.0, 0.5, 0.1]])
def test_temperature_leaves_logits_alone_that_are_the_same_for_every_patch(
    row: list[float],
) -> None:
    labels = np.arange(50) % 4
    offset = np.arange(50)[:, None]  # softmax does not see it
    assert temperature(np.tile(row, (50, 1)), labels) == 1.0
    assert temperature(np.zeros((50, 4)) + offset, labels) == 1.0
    assert temperature(np.empty((0, 4)), np.empty(0, np.int64)) == 1.0


def test_temperature_stays_within_its_limits() -> None:
    labels = np.arange(60) % 4
    known = np.eye(4)[labels]
    assert 0.01 <= temperature(known, labels) < 0.05
    assert 90 < temperature(-known, labels) <= 100
    assert 0.01 <= temperature(np.float32(1e4) * known.astype(np.float32), labels) <= 1


@pytest.mark.parametrize("seed", range(8))
def test_temperature_never_raises_the_loss_it_was_fitted_by(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(40, 3)) * 10 ** rng.uniform(-3, 3)
    labels = rng.integers(3, size=40)
    found = temperature(logits, labels)
    assert loss(logits / found, labels) <= loss(logits, labels)


def test_dividing_keeps_the_order_of_classes_and_the_type() -> None:
    logits = honest(30)[0].astype(np.float32)
    bags = Bags(logits, np.full(10, 3), np.zeros((30, 2)))
    found = divided(bags, 2.5)
    assert found.patch_logits.dtype == np.float32
    np.testing.assert_array_equal(found.patch_logits.argmax(axis=1), logits.argmax(axis=1))
    np.testing.assert_allclose(found.probabilities, softmax(logits / 2.5), rtol=1e-6)


# ---------------------------------------------------------------------------- reliability


def test_calibration_error_is_that_of_a_loop_over_bins_in_every_draw() -> None:
    logits, labels = honest(200)
    probabilities, image_of = softmax(2 * logits), np.repeat(np.arange(50), 4)
    weights = draw_weights(50, seed=0, n_draws=3)
    found = reliability(labels, probabilities, image_of, weights)
    for draw, times in enumerate(weights):
        rows = np.repeat(np.arange(200), times[image_of].astype(int))
        expected = by_chance(probabilities[rows], labels[rows])
        assert found.ece[draw] == pytest.approx(expected, abs=1e-12)


def test_bins_hold_every_prediction_once_and_their_upper_end() -> None:
    sure = np.array([0.5, 8 / 15, 0.54, 1.0, 1.0])
    probabilities = np.stack([sure, 1 - sure], axis=1)
    labels = np.array([0, 0, 1, 0, 1])
    found = reliability(labels, probabilities, np.arange(5), np.ones((1, 5)))
    assert found.n[7] == 2 and found.n[8] == 1 and found.n[14] == 2
    assert found.n.sum() == 5 and found.share.sum() == pytest.approx(1)
    np.testing.assert_allclose(found.accuracy[[7, 8, 14], 0], [1, 0, 0.5])
    assert np.isnan(found.accuracy[0, 0]) and np.isnan(found.confidence[0])
    np.testing.assert_allclose(found.confidence[7], np.mean([0.5, 8 / 15]))


def test_rows_tell_patches_and_images_before_and_after() -> None:
    logits, labels = honest(400)
    bags = Bags(3 * logits, np.ones(400, int), np.zeros((400, 2)))
    frame = reliability_rows(ABOUT, bags, labels, np.arange(400), 3.0)
    tables.to_arrow(frame, "reliability")
    bins = frame[frame["measure"] == "accuracy"]
    assert (bins.groupby(["level", "calibrated"])["bin"].nunique() == N_BINS).all()
    assert set(frame.loc[frame["measure"] != "accuracy", "bin"]) == {WHOLE}
    whole = frame.set_index(["level", "calibrated", "measure"])["value"]
    for level in ("patch", "image"):
        before, after = whole[level, False, "ece"], whole[level, True, "ece"]
        assert after < before / 2
        assert whole[level, True, "ece_change"] == pytest.approx(after - before)
        assert whole[level, True, "log_loss_change"] < 0
    assert set(frame.loc[frame["calibrated"], "temperature"]) == {3.0}
    assert set(frame.loc[~frame["calibrated"], "temperature"]) == {1.0}


# ----------------------------------------------------------------------------- the stage


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Images of one patch each, much too sure, fused with each setting."""
    folder = tmp_path_factory.mktemp("fuse")
    logits, labels = honest(240)
    write_array(folder / "logits.npy", (4 * logits).astype(np.float32), {})
    rows = np.arange(240)
    names = [f"image-{i:03d}" for i in rows]
    place = dict.fromkeys(("row", "col", "y_px", "x_px", "shard"), 0)
    columns = {"image_id": names, "patch_id": [f"{n}/000-000" for n in names], "image_row": rows}
    columns |= {"label": labels, "offset": rows, "height_px": 8, "width_px": 8}
    split = np.where(rows < 120, "val", "test")
    index = pd.DataFrame(columns | place | {"split": split, "foreground": np.nan})
    write_table(folder / "index.parquet", index, "patches", {})
    write_json(folder / "extraction.json", {"image_size_px": 8}, {})
    images = {"image_id": names, "class_name": "a", "label": labels, "split": split}
    shape = dict.fromkeys(("source_height_px", "source_width_px"), 8)
    groups = {"alone": names, "grouped": [f"scene-{i // 12}" for i in rows]}
    for called, group in groups.items():
        frame = pd.DataFrame(images | shape | {"group": group})
        write_table(folder / f"{called}.parquet", frame, "images", {})
    runs = [(setting, setting, "alone") for setting in SETTINGS]
    for name, setting, called in [*runs, ("grouped", SETTINGS[0], "grouped")]:
        given = {"index": folder / "index.parquet", "patch_logits": [folder / "logits.npy"]}
        given |= {"table": folder / f"{called}.parquet", "calibration": setting}
        given |= {"out": folder / name, "about": ABOUT, "code": ""}
        fuse.run(Namespace(fusions={"mean_probability": {}, "mean_logit": {}}, noise=None, **given))
    return {name: folder / name for name in (*SETTINGS, "grouped")}


def test_intervals_are_those_of_groups_where_the_dataset_names_them(
    fused: dict[str, Path],
) -> None:
    decided = read_table(fused["grouped"] / "predictions.parquet", "predictions")
    decided = decided[(decided["split"] == "test") & (decided["fusion"] == "mean_logit")]
    expected = evaluate(
        decided["label"].to_numpy(),
        np.stack(list(decided["probabilities"])),
        np.arange(120),
        BOOTSTRAP_SEED,
        np.arange(120) // 12,
    )
    found = read_table(fused["grouped"] / "metrics.parquet", "metrics")
    own = found[found["fusion"] == "mean_logit"].set_index("metric")[["value", "low", "high"]]
    assert {name: dict(row) for name, row in own.iterrows()} == {
        name: told.numbers for name, told in expected.items()
    }
    alone = read_table(fused[SETTINGS[0]] / "metrics.parquet", "metrics")
    pd.testing.assert_series_equal(found["value"], alone["value"])
    for name in ("metrics", "reliability"):
        one, other = (
            read_table(fused[run] / f"{name}.parquet", name) for run in (SETTINGS[0], "grouped")
        )
        assert not one["low"].equals(other["low"])


def test_calibrated_votes_decide_alike_and_are_less_sure(fused: dict[str, Path]) -> None:
    plain, mended = (read_table(fused[s] / "predictions.parquet", "predictions") for s in SETTINGS)
    np.testing.assert_array_equal(plain["predicted_label"], mended["predicted_label"])
    before, after = (
        read_table(fused[s] / "metrics.parquet", "metrics").set_index(
            ["level", "fusion", "metric"]
        )["value"]
        for s in SETTINGS
    )
    for fusion in ("mean_probability", "mean_logit"):
        assert after["image", fusion, "log_loss"] < before["image", fusion, "log_loss"] - 0.1
    assert after["patch", "none", "log_loss"] < before["patch", "none", "log_loss"] - 0.1


def test_reliability_and_temperature_are_the_same_whatever_the_setting(
    fused: dict[str, Path],
) -> None:
    found = [read_table(fused[s] / "reliability.parquet", "reliability") for s in SETTINGS]
    pd.testing.assert_frame_equal(*found)
    notes = [read_json(fused[s] / "fusions.json") for s in SETTINGS]
    assert notes[0]["temperature"] == notes[1]["temperature"] == pytest.approx(4, rel=0.3)
    assert [note["calibration"] for note in notes] == list(SETTINGS)
    assert json.dumps(notes[0]["chosen"]) == "{" + '"mean_logit": {}, "mean_probability": {}}'
