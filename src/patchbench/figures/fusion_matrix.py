"""Which rule for which votes? Image AUC of every fusion rule with every method, as a table."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from patchbench import fusion_results
from patchbench import results_table as results
from patchbench.figures import _style as style
from patchbench.figures._labels import HEAD_LINE_IN, in_lines
from patchbench.study import NONE, Study

CAPTION = (
    "Area under the receiver operating characteristic (ROC) curve of image decisions with its 95 "
    "% bootstrap interval: a row for each fusion rule, those that gain most on average first, a "
    "column for each method. Every rule is compared with the one named in the footer on the same "
    "test images: the colour is the difference, full where p is below 0.05 after Holm's "
    "adjustment over the rules of the column (triangles), faint where the two cannot be told "
    "apart, or draws of images do not tell. Rules in italics decide from embeddings and need no "
    "patch classifier; they stand in the column whose votes they are compared with."
)
_MAX_METHODS, _TOP_IN, _ROW_IN, _LEFT_IN = 7, 0.62, 0.27, 1.35
_SIGNS = {fusion_results.BETTER: " ▲", fusion_results.WORSE: " ▼"}
_COLOURS = LinearSegmentedColormap.from_list("worse-better", ["#D55E00", "#ffffff", "#0072B2"])


def data(study: Study, dataset: str) -> pd.DataFrame:
    """One row per method and rule: AUC, interval, paired difference to the rival, verdict."""
    keys = [*results.METHOD, "fusion"]
    tests = fusion_results.compared(study, dataset).rename(
        columns={"low": "difference_low", "high": "difference_high"}
    )
    frame = results.scores(study, dataset, "image").drop(columns="label")
    # values of rules on embeddings are under no classifier
    tests["column"] = tests["classifier"]
    tests.loc[tests["on_embeddings"], "classifier"] = NONE
    found = frame.merge(tests, on=keys).sort_values("value", ascending=False)
    found = results.merge_controls(found.assign(classifier=found.pop("column")))
    # by differences, since not every rule stands in every column
    trial = found[found["kind"] != "control"]
    gain = (trial if len(trial) else found).groupby("fusion")["difference"].mean()
    best = found.groupby("label")["value"].transform("max")
    control = found["kind"] == "control"
    found = found.assign(gain=found["fusion"].map(gain), best=best, control=control)
    found = found.sort_values(
        ["gain", "fusion", "control", "best", "label"], ascending=[False, True, True, False, True]
    )
    return found.drop(columns="gain").reset_index(drop=True)


def draw(study: Study, dataset: str) -> Figure:
    """Draw the matrix."""
    frame = data(study, dataset)
    columns = frame.sort_values(["control", "best", "label"], ascending=[True, False, True])
    methods = list(dict.fromkeys(columns["label"]))[:_MAX_METHODS]
    rules = list(dict.fromkeys(frame["fusion"]))
    footer = _facts(study, dataset, frame)
    height = _ROW_IN * max(1, len(rules))
    width = style.WIDTH_IN - _LEFT_IN - 0.1
    each = width / max(1, len(methods))
    heads = [in_lines(method, each - 0.05, 3) for method in methods]
    top_in = _TOP_IN + HEAD_LINE_IN * (max([2, *map(len, heads)]) - 2)
    fig = style.figure(top_in + height + 0.1 + style.footer_in(footer))
    style.title(fig, f"{dataset}: image AUC by fusion rule and method")
    style.footer(fig, footer)
    ax = style.panel(fig, _LEFT_IN, top_in, width, height)
    if not rules:
        style.blank(ax, "No fusion rules were compared on this dataset.")
        return fig
    ax.set(xlim=(0, len(methods)), ylim=(len(rules), 0))
    ax.set_axis_off()
    largest = float(np.nanmax(np.abs(frame["difference"]), initial=0.005))
    pooled = set(frame.loc[frame["on_embeddings"], "fusion"])
    for i, rule in enumerate(rules):
        top, slant = top_in + _ROW_IN * (i + 0.5), "italic" if rule in pooled else "normal"
        name = style.fit(rule, _LEFT_IN - 0.16)
        style.write(fig, _LEFT_IN - 0.08, top, name, ha="right", fontstyle=slant)
    for j, method in enumerate(methods):
        left = _LEFT_IN + each * (j + 0.5)
        for line, text in enumerate(reversed(heads[j])):
            style.write(fig, left, top_in - 0.1 - HEAD_LINE_IN * line, text, ha="center")
        rows = frame[frame["label"] == method].set_index("fusion")
        for i, rule in enumerate(rules):
            if rule in rows.index:
                row = rows.loc[rule]
                _cell(ax, i, j, {str(k): v for k, v in row.items()}, largest)
    return fig


def _cell(ax: Axes, i: int, j: int, row: dict[str, Any], largest: float) -> None:
    """One number with its interval on the colour of its difference."""
    apart = row["verdict"] in _SIGNS
    strength = 0.0 if pd.isna(row["difference"]) else float(row["difference"]) / largest
    colour = _COLOURS(0.5 + 0.5 * np.sign(strength) * np.sqrt(abs(strength)))
    ax.fill([j, j + 1, j + 1, j], [i, i, i + 1, i + 1], color=colour, alpha=0.55 if apart else 0.15,
            linewidth=0)  # fmt: skip
    ax.plot([j, j + 1], [i, i], color="white", linewidth=1.2)
    ax.plot([j, j], [i, i + 1], color="white", linewidth=1.2)
    weight = "bold" if row["verdict"] == fusion_results.RIVAL else "normal"
    text = style.number(row["value"]) + _SIGNS.get(row["verdict"], "")
    middle: dict[str, Any] = {"ha": "center", "va": "center"}
    ax.text(j + 0.5, i + 0.34, text, fontsize=style.SMALL_PT, fontweight=weight, **middle)
    if not pd.isna(row["value"]):
        known = not (pd.isna(row["low"]) or pd.isna(row["high"]))
        ends = f"{style.number(row['low'])} to {style.number(row['high'])}"
        ends = ends if known else "no interval"
        ax.text(j + 0.5, i + 0.74, ends, fontsize=5.2, color=style.MUTED, **middle)


def _facts(study: Study, dataset: str, frame: pd.DataFrame) -> str:
    more = []
    rivals = sorted(set(frame["rival"]))
    if rivals:
        more.append(f"compared with {', '.join(rivals)} (bold)")
    more += style.not_drawn(frame["label"].nunique() - _MAX_METHODS)
    return style.facts(study, dataset, *more)
