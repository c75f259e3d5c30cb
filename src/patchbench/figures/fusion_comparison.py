"""Does the rule that joins patch votes matter? Image AUC by fusion and method."""

from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from patchbench import results_table as results
from patchbench.figures import _style as style
from patchbench.study import WHOLE_IMAGE, Study

AT_MOST = {"benchmark.fusions": 8}  # more lines fill pages: see fusion_matrix
CAPTION = (
    "Area under the receiver operating characteristic (ROC) curve of image decisions, by the rule "
    "that joins the votes of an image's patches; best rule first. Bands: whole-image networks with "
    "their 95 % intervals; dotted line: chance. Controls, in grey: random projections, "
    "colours, raw pixels, class frequencies."
)
_MAX_METHODS, _TOP_IN, _LINE_IN, _GAP_IN, _LEFT_IN = 12, 0.5, 0.13, 0.13, 1.4
_SEED_KEYS = [*results.METHOD, "fusion"]
Seeds = dict[tuple[str, ...], list[float]]


def data(study: Study, dataset: str) -> pd.DataFrame:
    """One row per method and fusion: AUC and interval, seeds averaged."""
    frame = results.scores(study, dataset, "image")
    frame = results.merge_controls(frame)
    best = frame.drop_duplicates("label").reset_index(drop=True)
    kept = set(results.at_most(best, _MAX_METHODS)["label"])
    return frame[frame["label"].isin(kept)].reset_index(drop=True)


def draw(study: Study, dataset: str) -> Figure:
    """One block per fusion, best first; in it one line per method, name and number beside it."""
    frame = data(study, dataset)
    blocks = _blocks(frame)
    n_lines = sum(len(rows) for _, rows in blocks)
    height = max(0.35, n_lines * _LINE_IN + _GAP_IN * (len(blocks) + 1))
    footer = _facts(study, dataset)
    fig = style.figure(_TOP_IN + height + 0.48 + style.footer_in(footer))
    style.title(fig, f"{dataset}: image AUC by fusion rule")
    style.footer(fig, footer)
    names_in = max([style.text_width_in(_name(text)) for text in frame["label"]], default=0.0)
    numbers_in = style.text_width_in("0.000 [no interval]")
    ax = style.panel(
        fig, _LEFT_IN, _TOP_IN, style.WIDTH_IN - _LEFT_IN - names_in - numbers_in - 0.4, height
    )
    if frame["value"].notna().sum() == 0:
        style.blank(ax, "No method has an image AUC on this dataset.")
        return fig
    _frame(ax, frame, height)
    rows = results.seed_values(study, dataset, "image")
    seeds: Seeds = {
        tuple(str(part) for part in key): list(group["value"])
        for key, group in rows.groupby(_SEED_KEYS)
    }
    top = _GAP_IN
    for name, rows in blocks:
        _block(ax, study, name, rows, seeds, top)
        top += len(rows) * _LINE_IN + _GAP_IN
    return fig


def _blocks(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Rows of whole-image networks, then of each fusion, the fusion with the best method first."""
    whole = frame["patches"] == WHOLE_IMAGE
    patch = frame[~whole]
    trial = patch[patch["kind"] == "patch"].groupby("fusion")["value"].max()
    known = trial.dropna().sort_values(ascending=False, kind="stable").index
    fusions = [*known, *sorted(set(patch["fusion"]) - set(known))]
    blocks = [("whole image", frame[whole])] if whole.any() else []
    rank = {"patch": 0, "control": 1}
    for fusion in fusions:
        rows = patch[patch["fusion"] == fusion]
        rows = rows.assign(rank=rows["kind"].map(rank)).sort_values(["rank", "label"])
        blocks.append((fusion, rows))
    return blocks


def _name(text: str) -> str:
    return style.shorten(text, 36)


def _facts(study: Study, dataset: str) -> str:
    more = ["bars: 95 % bootstrap intervals over test images"]
    if study.metrics.loc[study.metrics["dataset"] == dataset, "seed"].nunique() > 1:
        more.append("small dots: single seeds; large marks and numbers: means over seeds")
    return style.facts(study, dataset, *more)


def _frame(ax: Axes, frame: pd.DataFrame, height: float) -> None:
    low = float(np.nanmin([0.48, *frame["low"], *frame["value"]]))
    ax.set(ylim=(height, 0), xlim=(low - 0.02, 1.01), xlabel="Image AUC-ROC", yticks=[])
    ax.spines["left"].set_visible(False)
    ax.axvline(0.5, color=style.MUTED, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1.5)
    ax.annotate("chance", (0.5, 1), (0, 3), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="center", fontsize=style.SMALL_PT,
                color=style.MUTED)  # fmt: skip


def _block(ax: Axes, study: Study, name: str, rows: pd.DataFrame, seeds: Seeds, top: float) -> None:
    """Draw the methods of one fusion; ``top`` and line heights in inches, as is the y axis."""
    middle = top + len(rows) * _LINE_IN / 2
    at: dict[str, Any] = {
        "xycoords": ("axes fraction", "data"),
        "textcoords": "offset points",
        "va": "center",
    }
    text = "\n".join(style.shorten(part, 22) for part in wrap(name, 22)[:2])
    ax.annotate(text, (0, middle), (-6, 0), ha="right", **at)
    if top > _GAP_IN:
        ax.axhline(top - _GAP_IN / 2, color=style.GRID, linewidth=0.6)
    for i, row in enumerate(rows.to_dict("records")):
        method = {str(k): v for k, v in row.items()}
        look, y = style.mark(study, method), top + _LINE_IN * (i + 0.5)
        if not (pd.isna(row["low"]) or pd.isna(row["high"])):
            ax.hlines(y, row["low"], row["high"], color=look.color, linewidth=1.0)
            if method["patches"] == WHOLE_IMAGE:
                ax.axvspan(row["low"], row["high"], color=look.color, alpha=0.09, linewidth=0)
        own = seeds.get(tuple(str(row[key]) for key in _SEED_KEYS), [])
        if len(own) > 1:
            dots: dict[str, Any] = {"marker": "o", "markersize": 1.8, "linestyle": "none"}
            ax.plot(own, [y] * len(own), color=look.color, alpha=0.7, **dots)
        ax.plot(row["value"], y, **look.point(4.2))
        small: dict[str, Any] = {"fontsize": style.SMALL_PT} | at
        ax.annotate(_name(method["label"]), (1, y), (6, 0), ha="left", **small)
        ax.annotate(style.interval(method), (_right(ax), y), (0, 0), ha="right", **small)


def _right(ax: Axes) -> float:
    """Right end of the number column, in fractions of the axes' width."""
    box = ax.get_position()
    return float((1 - 0.1 / style.WIDTH_IN - box.x0) / box.width)
