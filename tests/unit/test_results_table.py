"""The tables that figures and the report are made from."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from patchbench import results_table as results
from patchbench import runtimes
from patchbench.evaluation import preferred_fusion
from unit._synthetic_study import make_study


def test_runtime_adds_stages_and_shards_and_divides_by_images() -> None:
    study = make_study(n_encoders=1, controls=False)
    costs = study.costs.copy()
    costs["work_s"] = costs["stage"].map(
        {"fit_encoder": 10.0, "fit_classifier": 2.0, "encode": 6.0, "classify": 1.2, "fuse": 0.24}
        | {"cnn": 30.0, "cnn_predict": 0.6}
    )
    costs["warm_up_s"] = np.nan
    times = runtimes.runtime(replace(study, costs=costs))
    times = times.drop_duplicates(["encoder", "classifier"]).set_index(["encoder", "classifier"])
    patch, cnn = times.loc[("bagnet17", "logistic")], times.loc[("resnet18", "own_head")]
    assert patch["train_s"] == 12.0
    # two shards of 600 images each, and 2,400 decisions
    assert patch["inference_ms_per_image"] == pytest.approx(1000 * (12 + 2.4) / 1200 + 0.1)
    assert (cnn["train_s"], cnn["inference_ms_per_image"]) == (30.0, 2.0)


def test_a_rule_on_embeddings_is_trained_for_as_long_as_its_own_fit_took() -> None:
    study = make_study(n_encoders=1, controls=False)
    jobs = study.costs[study.costs["stage"].isin(["fit_encoder", "encode", "fuse"])]
    jobs = jobs.assign(stage=jobs["stage"].replace("fuse", "pool"), work_s=10.0, warm_up_s=np.nan)
    fits = jobs[jobs["stage"] == "pool"].assign(
        stage="fit_pooling", parts_s='{"abmil": 5.0, "embedding_mean": 0.5}'
    )
    metrics = study.metrics[study.metrics["patches"] != "whole-image"].drop_duplicates("level")
    rules = [
        metrics.assign(classifier="none", fusion=fusion) for fusion in ("abmil", "embedding_mean")
    ]
    pooled = replace(study, costs=pd.concat([jobs, fits]), metrics=pd.concat(rules))
    times = runtimes.runtime(pooled).set_index("fusion")
    assert times["train_s"].to_dict() == {"abmil": 15.0, "embedding_mean": 10.5}
    without = runtimes.runtime(replace(pooled, costs=jobs))
    assert without["train_s"].isna().all()


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
    assert preferred_fusion(["vote", "max"]) == "max"


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


def test_a_seed_without_an_interval_leaves_none_for_the_mean_of_ends() -> None:
    study = make_study(n_seeds=2)
    rows = study.metrics
    blank = (rows["seed"] == 1) & (rows["encoder"] == "sift")
    rows = rows.assign(low=rows["low"].mask(blank), high=rows["high"].mask(blank))
    found = results.scores(replace(study, metrics=rows), "scenes", "patch")
    found = found[found["kind"] == "patch"]
    assert found.loc[found["encoder"] == "sift", ["low", "high"]].isna().all(axis=None)
    assert found.loc[found["encoder"] == "bagnet17", ["low", "high"]].notna().all(axis=None)


def test_label_names_only_what_varies() -> None:
    method = {"patches": "coarse", "encoder": "sift", "classifier": "logistic", "detector": "none"}
    assert results.label(make_study(), method) == "sift"
    several = make_study(classifiers=("logistic", "svm"), patches=("coarse", "fine"))
    assert results.label(several, method) == "sift · logistic · coarse"
    rows = several.metrics
    other = (rows["encoder"] == "sift") & (rows["classifier"] == "svm")
    only_one = replace(several, metrics=rows[~other])
    assert results.label(only_one, method) == "sift · coarse"
    assert results.common_classifier(only_one) == "logistic"
    assert results.common_classifier(several) is None


def test_at_most_keeps_every_encoder() -> None:
    frame = pd.DataFrame({"encoder": list("aaabbc"), "kind": ["patch"] * 5 + ["control"]})
    assert list(results.at_most(frame, 4)["encoder"]) == ["a", "a", "b", "c"]
