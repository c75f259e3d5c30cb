"""What growing images take, as the figure and the report tell it: pure functions of a `Study`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from patchbench.apart import DONE
from patchbench.measuring import NOT_TRIED, TASKS
from patchbench.study import Study

GROWTH_SIDES = 3  # the largest sides, which exponents are fitted to
MEASURES = {"memory_gib": "Peak memory, GiB", "work_s": "Time for an image, s"}
HEAD = (
    *("Way", "Task", "Side, px", "Peak memory, GiB", "Time, s", "Processor, s"),
    *("n", "Pieces", "Piece, px", "Done twice"),
)


def curves(study: Study) -> pd.DataFrame:
    """Table ``scaling`` in the order of the config, with what figures draw.

    Returns
    -------
    frame : DataFrame
        Columns of the table; ``memory_gib``: peak of the device that computes, GPU or process;
        ``growth_memory, growth_time``: exponents of their growth with the side (see `growth`).
    """
    frame = study.scaling
    ways = list(study.run["config"].get("benchmark", {}).get("ways", []))
    rank = {name: i for i, name in enumerate(dict.fromkeys([*ways, *frame["way"]]))}
    place = {task: i for i, task in enumerate(TASKS)}
    frame = frame.assign(_way=frame["way"].map(rank), _task=frame["task"].map(place))
    frame = frame.sort_values(["_task", "_way", "side_px"], ignore_index=True)
    frame = frame.drop(columns=["_way", "_task"])
    gpu, gpu_before, resident, before = (
        frame[f"{what}_mib"].astype(float)
        for what in ("peak_gpu", "start_gpu", "peak_rss", "start_rss")
    )
    frame["memory_gib"] = gpu.fillna(resident) / 1024
    # what was there before the image grows with nothing and would flatten every curve
    frame["_grown"] = (gpu - gpu_before).fillna(resident - before)
    for name, column in (("growth_memory", "_grown"), ("growth_time", "work_s")):
        found = {
            key: growth(rows["side_px"], rows[column])
            for key, rows in frame.groupby(["way", "task"], sort=False)
        }
        frame[name] = [found[key] for key in zip(frame["way"], frame["task"], strict=True)]
    return frame.drop(columns="_grown")


def growth(sides_px: "pd.Series[Any]", values: "pd.Series[Any]") -> float:
    """Exponent k of ``side ** k`` through the largest sides with a value, by least squares of logs.

    NaN with fewer: a line through two points fits anything.

    >>> round(growth(pd.Series([1, 2, 4, 8]), pd.Series([9.0, 3.0, 12.0, 48.0])), 6)
    2.0
    """
    known = pd.DataFrame({"side": sides_px, "value": values.astype(float)})
    known = known[known["value"] > 0].sort_values("side").tail(GROWTH_SIDES)
    if len(known) < GROWTH_SIDES:
        return float("nan")
    return float(np.polyfit(np.log(known["side"]), np.log(known["value"]), 1)[0])


def stops(frame: pd.DataFrame) -> pd.DataFrame:
    """Of `curves`, the row of each way and task where it went over a limit or failed."""
    return frame[~frame["status"].isin([DONE, NOT_TRIED])].reset_index(drop=True)


def stop_text(row: Mapping[str, Any]) -> str:
    """What became of a way at a side that it was stopped at, and of larger ones."""
    return f"{row['way']} at {int(row['side_px']):,} px: {row['reason']}"


def sentences(study: Study) -> list[str]:
    """For each task and way, how far it came and how memory and time grow; empty without any."""
    frame, found = curves(study), []
    for (task, way), rows in frame.groupby(["task", "way"], sort=False):
        measured, ended = rows[rows["status"] == DONE], stops(rows)
        if measured.empty:
            found.append(f"{way}, {task}: {ended['reason'].iloc[0]} at the smallest side.")
            continue
        last = measured.iloc[-1]
        text = (
            f"{way}, {task}: {int(last['side_px']):,} px take {last['memory_gib']:.2g} GiB and "
            f"{last['work_s']:.3g} s"
        )
        grown = [(last["growth_memory"], "memory"), (last["growth_time"], "time")]
        told = [
            f"{what} as the side to the power of {round(k, 1) + 0.0:.1f}"
            for k, what in grown
            if k == k
        ]
        text += f"; {' and '.join(told)}" if told else ""
        if len(ended):
            text += f"; at {int(ended['side_px'].iloc[0]):,} px {ended['reason'].iloc[0]}"
        found.append(f"{text}.")
    return found


def cells(row: Mapping[str, Any]) -> list[str]:
    """A row of `curves` as text, for a table with `HEAD`; a reason stands where numbers would."""
    side = f"{int(row['side_px']):,}"
    if row["status"] != DONE:
        return [str(row["way"]), str(row["task"]), side, str(row["reason"]), *[""] * 6]
    numbers = [f"{row[name]:.3g}" for name in ("memory_gib", "work_s", "cpu_s")]
    counts = [f"{int(row[name]):,}" for name in ("n_repeats", "n_pieces", "piece_px")]
    twice = "" if pd.isna(row["redundant"]) else f"{row['redundant']:.1%}"
    return [str(row["way"]), str(row["task"]), side, *numbers, *counts, twice]


def section(study: Study) -> dict[str, Any] | None:
    """For the report: ``sentences``, and ``head`` and ``rows`` of a table; None without points."""
    if study.scaling.empty:
        return None
    named = [{str(k): v for k, v in row.items()} for row in curves(study).to_dict("records")]
    return {"sentences": sentences(study), "head": HEAD, "rows": [cells(row) for row in named]}
