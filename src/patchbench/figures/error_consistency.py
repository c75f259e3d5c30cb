"""Who errs with whom? Cohen's kappa of being right, for every two models, as a matrix."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from patchbench import error_consistency
from patchbench import results_table as results
from patchbench.figures import _style as style
from patchbench.figures._labels import HEAD_LINE_IN, in_lines
from patchbench.study import Study

CAPTION = (
    "Error consistency: Cohen's kappa of which test images two models are right on, with its "
    "95 % bootstrap interval over images. 1: right and wrong on the same images; 0: they agree as "
    "often as two unrelated models of these accuracies would, as they must where one of them is "
    "always right; below 0: less often. On the "
    "diagonal, in grey, the accuracy of each model, best first."
)
_MAX_MODELS, _TOP_IN, _ROW_IN, _LEFT_IN = 8, 0.62, 0.34, 1.75
_COLOURS = LinearSegmentedColormap.from_list("kappa", ["#D55E00", "#ffffff", "#0072B2"])


def data(study: Study, dataset: str) -> pd.DataFrame:
    """One row per pair of models: accuracies, agreement observed and expected, kappa."""
    return error_consistency.pairs(study, dataset)


def draw(study: Study, dataset: str) -> Figure:
    """Draw the lower half of the matrix."""
    frame = data(study, dataset)
    accuracy = {row["label"]: row["accuracy"] for row in frame.to_dict("records")}
    accuracy |= {row["rival"]: row["rival_accuracy"] for row in frame.to_dict("records")}
    models = sorted(accuracy, key=lambda name: (-accuracy[name], name))
    shown, footer = _chosen(study, dataset, models), _facts(study, dataset, frame, models)
    height = _ROW_IN * max(2, len(shown))
    width = style.WIDTH_IN - _LEFT_IN - 0.1
    each = width / max(1, len(shown))
    heads = [in_lines(name, each - 0.05, 3, brackets=False) for name in shown]
    top_in = _TOP_IN + HEAD_LINE_IN * (max([2, *map(len, heads)]) - 2)
    fig = style.figure(top_in + height + 0.12 + style.footer_in(footer))
    style.title(fig, f"{dataset}: who errs with whom")
    style.footer(fig, footer)
    ax = style.panel(fig, _LEFT_IN, top_in, width, height)
    if not shown:
        style.blank(ax, "No two models decided on the same test images.")
        return fig
    ax.set(xlim=(0, len(shown)), ylim=(len(shown), 0))
    ax.set_axis_off()
    known = {frozenset((row["label"], row["rival"])): row for row in frame.to_dict("records")}
    for i, name in enumerate(shown):
        top = top_in + _ROW_IN * (i + 0.5)
        style.write(fig, _LEFT_IN - 0.08, top, style.fit(name, _LEFT_IN - 0.16), ha="right")
        for line, text in enumerate(reversed(heads[i])):
            place = _LEFT_IN + each * (i + 0.5), top_in - 0.1 - HEAD_LINE_IN * line
            style.write(fig, *place, text, ha="center")
        _text(ax, i, i, style.number(accuracy[name]), "accuracy", style.MUTED)
        for j, other in enumerate(shown[:i]):
            found = known.get(frozenset((name, other)))
            if found is not None:
                _cell(ax, i, j, {str(key): value for key, value in found.items()})
    return fig


def _chosen(study: Study, dataset: str, models: list[str]) -> list[str]:
    """The best models, and every CNN."""
    frame = results.scores(study, dataset, "image", "accuracy")
    cnns = set(frame.loc[frame["kind"] == "cnn", "label"])
    n_free = max(0, _MAX_MODELS - len(cnns & set(models)))
    free = [name for name in models if name not in cnns][:n_free]
    return [name for name in models if name in cnns or name in free][:_MAX_MODELS]


def _cell(ax: Axes, i: int, j: int, row: dict[str, Any]) -> None:
    """One kappa on its colour."""
    value = row["kappa"]
    if pd.isna(value):
        _text(ax, i, j, style.BLANK, "not defined", style.MUTED)
        return
    colour = _COLOURS(0.5 + 0.5 * float(np.clip(value, -1, 1)))
    ax.fill([j, j + 1, j + 1, j], [i, i, i + 1, i + 1], color=colour, alpha=0.55, linewidth=0)
    ax.plot([j, j + 1], [i, i], color="white", linewidth=1.2)
    ax.plot([j, j], [i, i + 1], color="white", linewidth=1.2)
    ends = "no interval"
    if not (pd.isna(row["low"]) or pd.isna(row["high"])):
        ends = f"{style.number(row['low'], 2)} to {style.number(row['high'], 2)}"
    _text(ax, i, j, style.number(value, 2), ends, style.INK)


def _text(ax: Axes, i: int, j: int, number: str, below: str, colour: str) -> None:
    middle: dict[str, Any] = {"ha": "center", "va": "center"}
    ax.text(j + 0.5, i + 0.34, number, fontsize=style.SMALL_PT, color=colour, **middle)
    ax.text(j + 0.5, i + 0.74, below, fontsize=5.2, color=style.MUTED, **middle)


def _facts(study: Study, dataset: str, frame: pd.DataFrame, models: list[str]) -> str:
    more = ["cells: Cohen's kappa of being right, with its 95 % bootstrap interval"]
    more += style.not_drawn(len(models) - _MAX_MODELS)
    if frame["kappa"].isna().any():
        more.append("not defined where two models are both always right, or always wrong")
    return style.facts(study, dataset, *more)
