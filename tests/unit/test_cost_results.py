"""Costs are added up by stage and encoder, shown with their spread, and never made up."""

from argparse import Namespace
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from patchbench import cost_results, io, plan_files, plan_weights, runtimes
from patchbench.comparison import COSTS, compare
from patchbench.cost import Work, measured
from patchbench.cost_rows import cost_rows
from patchbench.errors import UserError
from patchbench.figures import _style as style
from patchbench.figures import costs as figure
from patchbench.io import read_table, write_table
from patchbench.networks.published import Published
from patchbench.report.page import cost_table, render, result_rows
from patchbench.sides import Side
from patchbench.stages import collect, report
from patchbench.study import Study
from unit._drawn import texts
from unit._synthetic_study import make_study


def with_costs(study: Study, **columns: Any) -> Study:
    return replace(study, costs=study.costs.assign(**columns))


def one_method(study: Study) -> "pd.Series[Any]":
    times = runtimes.runtime(study)
    chosen = (times["encoder"] == "bagnet17") & (times["classifier"] == "logistic")
    return times[chosen].iloc[0]


def test_inference_leaves_the_warm_up_out_and_adds_up_the_spread_of_stages() -> None:
    study = make_study(n_encoders=1, controls=False)
    rows = study.costs[(study.costs["encoder"] == "bagnet17")]
    # two shards of 600 images each, 49 patches an image; decisions of one rule
    each = {"encode": 49.0, "classify": 49.0, "fuse": 1.0}
    value = low = high = 0.0
    for stage, per_image in each.items():
        part = rows[(rows["stage"] == stage) & rows["classifier"].isin(["none", "logistic"])]
        value += per_image * 1000 / part["items_per_s"].iloc[0]
        low += per_image * part["item_ms_low"].min()
        high += per_image * part["item_ms_high"].max()
    found = one_method(study)
    ends = ["inference_ms_per_image", "inference_ms_low", "inference_ms_high"]
    assert list(found[ends]) == pytest.approx([value, low, high])
    assert low < value < high


def test_without_repeats_in_one_stage_there_is_no_spread() -> None:
    study = make_study(n_encoders=1)
    once = study.costs["stage"] == "classify"
    low = study.costs["item_ms_low"].where(~once)
    found = one_method(with_costs(study, item_ms_low=low))
    assert np.isnan(found["inference_ms_low"]) and found["inference_ms_per_image"] > 0


def test_the_spread_over_shards_reaches_from_the_lowest_to_the_highest() -> None:
    study = make_study(n_encoders=1)
    second = (study.costs["stage"] == "encode") & (study.costs["shard"] == 1)
    slower = study.costs["item_ms_high"].where(~second, 10 * study.costs["item_ms_high"])
    usual, found = one_method(study), one_method(with_costs(study, item_ms_high=slower))
    assert found["inference_ms_low"] == usual["inference_ms_low"]
    assert found["inference_ms_high"] > 5 * usual["inference_ms_high"]


def test_costs_of_another_version_are_compared_by_their_work() -> None:
    """Such a study lacks what was measured later: blank, as ``compare`` reads it."""
    study = make_study(n_encoders=1, classifiers=("logistic",))
    later = ["warm_up_s", "items_per_s", "item_ms_low", "item_ms_high"]
    old = with_costs(study, **dict.fromkeys(later, np.nan))
    found = one_method(old)
    assert found["inference_ms_per_image"] > one_method(study)["inference_ms_per_image"]
    assert np.isnan(found["inference_ms_low"])
    run = study.run | {"datasets": study.datasets, "extraction": study.extraction}
    sides = [Side(Path(), s.predictions, s.metrics, s.costs, run, s.images) for s in (study, old)]
    compared = compare(*sides)
    assert compared[[f"{cost}_ratio" for cost in COSTS if "gpu" not in cost]].notna().all(axis=None)
    assert not [name for name in compared if name.endswith(("_x", "_y"))]


def test_a_table_without_the_new_columns_asks_to_run_again(tmp_path: Path) -> None:
    write_table(tmp_path / "costs.parquet", make_study(n_encoders=1).costs, "costs")
    table = pq.read_table(tmp_path / "costs.parquet").replace_schema_metadata(None)
    table = table.drop_columns(["bytes_written", "n_repeats"])
    metadata = {"sha256": io._table_hash(table), "provenance": "{}"}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "costs.parquet")
    with pytest.raises(UserError, match="written by another version: delete it and run snakemake"):
        read_table(tmp_path / "costs.parquet", "costs")


def test_stages_come_in_the_order_of_the_pipeline_and_jobs_add_up() -> None:
    study = make_study(n_encoders=2, n_seeds=2)
    frame = cost_results.by_stage(study)
    assert list(frame) == list(cost_results.COLUMNS)
    stages = list(dict.fromkeys(frame["stage"]))
    assert stages == [
        *("fit_encoder", "encode", "fit_classifier", "classify", "fuse"),
        *("cnn", "cnn_predict"),
    ]
    jobs = study.costs[(study.costs["stage"] == "encode") & (study.costs["encoder"] == "sift")]
    row = frame[(frame["stage"] == "encode") & (frame["encoder"] == "sift")].iloc[0]
    assert (row["jobs"], row["cpu_s"]) == (len(jobs), pytest.approx(jobs["cpu_s"].sum()))
    assert row["peak_rss_mib"] == jobs["peak_rss_mib"].max()
    assert row["mb_written"] == pytest.approx(jobs["bytes_written"].sum() / 1e6)
    rates = jobs["items_per_s"]
    assert rates.min() <= row["items_per_s"] <= rates.max()
    assert frame["jobs"].sum() == len(study.costs)


def test_jobs_on_different_things_have_no_common_rate() -> None:
    study = make_study(n_encoders=1)
    fits = study.costs["stage"] == "fit_classifier"
    first = fits & ~study.costs.duplicated("stage")
    mixed = with_costs(study, item=study.costs["item"].mask(first, "head"))
    frame = cost_results.by_stage(mixed).set_index(["stage", "encoder"])
    found = frame.loc[("fit_classifier", "bagnet17")]
    assert np.isnan(found["items_per_s"]) and found["item"] == "head, patch"


def test_machines_are_counted_by_the_stages_run_there() -> None:
    study = make_study(n_encoders=1)
    host = ["small" if i % 3 else "large" for i in range(len(study.costs))]
    gpu = ["a card" if name == "large" else None for name in host]
    found = cost_results.machines(with_costs(study, host=host, gpu=gpu))
    assert [(row["host"], row["gpu"]) for row in found] == [("small", ""), ("large", "a card")]
    assert [row["stages"] for row in found] == [host.count("small"), host.count("large")]


def test_the_report_shows_gpu_memory_only_where_there_is_a_gpu(tmp_path: Path) -> None:
    study = make_study(n_encoders=1)
    gpu = with_costs(study, peak_gpu_mib=100.0, peak_gpu_reserved_mib=200.0, gpu="<b>card</b>")
    names = [[column["name"] for column in cost_table(s)["head"]] for s in (study, gpu)]
    assert "GPU memory held, MiB" not in names[0] and "GPU memory held, MiB" in names[1]
    numbers = {column["name"]: column["number"] for column in cost_table(study)["head"]}
    assert numbers["jobs"] and numbers["written, MB"] and not numbers["stage"]
    page = render(gpu, tmp_path)
    assert "on A processor, 2 cores, 15.6 GiB, &lt;b&gt;card&lt;/b&gt;" in page


def test_the_spread_of_inference_is_a_column_where_there_is_one() -> None:
    study = make_study(n_encoders=1)
    columns, rows = result_rows(study)
    at = [column["key"] for column in columns].index("spread")
    text = rows[0]["cells"][at]["text"]
    assert float(text.split(" to ")[0]) < float(text.split(" to ")[1])
    columns, _ = result_rows(with_costs(study, item_ms_low=np.nan))
    assert "spread" not in [column["key"] for column in columns]


def test_the_report_lists_the_stages_that_ran_after_the_table_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, told = make_study(n_encoders=1), []
    for stage in ("collect", "draw"):
        with measured(tmp_path / f"{stage}.cost.json", stage, {"study": "x"}, 1) as done:
            done.append(Work(3, "run"))
    monkeypatch.setattr(report, "open_study", lambda folder: study)
    monkeypatch.setattr(report, "render", lambda study, figures: told.append(study) or "")
    report.run(Namespace(study=tmp_path, figures=tmp_path, out=tmp_path / "report.html"))
    frame = cost_results.by_stage(told[0])
    assert list(frame["stage"])[-2:] == ["collect", "draw"]
    assert list(frame["dataset"])[-2:] == ["", ""]


def test_the_table_of_all_costs_ends_with_those_of_the_report_itself(tmp_path: Path) -> None:
    write_table(tmp_path / "costs_of_runs.parquet", make_study(n_encoders=1).costs, "costs")
    for stage in ("collect", "draw", "report"):
        with measured(tmp_path / f"{stage}.cost.json", stage, {"study": "x"}, 1):
            pass
    args = Namespace(study=tmp_path, figures=tmp_path, code="", cost=None)
    for cost, last in ((None, "draw"), (tmp_path / "report.cost.json", "report")):
        report.afterwards(Namespace(**vars(args) | {"cost": cost}))
        assert read_table(tmp_path / "costs.parquet", "costs")["stage"].iloc[-1] == last


def test_what_was_fetched_is_listed_where_it_left_its_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = Published("https://example.org/net-0123abcd.pth")
    monkeypatch.setattr(plan_weights, "published", lambda config: {"resources/net.pth": address})
    monkeypatch.setattr(plan_files, "costs", lambda config: [])
    monkeypatch.chdir(tmp_path)
    config = {"benchmark": {"datasets": ["flowers5"]}}
    assert cost_rows(collect.cost_paths(config)).empty  # put there by hand
    for path in plan_weights.fetch_costs(config):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with measured(Path(path), "fetched", {}, 1) as done:
            done.append(Work(1, "file"))
    assert len(cost_rows(collect.cost_paths(config))) == 2


def test_the_figure_holds_every_job_of_an_encoder_most_expensive_first() -> None:
    study = make_study(n_encoders=3)
    frame = figure.data(study, "scenes")
    assert frame["n_stages"].sum() == len(study.costs)
    assert frame["cpu_s"].sum() == pytest.approx(study.costs["cpu_s"].sum())
    totals = frame.groupby("encoder", sort=False)["cpu_s"].sum()
    assert totals.is_monotonic_decreasing
    assert set(frame["part"]) == set(cost_results.PARTS)
    labels = dict(zip(frame["encoder"], frame["label"], strict=True))
    assert labels["random_projection"] == "random_projection (control)"
    assert labels["resnet18"] == "resnet18 (whole image)"


def test_headings_stay_apart_where_all_panels_are_drawn() -> None:
    study = make_study(n_encoders=1)
    look = study.costs.iloc[:1].assign(stage="detect", cpu_s=123456.0)
    study = with_costs(replace(study, costs=pd.concat([study.costs, look])), peak_gpu_mib=98765.0)
    with style.look():
        drawn = figure.draw(study, "scenes")
        drawn.draw_without_rendering()
        found = [(t.get_text(), t.get_window_extent()) for t in texts(drawn)]
    assert "Peak GPU\nmemory" in [text for text, _ in found]
    for (one, box), (other, rival) in combinations(found, 2):
        assert not box.overlaps(rival), f"{one!r} overlaps {other!r}"


def test_other_stages_look_closer_and_shared_ones_are_told_apart() -> None:
    study = make_study(n_encoders=1)
    rows = study.costs.iloc[:2].assign(
        stage=["detect", "prepare"], encoder=["bagnet17", "none"], cpu_s=[7.0, 5.0]
    )
    more = replace(study, costs=pd.concat([study.costs, rows]))
    frame = figure.data(more, "scenes")
    assert frame[frame["part"] == cost_results.LOOK]["cpu_s"].tolist() == [7.0]
    assert cost_results.shared_cpu_s(more, "scenes") == 5.0
    assert np.isnan(cost_results.shared_cpu_s(study, "scenes"))
