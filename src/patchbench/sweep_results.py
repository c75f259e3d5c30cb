"""What the sweep of noisy-patch detectors found, as figures and the report read it.

Pure functions of a `Study`, as in ``results_table``; seeds are averaged.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from patchbench import plugins
from patchbench import results_table as results
from patchbench.study import NONE, Study

RANDOM, ORACLE = "random", "oracle_mask"
METHOD = ["patches", "encoder", "classifier"]
_STEP = [*METHOD, "detector", "use", "applied", "fraction"]
_MEANS = (
    *("value", "low", "high", "difference", "difference_low", "difference_high"),
    *("random_difference", "random_difference_low", "random_difference_high"),
    *("removed_train", "removed_test", "fit_s"),
)


def kind_of(study: Study, detector: str) -> str:
    """File name of a detector entry's plug-in, which may differ from the entry's own name."""
    entries = study.run.get("config", {}).get("detectors", {})
    return str((entries.get(detector) or {}).get("type", detector))


def is_control(study: Study, detector: str) -> bool:
    """Whether a detector entry is a control, as chance and the true masks are."""
    kind = kind_of(study, detector)
    if kind not in plugins.available("detectors"):
        return False  # drawn from tables of a plug-in that is no longer there
    return bool(plugins.load("detectors", kind).Detector.control)


def steps(study: Study, dataset: str) -> pd.DataFrame:
    """Every step of the sweep at image level, a row each; detector "none" keeps everything.

    Returns
    -------
    frame : DataFrame
        Columns of a method, ``detector``, ``use``, ``applied``, ``fraction``; means over seeds
        of the estimates and of the differences; ``p``, ``random_p`` (the largest of the seeds);
        ``n_images``, ``n_seeds``, ``label`` of the method.
    """
    rows = study.sweep
    rows = rows[(rows["dataset"] == dataset) & (rows["level"] == "image")]
    frame = (
        rows.groupby(_STEP, sort=False, dropna=False)
        .agg(
            **{name: (name, "mean") for name in _MEANS},
            p=("p", "max"),
            random_p=("random_p", "max"),
            n_images=("n_images", "max"),
            n_seeds=("value", "count"),
        )
        .reset_index()
    )
    frame["label"] = [method_label(study, row) for row in frame.to_dict("records")]
    return frame


def method_label(study: Study, method: Mapping[Any, Any]) -> str:
    """Short name of a swept method; of a control, without saying so."""
    named: dict[str, Any] = {str(key): value for key, value in method.items()}
    return results.label(study, named | {"detector": NONE}).removesuffix(" (control)")


def swept(study: Study, dataset: str) -> list[dict[str, Any]]:
    """Swept methods, those on trial before controls, then by their AUC with all patches kept."""
    frame = steps(study, dataset)
    plain = frame[(frame["detector"] == NONE) & frame["value"].notna()]
    found = [{str(k): v for k, v in row.items()} for row in plain.to_dict("records")]

    def rank(row: Mapping[str, Any]) -> tuple[bool, float, str]:
        kind = results.kind(study, row["patches"], row["encoder"], row["classifier"])
        return kind == "control", -float(row["value"]), str(row["label"])

    return sorted(found, key=rank)


def of_method(frame: pd.DataFrame, method: Mapping[str, Any]) -> pd.DataFrame:
    """Rows of one method."""
    for column in METHOD:
        frame = frame[frame[column] == method[column]]
    return frame
