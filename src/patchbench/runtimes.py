"""What a study's runs took: training and inference time, and memory, per method.

Pure functions of a `Study`. A time that cannot be known is NaN, never 0.
"""

import json
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import pandas as pd

from patchbench.study import NONE, WHOLE_IMAGE, Study


class Timed(Protocol):
    """What the costs of methods are read from: a `Study`, or as much of one."""

    @property
    def metrics(self) -> pd.DataFrame: ...  # noqa: D102
    @property
    def costs(self) -> pd.DataFrame: ...  # noqa: D102
    @property
    def extraction(self) -> dict[str, dict[str, Any]]: ...  # noqa: D102


RUN = ["dataset", "patches", "encoder", "classifier", "seed"]
DECIDED = [*RUN, "fusion"]
_FITTED = ["dataset", "patches", "encoder", "seed", "fusion"]
_MEMORY = ["peak_rss_mib", "peak_gpu_mib"]
TIMES = ["train_s", "inference_ms_per_image", "inference_ms_low", "inference_ms_high"]


def runtime(study: Timed) -> pd.DataFrame:
    """Training time and inference time per image of every method and seed.

    Training is the time of ``fit_encoder`` and ``fit_classifier`` (of a CNN: ``cnn``).
    Inference is the time of ``encode``, ``classify`` and ``fuse`` (of a CNN: ``cnn_predict``),
    each summed over its shards and divided by the images it worked on; ``fuse`` by the
    decisions it made, so it counts as one rule of average cost. Rules on embeddings are fitted
    in ``fit_pooling``, each for as long as it took (``parts_s`` of its row), and decide in
    ``pool``, as one of average cost. Times are ``work_s``: the work
    alone, as it elapsed; of inference after the warm-up, where a stage timed it piece by piece.
    A stage without a cost row leaves the sum NaN.

    Where all stages of inference were timed piece by piece, ``inference_ms_low`` and ``_high`` add
    up the 5th and the 95th percentiles over pieces, of the shards with the lowest and the highest:
    rather too wide than too narrow. Else they are NaN.

    Returns
    -------
    frame : DataFrame
        Columns ``dataset, patches, encoder, classifier, seed, fusion, train_s,
        inference_ms_per_image, inference_ms_low, inference_ms_high``.
    """
    totals = _stage_totals(study)
    images = study.metrics[study.metrics["level"] == "image"]
    runs = images[DECIDED].drop_duplicates().reset_index(drop=True)
    fitted = _pooling_fits(study.costs)
    train, inference = [], []
    for run in runs.to_dict("records"):
        if run["patches"] == WHOLE_IMAGE:
            train.append(_total(totals, "cnn", run)[0])
            inference.append(_total(totals, "cnn_predict", run)[1:])
        else:
            pooled = run["classifier"] == NONE
            fits, steps = _POOLED if pooled else _VOTED
            own_s = fitted.get(tuple(run[name] for name in _FITTED), np.nan) if pooled else 0.0
            train.append(own_s + sum(_total(totals, stage, run)[0] for stage in fits))
            parts = [_total(totals, stage, run)[1:] for stage in steps]
            inference.append(tuple(sum(column) for column in zip(*parts, strict=True)))
    times = pd.DataFrame(inference, columns=TIMES[1:], dtype=float)
    return runs.assign(train_s=train).join(times)


def peak_memory(study: Timed) -> pd.DataFrame:
    """Largest memory that a job of each method and seed took; NaN where none is known.

    Returns
    -------
    frame : DataFrame
        Columns ``dataset, patches, encoder, classifier, seed, fusion, peak_rss_mib,
        peak_gpu_mib``.
    """
    images = study.metrics[study.metrics["level"] == "image"]
    runs = images[DECIDED].drop_duplicates().reset_index(drop=True)
    peaks: dict[tuple[str, ...], list[list[float]]] = {}
    for job in study.costs.to_dict("records"):
        if job["stage"] in _STAGE_KEYS:
            memory = [float(np.nan if job[name] is None else job[name]) for name in _MEMORY]
            peaks.setdefault(_key(job["stage"], job, job["seed"]), []).append(memory)
    found = []
    for run in runs.to_dict("records"):
        keys = [_key(stage, run, seed) for stage in _stages(run) for seed in (run["seed"], -1)]
        jobs = pd.DataFrame([job for key in keys for job in peaks.get(key, [])], columns=_MEMORY)
        found.append(jobs.astype(float).max())
    return runs.join(pd.DataFrame(found, columns=_MEMORY).reset_index(drop=True))


def _stages(run: Mapping[Any, Any]) -> tuple[str, ...]:
    """The stages that a run's own numbers went through, from the patches on."""
    if run["patches"] == WHOLE_IMAGE:
        return "cnn", "cnn_predict"
    fits, steps = _POOLED if run["classifier"] == NONE else _VOTED
    return (*fits, *steps, *(("fit_pooling",) if run["classifier"] == NONE else ()))


Totals = dict[tuple[str, ...], tuple[float, ...]]

# stages of training and of inference
_VOTED = ("fit_encoder", "fit_classifier"), ("encode", "classify", "fuse")
_POOLED = ("fit_encoder",), ("encode", "pool")
# what tells the cost rows of one stage apart, besides dataset and seed
_STAGE_KEYS = {
    "fit_encoder": ("patches", "encoder"),
    "fit_classifier": ("patches", "encoder", "classifier"),
    "encode": ("patches", "encoder"),
    "classify": ("patches", "encoder", "classifier"),
    "fuse": ("patches", "encoder", "classifier"),
    "fit_pooling": ("patches", "encoder"),
    "pool": ("patches", "encoder"),
    "cnn": ("encoder",),
    "cnn_predict": ("encoder",),
}


def _key(stage: str, run: Mapping[Any, Any], seed: Any) -> tuple[str, ...]:
    parts = (run["dataset"], *(run[name] for name in _STAGE_KEYS[stage]), int(seed))
    return (stage, *(str(part) for part in parts))


def _pooling_fits(costs: pd.DataFrame) -> dict[tuple[Any, ...], float]:
    """Seconds that each rule on embeddings was fitted for, by the columns of `_FITTED`."""
    told = costs[(costs["stage"] == "fit_pooling") & costs["parts_s"].notna()]
    return {
        (*(job[name] for name in _FITTED[:-1]), fusion): seconds
        for job in told.to_dict("records")
        for fusion, seconds in json.loads(job["parts_s"]).items()
    }


def _stage_totals(study: Timed) -> Totals:
    """Of each stage of each run: seconds, then milliseconds per image, also their low and high."""
    totals: Totals = {}
    for stage, names in _STAGE_KEYS.items():
        rows = study.costs[study.costs["stage"] == stage]
        for _, group in rows.groupby(["dataset", *names, "seed"], dropna=False, sort=False):
            first = group.iloc[0].to_dict()
            work_s = float(group["work_s"].sum(skipna=False))
            per_image = float(group["n_items"].sum()) / _images_worked_on(study, group)
            steady_s, n_steady = (part.sum(skipna=False) for part in steady(group))
            ends = group["item_ms_low"].min(), group["item_ms_high"].max()
            item_ms = 1000 * steady_s / n_steady if n_steady > 0 else np.nan, *ends
            each = (float(value) * per_image for value in item_ms)
            totals[_key(stage, first, first["seed"])] = (work_s, *each)
    return totals


def steady(costs: pd.DataFrame) -> "tuple[pd.Series[float], pd.Series[float]]":
    """Seconds and items of each job after its warm-up, of all of its work where that is unknown."""
    rows = costs[["work_s", "warm_up_s", "items_per_s", "n_items"]].astype(float)
    seconds = rows["work_s"] - rows["warm_up_s"].fillna(0.0)
    items = (rows["items_per_s"] * seconds).where(rows["warm_up_s"].notna(), rows["n_items"])
    return seconds, items


def _images_worked_on(study: Timed, rows: pd.DataFrame) -> float:
    """Images behind the items of cost rows; NaN where that cannot be known."""
    first, n_items = rows.iloc[0], float(rows["n_items"].sum())
    extraction = study.extraction.get(f"{first['dataset']}/{first['patches']}", {})
    if first["item"] in ("image", "image decision"):
        n_images = n_items
    elif first["item"] == "patch" and extraction.get("n_patches"):
        n_images = n_items * extraction["n_images"] / extraction["n_patches"]
    else:
        n_images = float(extraction.get("n_images", np.nan))
    return n_images if n_images > 0 else np.nan


def _total(totals: Totals, stage: str, run: Mapping[Any, Any]) -> tuple[float, ...]:
    for seed in (run["seed"], -1):
        if (found := totals.get(_key(stage, run, seed))) is not None:
            return found
    return (np.nan,) * len(TIMES)


def mean_runtime(study: Study, dataset: str) -> pd.DataFrame:
    """:func:`runtime` of one dataset, seeds averaged."""
    rows = runtime(study)
    rows = rows[rows["dataset"] == dataset]
    names = ["patches", "encoder", "classifier", "fusion"]
    return rows.groupby(names, sort=False)[TIMES].mean().reset_index()


def maps_s(study: Study, dataset: str, cnn: str, explain: str) -> float:
    """Seconds for maps of a CNN that never saw its images: all its trainings, and the maps.

    Mean over seeds; NaN where a training or the maps have no cost row.
    """
    stages = ("cnn", "cnn_fold", f"explain_{explain}")
    rows = study.costs
    rows = rows[(rows["dataset"] == dataset) & (rows["encoder"] == cnn)]
    by_stage = [rows[rows["stage"] == stage] for stage in stages]
    if any(part.empty for part in by_stage):
        return float("nan")
    return float(sum(part.groupby("seed")["work_s"].sum().mean() for part in by_stage))
