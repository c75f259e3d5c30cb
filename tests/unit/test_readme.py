"""The README's tables of results: one fusion per method, chosen where test is not looked at."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd

from patchbench import results_table as results
from patchbench.evaluation import preferred_fusion
from patchbench.readme import map_table, result_table, summary, sweep_table
from patchbench.study import Study
from unit._synthetic_study import make_study


def with_val(study: Study) -> Study:
    """Predictions on val in which every fusion is as good as its place in the alphabet."""
    val = study.predictions.assign(split="val")
    fusions = sorted(set(val["fusion"]))
    mixed = [
        (np.array(p) + 0.3 * fusions.index(f) / (1 + i % 3)).tolist()
        for i, (p, f) in enumerate(zip(val["probabilities"], val["fusion"], strict=True))
    ]
    sharpened = [np.array(p) ** (1 + i % 5) for i, p in enumerate(mixed)]
    val["probabilities"] = [(p / p.sum()).tolist() for p in sharpened]
    return replace(study, predictions=pd.concat([study.predictions, val], ignore_index=True))


def test_the_fusion_of_a_method_is_the_best_on_val_whatever_test_says() -> None:
    study = with_val(make_study())
    dataset = next(iter(study.datasets))
    frame = results.scores(study, dataset, "image")
    chosen = results.with_fusion_chosen_on_val(study, dataset, frame)
    assert not chosen.duplicated(results.METHOD).any()
    on_val = {
        (row["encoder"], row["classifier"], row["fusion"]): results.val_auc(study, dataset, row)
        for row in frame.to_dict("records")
    }
    for row in chosen.to_dict("records"):
        same = [v for k, v in on_val.items() if k[:2] == (row["encoder"], row["classifier"])]
        value = on_val[row["encoder"], row["classifier"], row["fusion"]]
        assert value == max(same)
    shuffled = study.metrics.assign(value=study.metrics["value"].to_numpy()[::-1])
    other = replace(study, metrics=shuffled)
    again = results.with_fusion_chosen_on_val(
        other, dataset, results.scores(other, dataset, "image")
    )
    key = [*results.METHOD, "fusion"]
    assert set(map(tuple, again[key].to_numpy())) == set(map(tuple, chosen[key].to_numpy()))


def test_a_control_stands_once_whatever_the_patches() -> None:
    study = make_study(patches=("coarse", "fine"))
    run = {"date": "2000-01-01", "versions": {}, "host": {}}
    methods = [row["method"] for row in summary(replace(study, run=study.run | run))["rows"]]
    controls = [name for name in methods if "control" in name]
    assert controls and len(set(controls)) == len(controls) < len(methods)


def test_a_summary_survives_json_and_makes_a_table_with_a_row_per_method() -> None:
    study = make_study()
    run = {"date": "2000-01-01", "versions": {}}
    host = {"cpu": "x", "cores": 2, "memory_gib": 1.0}
    study = replace(study, run=study.run | run | {"host": host})
    told = json.loads(json.dumps(summary(study)))
    lines = result_table(told).splitlines()
    assert sum(line.startswith("| ") for line in lines) == len(told["rows"]) + len(study.datasets)


def test_without_val_the_fusion_is_one_fixed_beforehand() -> None:
    study = make_study()
    dataset = next(iter(study.datasets))
    frame = results.scores(study, dataset, "image")
    chosen = results.with_fusion_chosen_on_val(study, dataset, frame)
    assert set(chosen["fusion"]) == {preferred_fusion(frame["fusion"]), "none"}


def test_the_sweep_is_told_by_detector_without_columns_that_nobody_fills() -> None:
    study = make_study(n_encoders=1, detectors=["random", "gradcam", "small_loss"])
    told = summary(study)
    head, _, *rows = sweep_table(told).splitlines()
    assert head.startswith("| `scenes`, bagnet17, center_gaussian (0.") and "background" in head
    assert {row.split(" | ")[0].strip("| ") for row in rows} == {
        "random (control)",
        "gradcam",
        "small_loss",
    }
    for row in told["sweeps"][0]["rows"]:
        row["background_auc"] = [float("nan")] * 3
    assert "background" not in sweep_table(told)


def test_maps_are_told_by_network_and_explanation() -> None:
    values = {"deletion_auc": 0.2, "insertion_auc": 0.7, "zero_maps": 0.25}
    rows = pd.DataFrame(
        [
            {"measure": name, "value": value, "low": value - 0.1, "high": value + 0.1}
            for name, value in values.items()
        ]
    )
    run = {"dataset": "scenes", "patches": "whole-image", "encoder": "net", "seed": 0}
    rows = rows.assign(**run, explain="gradcam", target="predicted", n_images=40)
    told = summary(replace(make_study(n_encoders=1), faithfulness=rows))
    assert map_table(told).splitlines() == [
        "| `scenes`, 40 test images | deletion (lower is better) | insertion (higher is better) |",
        "|---|---|---|",
        "| net, gradcam (25 % of maps are zero) | 0.20 [0.10, 0.30] | 0.70 [0.60, 0.80] |",
    ]
