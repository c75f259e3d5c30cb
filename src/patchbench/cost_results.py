"""What a study took, stage by stage: for the report and for figure ``costs``.

Pure functions of a `Study`. What was not measured is NaN, never 0.
"""

from typing import Any

import numpy as np
import pandas as pd

from patchbench.runtimes import steady
from patchbench.study import NONE, Study

COLUMNS = {
    "dataset": "dataset",
    "stage": "stage",
    "encoder": "encoder or network",
    "jobs": "jobs",
    "wall_s": "elapsed, s",
    "work_s": "of that, work, s",
    "cpu_s": "processor, s",
    "peak_rss_mib": "peak memory, MiB",
    "peak_gpu_mib": "peak GPU memory, MiB",
    "peak_gpu_reserved_mib": "GPU memory held, MiB",
    "items_per_s": "items per s",
    "item": "item",
    "mb_written": "written, MB",
    "device": "device",
    "threads": "threads",
}
# in the order of the pipeline; stages not named here follow
_ORDER = (
    *("download", "fetch_weights", "prepare", "cut", "index", "fit_encoder", "encode"),
    *("map_embeddings", "fit_classifier", "classify", "fuse", "fit_pooling", "pool"),
    *("cnn", "cnn_predict", "cnn_fold", "detect", "sweep", "background", "experiment", "scale"),
)
_LAST = ("collect", "draw")


def by_stage(study: Study) -> pd.DataFrame:
    """Add up the jobs of each dataset, stage and encoder; columns of `COLUMNS`.

    Jobs of all patches, classifiers, seeds and shards; memory is the largest of any. The rate is
    that after the warm-up, and blank where jobs worked on different things. A name that a job has
    not is empty.
    """
    seconds, items = steady(study.costs)
    costs = study.costs.assign(steady_s=seconds, steady_items=items)
    memory = ["peak_rss_mib", "peak_gpu_mib", "peak_gpu_reserved_mib"]
    costs[memory] = costs[memory].astype(float)
    frame = costs.groupby(["dataset", "stage", "encoder"], sort=False).agg(
        jobs=("wall_s", "size"),
        **{name: (name, "sum") for name in ("wall_s", "work_s", "cpu_s")},
        **{name: (name, "max") for name in memory},
        **{name: (name, "sum") for name in ("bytes_written", "steady_s", "steady_items")},
        **{name: (name, _joined) for name in ("item", "device", "threads")},
        n_kinds=("item", "nunique"),
    )
    frame = frame.reset_index()
    known = (frame["steady_items"] > 0) & (frame["steady_s"] > 0) & (frame["n_kinds"] == 1)
    frame["items_per_s"] = (frame["steady_items"] / frame["steady_s"]).where(known)
    frame["mb_written"] = frame["bytes_written"] / 1e6
    names = ["dataset", "encoder"]
    frame[names] = frame[names].where(frame[names] != NONE, "")
    place = frame["stage"].map(_place)
    return frame.assign(place=place).sort_values("place", kind="stable")[list(COLUMNS)]


def _place(stage: str) -> int:
    if stage in _LAST:
        return 100 + _LAST.index(stage)
    if stage.startswith("explain_"):
        return _ORDER.index("cnn_fold")
    return _ORDER.index(stage) if stage in _ORDER else len(_ORDER)


def _joined(values: "pd.Series[Any]") -> str:
    return ", ".join(sorted({str(value) for value in values.dropna()}))


def machines(study: Study) -> list[dict[str, Any]]:
    """The machines that stages ran on, with ``host``, ``gpu`` ("" without) and ``stages`` run."""
    found = study.costs[["host", "gpu"]].fillna("").value_counts(sort=False).reset_index()
    found = found.sort_values(["count", "host", "gpu"], ascending=[False, True, True])
    return [
        {"host": row["host"], "gpu": row["gpu"], "stages": int(row["count"])}
        for row in found.to_dict("records")
    ]


# parts of the way that figure ``costs`` has a panel for
PARTS = {
    "train encoder": ("fit_encoder", "cnn"),
    "encode": ("encode",),
    "train classifiers": ("fit_classifier", "fit_pooling"),
    "decide": ("classify", "fuse", "pool", "cnn_predict"),
}
LOOK = "look closer"


def by_part(study: Study, dataset: str) -> pd.DataFrame:
    """Add up the jobs of each encoder or network by part of the way.

    Returns
    -------
    frame : DataFrame
        Columns ``patches`` (the first, if several), ``encoder, part, n_stages, cpu_s, wall_s``
        (sums), ``peak_rss_mib, peak_gpu_mib`` (the largest of any job). Parts are those of `PARTS`
        and `LOOK`, which is every other stage that has an encoder. The encoder that took most comes
        first.
    """
    rows = study.costs[(study.costs["dataset"] == dataset) & (study.costs["encoder"] != NONE)]
    part_of = {stage: part for part, stages in PARTS.items() for stage in stages}
    memory = {name: rows[name].astype(float) for name in ("peak_rss_mib", "peak_gpu_mib")}
    rows = rows.assign(part=rows["stage"].map(part_of).fillna(LOOK), **memory)
    frame = rows.groupby(["encoder", "part"], sort=False).agg(
        patches=("patches", "first"),
        n_stages=("wall_s", "size"),
        cpu_s=("cpu_s", "sum"),
        wall_s=("wall_s", "sum"),
        peak_rss_mib=("peak_rss_mib", "max"),
        peak_gpu_mib=("peak_gpu_mib", "max"),
    )
    frame = frame.reset_index()
    rank = -frame.groupby("encoder")["cpu_s"].transform("sum")
    part = frame["part"].map([*PARTS, LOOK].index)
    frame = frame.assign(rank=rank, place=part).sort_values(["rank", "encoder", "place"])
    columns = ["patches", "encoder", "part", "n_stages", "cpu_s", "wall_s", *memory]
    return frame[columns].reset_index(drop=True)


def shared_cpu_s(study: Study, dataset: str) -> float:
    """Processor time of what all methods share: preparing and cutting images; NaN if unknown."""
    rows = study.costs[(study.costs["dataset"] == dataset) & (study.costs["encoder"] == NONE)]
    return float(rows["cpu_s"].sum()) if len(rows) else np.nan
