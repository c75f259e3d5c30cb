"""What a study's runs took: training and inference time per method, costs per stage.

Pure functions of a `Study`. A time that cannot be known is NaN, never 0.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from patchbench.study import NONE, WHOLE_IMAGE, Study

RUN = ["dataset", "patches", "encoder", "classifier", "seed"]
DECIDED = [*RUN, "fusion"]
COST_COLUMNS = {
    "dataset": "dataset",
    "stage": "stage",
    "jobs": "jobs",
    "wall_s": "elapsed, s",
    "work_s": "of that, work, s",
    "cpu_s": "processor, s",
    "peak_rss_mib": "peak memory, MiB",
    "peak_gpu_mib": "peak GPU memory, MiB",
    "items_per_s": "items per s",
    "item": "item",
    "device": "device",
    "threads": "threads",
}


def runtime(study: Study) -> pd.DataFrame:
    """Training time and inference time per image of every method and seed.

    Training is the time of ``fit_encoder`` and ``fit_classifier`` (of a CNN: ``cnn``).
    Inference is the time of ``encode``, ``classify`` and ``fuse`` (of a CNN: ``cnn_predict``),
    each summed over its shards and divided by the images it worked on; ``fuse`` by the
    decisions it made, so it counts as one rule of average cost. Rules on embeddings are fitted
    in ``fit_pooling``, each for as long as it took (``fit_s`` among what it learned), and decide in
    ``pool``, as one of average cost. Times are ``work_s``: the work
    alone, as it elapsed. A stage without a cost row leaves the sum NaN.

    Returns
    -------
    frame : DataFrame
        Columns ``dataset, patches, encoder, classifier, seed, fusion, train_s,
        inference_ms_per_image``.
    """
    totals = _stage_totals(study)
    images = study.metrics[study.metrics["level"] == "image"]
    runs = images[DECIDED].drop_duplicates().reset_index(drop=True)
    fitted = study.learned[study.learned["setting"] == "fit_s"].set_index(DECIDED)["value"]
    train, inference = [], []
    for run in runs.to_dict("records"):
        if run["patches"] == WHOLE_IMAGE:
            train.append(_total(totals, "cnn", run)[0])
            inference.append(_total(totals, "cnn_predict", run)[1])
        else:
            pooled = run["classifier"] == NONE
            fits, steps = _POOLED if pooled else _VOTED
            own_s = fitted.get(tuple(run[name] for name in DECIDED), np.nan) if pooled else 0.0
            train.append(own_s + sum(_total(totals, stage, run)[0] for stage in fits))
            inference.append(sum(_total(totals, stage, run)[1] for stage in steps))
    return runs.assign(train_s=train, inference_ms_per_image=inference)


Totals = dict[tuple[str, ...], tuple[float, float]]

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
    "pool": ("patches", "encoder"),
    "cnn": ("encoder",),
    "cnn_predict": ("encoder",),
}


def _key(stage: str, run: Mapping[Any, Any], seed: Any) -> tuple[str, ...]:
    parts = (run["dataset"], *(run[name] for name in _STAGE_KEYS[stage]), int(seed))
    return (stage, *(str(part) for part in parts))


def _stage_totals(study: Study) -> Totals:
    """Seconds, and milliseconds per image, of each stage of each run."""
    totals: Totals = {}
    for stage, names in _STAGE_KEYS.items():
        rows = study.costs[study.costs["stage"] == stage]
        for _, group in rows.groupby(["dataset", *names, "seed"], dropna=False, sort=False):
            first = group.iloc[0].to_dict()
            work_s = float(group["work_s"].sum(skipna=False))
            n_images = _images_worked_on(study, group)
            totals[_key(stage, first, first["seed"])] = (work_s, 1000 * work_s / n_images)
    return totals


def _images_worked_on(study: Study, rows: pd.DataFrame) -> float:
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


def _total(totals: Totals, stage: str, run: Mapping[Any, Any]) -> tuple[float, float]:
    for seed in (run["seed"], -1):
        if (found := totals.get(_key(stage, run, seed))) is not None:
            return found
    return np.nan, np.nan


def mean_runtime(study: Study, dataset: str) -> pd.DataFrame:
    """:func:`runtime` of one dataset, seeds averaged."""
    rows = runtime(study)
    rows = rows[rows["dataset"] == dataset]
    names = ["patches", "encoder", "classifier", "fusion"]
    columns = ["train_s", "inference_ms_per_image"]
    return rows.groupby(names, sort=False)[columns].mean().reset_index()


def costs_by_stage(study: Study) -> pd.DataFrame:
    """Add up what each stage took on each dataset, jobs added up; columns of ``COST_COLUMNS``."""
    grouped = study.costs.groupby(["dataset", "stage"], sort=False, dropna=False)
    frame = grouped.agg(
        jobs=("wall_s", "size"),
        wall_s=("wall_s", "sum"),
        work_s=("work_s", "sum"),
        cpu_s=("cpu_s", "sum"),
        peak_rss_mib=("peak_rss_mib", "max"),
        peak_gpu_mib=("peak_gpu_mib", "max"),
        n_items=("n_items", "sum"),
        item=("item", _joined),
        device=("device", _joined),
        threads=("threads", _joined),
    ).reset_index()
    rate = frame["n_items"] / frame["work_s"].where(frame["work_s"] > 0)
    frame["items_per_s"] = rate.where(frame["n_items"] > 0)
    return frame[list(COST_COLUMNS)]


def _joined(values: "pd.Series[Any]") -> str:
    return ", ".join(sorted({str(value) for value in values.dropna()}))


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
