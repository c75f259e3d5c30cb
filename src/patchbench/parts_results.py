"""What taking images apart does to each method, as the report and README.md read it."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from patchbench import experiment_results
from patchbench.markdown import with_interval
from patchbench.study import Study

HEAD = (
    "image AUC",
    "tiles shuffled, 2 x 2",
    "4 x 4",
    "half of the patches dropped: at random",
    "most confident",
    "from the border",
    "three quarters of the channels set to zero",
    "r of parts of 16 px",
)
# what the columns after the first hold: kind and policy of experiment, amount
_CHANGES = (
    ("shuffle", "shuffled", 2),
    ("shuffle", "shuffled", 4),
    ("spatial_blackout", "random", 0.5),
    ("spatial_blackout", "most_confident_first", 0.5),
    ("spatial_blackout", "border_first", 0.5),
    ("channel_blackout", "random", 0.75),
)
_NOTHING = [float("nan")] * 3


def table(study: Study, dataset: str) -> list[dict[str, Any]]:
    """One row per method, ready for JSON; empty where no experiment was done.

    Every row has ``method``, ``n_images``, ``auc``, ``changes`` (for each column of `HEAD` but the
    first and last, the difference of image AUC to the image as it is, with its 95 % interval) and
    ``parts`` (Pearson's r with its interval); NaN where it was not measured. What is left is
    scaled up.
    """
    kinds = sorted({kind for kind, _, _ in _CHANGES})
    frame = experiment_results.steps(study, dataset, *kinds)
    scaled = frame["rescaled"].fillna(True).astype(bool)
    frame = frame[(frame["measure"] == "auc_macro") & scaled]
    together = experiment_results.steps(study, dataset, "interaction")
    found = []
    for method in experiment_results.methods(pd.concat([frame, together])):
        own = frame[frame["label"] == method["label"]]
        parts = together[together["label"] == method["label"]]
        row: dict[str, Any] = {"method": method["label"], "auc": _as_it_is(own)}
        row["n_images"] = int(own["n_images"].max()) if len(own) else 0
        row["changes"] = [_change(study, own, *change) for change in _CHANGES]
        row["parts"] = _correlation(parts)
        found.append(row)
    return found


def _as_it_is(rows: pd.DataFrame) -> list[float]:
    whole = experiment_results.with_one_fusion(rows[rows["amount"].isin([0, 1])])
    return _ends(whole[whole["difference"].abs() < 1e-12], ("value", "low", "high"))


def _change(study: Study, rows: pd.DataFrame, kind: str, policy: str, amount: float) -> list[float]:
    named = experiment_results.entries(study.run["config"], kind)
    chosen = rows[rows["experiment"].isin(named) & (rows["policy"] == policy)]
    chosen = experiment_results.with_one_fusion(chosen[chosen["amount"] == amount])
    return _ends(chosen, ("difference", "difference_low", "difference_high"))


def _correlation(rows: pd.DataFrame) -> list[float]:
    chosen = rows[(rows["measure"] == "pearson_r") & (rows["policy"] == "mean_color")]
    return _ends(chosen[chosen["amount"] == 16], ("value", "low", "high"))


def _ends(rows: pd.DataFrame, columns: tuple[str, str, str]) -> list[float]:
    return [float(rows[name].iloc[0]) for name in columns] if len(rows) else _NOTHING


def cells(row: Mapping[str, Any]) -> list[str]:
    """A row of `table` as text: the method, then what `HEAD` says."""
    changes = [with_interval(*change, sign=True) for change in row["changes"]]
    return [row["method"], with_interval(*row["auc"]), *changes, with_interval(*row["parts"])]


def sentences(study: Study, dataset: str) -> list[str]:
    """What shuffled tiles do, in one sentence; none where that was not tried."""
    rows = [row for row in table(study, dataset) if not pd.isna(row["changes"][0][0])]
    if not rows:
        return []
    changes = [with_interval(*row["changes"][0], sign=True) for row in rows]
    told = "; ".join(f"{row['method']} {text}" for row, text in zip(rows, changes, strict=True))
    return [
        f"With the four quarters of {rows[0]['n_images']} test images shuffled, image AUC changes: "
        f"{told} (paired 95 % intervals)."
    ]
