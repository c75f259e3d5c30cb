"""Say which statistics of a study's tables are undefined or have no interval, and why.

Controls are left out: a constant has no interval, and should have none.
"""

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from patchbench import results_table as results
from patchbench.reasons import EMPTY_BIN, NOT_COMPARED, reason_of
from patchbench.study import NONE, Study

# statistics of each table; where there are several, `reason` names them
STATISTICS = {
    "fusion_tests": ("difference",),
    "reliability": ("value",),
    "detection": ("value",),
    "sweep": ("value", "difference", "random_difference"),
    "experiments": ("value", "difference"),
    "background": ("value",),
    "faithfulness": ("value",),
}
_NOT_MISSED = (EMPTY_BIN, NOT_COMPARED)
_CONTROLS = {"detector": "detectors", "explain": "explain"}
_UNKNOWN = "no reason was recorded"
_UNDEFINED, _NO_INTERVAL = "not defined", "no interval"


def gaps(study: Study) -> list[str]:
    """One line per metric, dataset and reason; of each other table one per reason."""
    found = _of_metrics(study)
    for table in STATISTICS:
        found += _of_table(study, table)
    return found


def _of_metrics(study: Study) -> list[str]:
    lacking = _lacking(_on_trial(study, study.metrics), "value")
    groups = lacking.groupby(["lacks", "dataset", "metric", "why"])
    return [
        f"{dataset}: {metric} {'is' if lacks == _UNDEFINED else 'has'} {lacks} for {len(rows)} "
        f"results ({why})"
        for (lacks, dataset, metric, why), rows in groups
    ]


def _of_table(study: Study, table: str) -> list[str]:
    """Statistics of a table that are lacking for the same reason stand in one line."""
    frame = _on_trial(study, getattr(study, table))
    if table == "fusion_tests":
        itself = frame["fusion"] == frame["rival"]
        frame = frame[~itself | (frame["classifier"] != frame["rival_classifier"])]
    lines: dict[tuple[str, str], list[str]] = {}
    for key, told in _counts(frame, STATISTICS[table]):
        lines.setdefault(key, []).append(told)
    return [
        f"table {table}, {lacks} ({why}): {'; '.join(told)}" for (lacks, why), told in lines.items()
    ]


def _counts(
    frame: pd.DataFrame, statistics: tuple[str, ...]
) -> Iterator[tuple[tuple[str, str], str]]:
    """What is lacking and why, and of which statistic in how many rows."""
    measures = frame["measure"] if "measure" in frame else pd.Series("", frame.index)
    for statistic in statistics:
        lacking = _lacking(frame, statistic, named=len(statistics) > 1)
        lacking = lacking[~lacking["why"].isin(_NOT_MISSED)].assign(measure=measures)
        for (lacks, why, measure), rows in lacking.groupby(["lacks", "why", "measure"]):
            among = int((measures == measure).sum())
            name = _name(statistic, str(measure))
            yield (str(lacks), str(why)), f"{name} in {len(rows)} of {among} rows"


def _name(statistic: str, measure: str) -> str:
    if statistic == "value":
        return measure or statistic
    return f"{statistic} of {measure}" if measure else statistic


def _lacking(frame: pd.DataFrame, statistic: str, *, named: bool = False) -> pd.DataFrame:
    """Rows where a statistic or its interval is null, with ``lacks`` and ``why``."""
    prefix = f"{statistic}_" if f"{statistic}_low" in frame else ""
    known = frame[statistic].notna()
    ends = frame[[f"{prefix}low", f"{prefix}high"]].notna().all(axis=1)
    texts = frame["reason"].astype(object).where(frame["reason"].notna(), "")
    why = [_short(reason_of(statistic, text) if named else text) for text in texts]
    lacks = np.where(known, _NO_INTERVAL, _UNDEFINED)
    return frame.assign(lacks=lacks, why=why)[~(known & ends)]


def _short(reason: str) -> str:
    """Without what is said before it, and without numbers that make each row's reason another."""
    reason = reason.removeprefix("no interval: ") or _UNKNOWN
    return re.sub(r"defined in [\d,]+ of", "defined in too few of", reason)


def _on_trial(study: Study, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of methods that are no controls, by the columns that the table has."""
    named = frame.reindex(columns=["patches", "encoder", "classifier", "fusion"], fill_value=NONE)
    kinds = [results.kind(study, *map(str, row)) for row in named.itertuples(index=False)]
    kept = np.array([kind != "control" for kind in kinds], dtype=bool)
    for column, group in _CONTROLS.items():
        if column in frame:
            controls = [results.is_control(study, group, str(name)) for name in frame[column]]
            kept &= ~np.array(controls, dtype=bool)
    return frame[kept]
