"""What jobs took in two studies: those costs that differ by more than noise.

A rate is that after the warm-up. It changed if the times of single pieces do not overlap, from
their 5th to their 95th percentile: rather too strict than too lax. Bytes written and peak memory
are measured once, and repeat almost exactly, so a small share is left for noise.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from patchbench.markdown import table
from patchbench.runtimes import steady
from patchbench.sides import Side
from patchbench.study import NONE

JOB = ["dataset", "patches", "stage", "encoder", "classifier"]
MEASURES = {
    "items_per_s": "items per s",
    "mb_written": "MB written",
    "peak_rss_mib": "peak MiB",
    "peak_gpu_mib": "peak GPU MiB",
}
# B / A, or A / B, above which a change of what is measured once is no noise
_NOISE = {"mb_written": 1.01, "peak_rss_mib": 1.1, "peak_gpu_mib": 1.1}
_MOST_TOLD = 12


def changed_costs(a: Side, b: Side) -> pd.DataFrame:
    """Costs of the stages that both sides ran, with the same seeds, as far as they changed.

    Returns
    -------
    frame : DataFrame
        Columns of `JOB`; ``measure``, one of `MEASURES`; ``a``, ``b`` and ``ratio``, b / a; what
        changed by the largest factor first. Rates and bytes are those of all jobs of a stage
        together, memory that of the largest.
    """
    keys = [*JOB, "seed"]
    runs = a.costs[keys].drop_duplicates().merge(b.costs[keys].drop_duplicates())
    sides = [_by_stage(side.costs.merge(runs, on=keys)) for side in (a, b)]
    pairs = sides[0].merge(sides[1], on=JOB, suffixes=("_a", "_b"))
    rows = [row for pair in pairs.to_dict("records") for row in _changes(pair)]
    frame = pd.DataFrame(rows, columns=[*JOB, "measure", "a", "b", "ratio"])
    factor = np.array([max(ratio, 1 / ratio) for ratio in frame["ratio"]])
    return frame.iloc[np.argsort(-factor, kind="stable")].reset_index(drop=True)


def _by_stage(costs: pd.DataFrame) -> pd.DataFrame:
    """The measures of each stage, and times per item, ms, of its fast and slow pieces."""
    seconds, items = steady(costs)
    numbers = ["bytes_written", "peak_rss_mib", "peak_gpu_mib", "item_ms_low", "item_ms_high"]
    costs = costs.assign(steady_s=seconds, steady_items=items)
    costs[numbers] = costs[numbers].astype(float)
    frame = costs.groupby(JOB, sort=False).agg(
        {"steady_s": "sum", "steady_items": "sum", "bytes_written": "sum"}
        | {"peak_rss_mib": "max", "peak_gpu_mib": "max", "item_ms_low": "min"}
        | {"item_ms_high": "max", "item": "first"}
    )
    frame["items_per_s"] = frame["steady_items"] / frame["steady_s"]
    frame["mb_written"] = frame["bytes_written"] / 1e6
    return frame.reset_index()


def _changes(pair: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    """The measures of one stage that changed; what is not known on both sides did not."""
    slower = pair["item_ms_low_b"] > pair["item_ms_high_a"]
    faster = pair["item_ms_high_b"] < pair["item_ms_low_a"]
    for measure in MEASURES:
        a, b = (float(pair[f"{measure}_{side}"]) for side in "ab")
        if not (a > 0 and b > 0):
            continue
        if measure == "items_per_s":
            changed = (slower or faster) and pair["item_a"] == pair["item_b"]
        else:
            changed = max(a / b, b / a) > _NOISE[measure]
        if changed:
            told = {"measure": measure, "a": a, "b": b, "ratio": b / a}
            yield {name: pair[name] for name in JOB} | told


def changed_text(frame: pd.DataFrame) -> str:
    """The largest of :func:`changed_costs` as a table; nothing where nothing changed."""
    if frame.empty:
        return ""
    shown = frame.head(_MOST_TOLD)
    names = [name for name in JOB if name == "stage" or shown[name].nunique() > 1]
    rows = [
        [
            *("" if row[name] == NONE else str(row[name]) for name in names),
            MEASURES[row["measure"]],
            *(f"{row[side]:.3g}" if row[side] < 1000 else f"{row[side]:,.0f}" for side in "ab"),
            f"{row['ratio']:.2f}",
        ]
        for row in shown.to_dict("records")
    ]
    sentence = (
        f"Costs that changed beyond noise ({len(frame)}): rates after the warm-up whose pieces do "
        "not overlap (5th to 95th percentile), bytes by more than 1 %, memory by more than 10 %"
    )
    more = f"; the {_MOST_TOLD} largest, all are in --json" if len(frame) > _MOST_TOLD else ""
    return f"{sentence}{more}:\n\n{table([*names, 'what', 'A', 'B', 'B / A'], rows)}"
