"""What growing images take: limits are results, and one sentence tells each mistake."""

import json
import signal
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from patchbench import (
    config,
    doctor_study,
    plan_files,
    plan_scaling,
    plugins,
    scaling_results,
    tables,
)
from patchbench.__main__ import main
from patchbench.apart import DONE, FAILED, MEMORY, TIME, Ended, Limits, apart
from patchbench.errors import UserError
from patchbench.figures import scaling
from patchbench.io import read_table
from patchbench.measuring import N_REPEATS, REPEAT_BELOW_S, Point, measure, timed
from patchbench.stages import scale
from patchbench.streaming.footprint import multiply_adds
from patchbench.streaming.tiles import laid_out
from unit import _workers
from unit._drawn import STUDIES, drawn, texts
from unit._no_gpu import Gpu

ROOT = Path(__file__).parents[2]
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text())
SCHEMA = ROOT / "workflow/schemas/config.schema.yaml"
GENEROUS = Limits(memory_mib=4000, time_s=60)


@pytest.mark.parametrize(
    ("work", "limits", "status"),
    [
        (_workers.hungry, Limits(memory_mib=100, time_s=60), MEMORY),
        (_workers.slow, Limits(memory_mib=4000, time_s=0.05), TIME),
    ],
)
def test_work_over_a_limit_is_stopped_and_keeps_what_it_told(
    work: Callable[..., None], limits: Limits, status: str
) -> None:
    ended = apart(work, (), limits)
    assert (ended.status, ended.told) == (status, {"before": 1})


def test_work_that_cannot_be_done_says_why() -> None:
    assert apart(_workers.short_of_memory, (), GENEROUS).status == MEMORY
    ended = apart(_workers.broken, (), GENEROUS)
    assert (ended.status, ended.reason) == (FAILED, "no such kernel")
    with pytest.raises(UserError, match="too small; enlarge it"):
        apart(_workers.refusing, (), GENEROUS)
    with pytest.raises(RuntimeError, match="status 3"):
        apart(_workers.dying, (), GENEROUS)


@pytest.mark.parametrize("name", ["SIGABRT", "SIGSEGV", "SIGBUS"])
def test_work_that_a_signal_ends_is_a_result_and_keeps_what_it_told(name: str) -> None:
    number = signal.Signals[name]
    assert apart(_workers.ended_by, (number,), GENEROUS) == Ended(
        FAILED, {"before": 1}, f"stopped by signal {name}", by_signal=True
    )


def test_work_that_the_system_ends_was_short_of_memory_and_one_asked_to_end_says_nothing() -> None:
    ended = apart(_workers.ended_by, (signal.SIGKILL,), GENEROUS)
    assert (ended.status, ended.reason) == (MEMORY, "stopped by the system")
    with pytest.raises(RuntimeError, match="status -15"):
        apart(_workers.ended_by, (signal.SIGTERM,), GENEROUS)


def test_short_looks_are_repeated_and_long_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    assert len(timed(lambda: calls.append(1), lambda told: None)[1]) == N_REPEATS
    assert len(calls) == N_REPEATS + 1
    clock = iter([0.0, REPEAT_BELOW_S])
    monkeypatch.setattr("patchbench.measuring.time.perf_counter", lambda: next(clock))
    assert timed(lambda: 7, lambda told: None)[:2] == (7, [REPEAT_BELOW_S])


def options(**changed: Any) -> Namespace:
    limits = {"max_memory_gib": 6.0, "max_time_s": 60.0, "device": "cpu", "threads": 1, "seed": 0}
    point = {"way": "bagnet", "spec": {}, "task": "training", "sides_px": [64, 128, 256, 512]}
    return Namespace(**point | limits | changed)


def rows(monkeypatch: pytest.MonkeyPatch, *ends: Ended) -> pd.DataFrame:
    given = iter(ends)
    monkeypatch.setattr(scale, "apart", lambda work, arguments, limits: next(given))
    return pd.DataFrame(list(scale.points(options())))


def test_beyond_a_limit_nothing_is_tried_and_the_rows_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame = rows(monkeypatch, Ended(DONE, {"work_s": 1.0}), Ended(MEMORY))
    assert list(frame["status"]) == ["measured", "out of memory", "not tried", "not tried"]
    assert list(frame["reason"])[1:3] == [
        "out of memory at 6 GiB",
        "not tried: at 128 px out of memory at 6 GiB",
    ]
    whole = frame.reindex(columns=list(tables.COLUMNS["scaling"]))
    assert tables.to_arrow(whole, "scaling").num_rows == 4


def test_every_end_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    done = Ended(DONE)
    for ended, reason in (
        (Ended(TIME), "longer than 60 s"),
        (Ended(FAILED, reason="int overflow"), "failed: int overflow"),
        (Ended(MEMORY, reason="stopped by the system"), "out of memory below 6 GiB: stopped by"),
    ):
        assert rows(monkeypatch, done, ended)["reason"][1].startswith(reason)
    # a library that aborts at the smallest side says nothing of what is wrong with the program
    first = rows(monkeypatch, Ended(FAILED, {}, "stopped by signal SIGABRT", by_signal=True))
    assert list(first["status"]) == ["failed", *["not tried"] * 3]
    assert first["reason"][0] == "failed: stopped by signal SIGABRT"
    with pytest.raises(RuntimeError, match="bagnet, training, 64 px: int overflow"):
        rows(monkeypatch, Ended(FAILED, reason="int overflow"))


def test_a_point_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    spec, path = {"width": 4, "layers": [1, 1, 1, 1]}, tmp_path / "training.parquet"
    argv = ["scale", "--way", "bagnet", "--spec", json.dumps(spec), "--task", "training"]
    argv += ["--sides-px", "128", "--max-memory-gib", "3", "--max-time-s", "60"]
    assert main([*argv, "--out", str(path), "--device", "cpu"]) == 0
    row = read_table(path, "scaling").iloc[0]
    assert (row["status"], row["device"], row["n_pieces"]) == ("measured", "cpu", 1)
    assert 100 < row["start_rss_mib"] <= row["peak_rss_mib"] < 3000
    assert row["cpu_s"] > 0 and 0 < row["work_low_s"] <= row["work_s"] <= row["work_high_s"]
    assert row["image_mib"] == 3 * 128**2 / 2**20 and np.isnan(row["redundant"])


def test_a_streamed_point_tells_what_is_done_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patchbench.measuring.N_REPEATS", 1)
    told: dict[str, Any] = {}
    spec = {"type": "bagnet_streamed", "width": 4, "layers": [1, 1, 1, 1], "max_memory_mib": 10}
    point = Point("tiles", spec, "inference", 160, "cpu", 1, 0, 4000.0)
    measure(told.update, point)
    network = plugins.build("ways", "tiles", spec, seed=0, device="cpu").network()
    layout = laid_out(network, 160, 160, told["piece_px"])
    work = sum(multiply_adds(network, tile.height_px, tile.width_px) for tile in layout)
    assert layout.n_tiles == told["n_pieces"] > 1
    assert told["redundant"] == pytest.approx(work / multiply_adds(network, 153, 153) - 1)


def test_curves_tell_how_memory_and_time_grow_and_where_they_end() -> None:
    study = STUDIES["grown"]()
    frame = scaling_results.curves(study)
    of = {
        (row["way"], row["task"]): (row["growth_memory"], row["growth_time"])
        for row in frame.to_dict("records")
    }
    assert of["resnet50", "inference"] == pytest.approx((2.0, 2.1))
    assert of["bagnet33-streamed", "training"] == pytest.approx((0.0, 2.0), abs=1e-9)
    ended = scaling_results.stops(frame)
    assert len(ended) == ended[["way", "task"]].drop_duplicates().shape[0] == 14
    told = " ".join(scaling_results.sentences(study))
    assert "resnet50, inference: 2,048 px take 3.7 GiB" in told
    assert "; at 4,096 px out of memory at 12 GiB." in told


def test_on_a_gpu_memory_grows_beyond_the_weights_that_were_there_before() -> None:
    study = STUDIES["grown"]()
    rows, weights = study.scaling.copy(), 97.5
    taken = rows["peak_rss_mib"] - rows["start_rss_mib"]
    rows = rows.assign(device="cuda", gpu="A GPU", start_gpu_mib=taken * 0 + weights)
    frame = scaling_results.curves(
        replace(study, scaling=rows.assign(peak_gpu_mib=weights + taken))
    )
    of = frame.drop_duplicates(["way", "task"]).set_index(["way", "task"])["growth_memory"]
    assert of["resnet50", "inference"] == pytest.approx(2.0)
    assert of["bagnet33-streamed", "training"] == pytest.approx(0.0, abs=1e-9)
    peak = frame.loc[frame["status"] == DONE, ["memory_gib", "peak_gpu_mib"]]
    assert peak["memory_gib"].to_numpy() == pytest.approx(peak["peak_gpu_mib"] / 1024)


def test_a_point_on_a_gpu_tells_what_was_there_before_the_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("patchbench.measuring.N_REPEATS", 1)
    monkeypatch.setattr("patchbench.measuring.resolve", lambda device: device)
    monkeypatch.setattr("torch.cuda", gpu := Gpu())
    look = Namespace(n_pieces=1, piece_px=64, redundant=None)
    way = Namespace(ready=lambda task: lambda windows: look)
    monkeypatch.setattr("patchbench.measuring.plugins.build", lambda *a, **fixed: way)
    monkeypatch.setattr("patchbench.measuring.plugins.preload", lambda name: None)
    told: dict[str, Any] = {}
    measure(told.update, Point("it", {}, "inference", 64, "cuda", 1, 0, 4000.0))
    assert (told["start_gpu_mib"], told["peak_gpu_mib"], told["gpu"]) == (97, 130, "A GPU")
    assert gpu.asked.index("reset_peak_memory_stats") < gpu.asked.index("max_memory_allocated")
    assert set(told) <= set(tables.COLUMNS["scaling"])


def test_the_figure_says_what_did_not_fit_and_how_often_was_looked() -> None:
    words = " ".join(text.get_text() for text in texts(drawn("grown", "scaling")))
    assert "bagnet33-streamed at 8,192 px: longer than 600 s" in words
    assert "n = 5 looks where one takes less than 2 s, else 1" in words
    assert "vgg16 · 2.0" in words and "limit 12 GiB" in words


def test_a_way_that_never_fitted_and_a_single_task_are_drawn() -> None:
    study = STUDIES["grown"]()
    rows = study.scaling[study.scaling["task"] == "training"]
    gone = (rows["way"] == "vgg16") & (rows["status"] == "measured")
    figure = scaling.draw(replace(study, scaling=rows[~gone]), "across-datasets")
    words = " ".join(text.get_text() for text in texts(figure))
    assert "vgg16 at 2,048 px: out of memory" in words and "vgg16 ·" not in words


def test_the_report_tells_every_point_and_nothing_where_none_was_measured() -> None:
    told = scaling_results.section(STUDIES["grown"]())
    assert told is not None
    assert any("not tried: at 2,048 px longer than 600 s" in row for row in told["rows"])
    assert {len(row) for row in told["rows"]} == {len(told["head"])}
    assert scaling_results.section(STUDIES["tiny"]()) is None


def asked(**changed: Any) -> dict[str, Any]:
    lists = CONFIG["benchmark"] | {"ways": ["resnet50", "bagnet33-streamed"]}
    return CONFIG | {"benchmark": lists, "scaling": CONFIG["scaling"] | changed}


def test_a_study_that_measures_has_a_job_for_each_way_and_task() -> None:
    study = asked(tasks=["inference"])
    assert plan_scaling.files(study) == [
        "results/scaling/resnet50/inference.parquet",
        "results/scaling/bagnet33-streamed/inference.parquet",
    ]
    assert set(plan_scaling.cost_files(study)) <= set(plan_files.costs(study))
    assert doctor_study.jobs(study)["scale"] == 2
    assert plan_scaling.files(CONFIG) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sides_px": [512, 224]}, "give sides that grow"),
        ({"sides_px": [16, 224]}, "begins with 16, but ways.resnet50 looks at images of at least"),
        ({"max_memory_gib": 0.2}, "less than Python with PyTorch takes"),
        ({"tasks": ["guessing"]}, "scaling.tasks.0 is 'guessing'"),
        ({"max_time_s": 0}, "scaling.max_time_s is 0"),
    ],
)
def test_a_senseless_measurement_is_refused_in_one_sentence(
    changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        config.check(asked(**changed), SCHEMA)


def test_an_unknown_way_is_refused_with_the_ones_there_are() -> None:
    study = asked()
    study["benchmark"] = study["benchmark"] | {"ways": ["resnet5o"]}
    with pytest.raises(UserError, match="Did you mean 'resnet50'"):
        config.check(study, SCHEMA)
    with pytest.raises(UserError, match="no 'whole' in ways"):
        config.check(asked() | {"ways": CONFIG["ways"] | {"resnet50": {"type": "whole"}}}, SCHEMA)
