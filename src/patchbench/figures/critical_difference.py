"""Which methods rank alike over datasets? Demsar's critical-difference diagram.

Demsar, "Statistical comparisons of classifiers over multiple data sets" (Journal of Machine
Learning Research, 2006).
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from patchbench import results_table as results
from patchbench.figures import _style as style
from patchbench.ranks import ALPHA, cliques
from patchbench.study import Study

NEEDS = {"benchmark.datasets": 3}  # ranks over one or two tell nothing
CAPTION = (
    "Mean rank of each method by macro area under the receiver operating characteristic (ROC) "
    "curve of image decisions, over the datasets of the study; 1 is best, ties share the mean of "
    "their ranks. Each method has the fusion rule best on the val split of each dataset; controls "
    "are left out. Bars join methods that are closer than the critical difference of Nemenyi's "
    "test (level 0.05), so that their ranks cannot be told apart; they are drawn only where "
    "Friedman's test finds that ranks differ at all."
)
ACROSS_DATASETS = True  # one picture of all datasets, not one of each
_MAX_METHODS, _LINE_IN, _BAR_IN = 24, 0.15, 0.09
_TOP_IN, _SIDE_IN = 0.78, 2.0


def data(study: Study, dataset: str) -> pd.DataFrame:
    """Ranks of each method on each dataset, with the tests: table ``dataset_ranks`` and names."""
    frame = study.dataset_ranks
    names = [results.label(study, {str(k): v for k, v in row.items()})
             for row in frame.to_dict("records")]  # fmt: skip
    return frame.assign(label=names)


def draw(study: Study, dataset: str) -> Figure:
    """An axis of mean ranks; the better half of the names on its left, the rest on its right."""
    frame = data(study, dataset)
    means = frame.drop_duplicates(results.METHOD)
    groups = _groups(means)
    half = (len(means) + 1) // 2
    height = _BAR_IN * len(groups) + _LINE_IN * (half + 1) + 0.1
    footer = _facts(study, frame)
    fig = style.figure(_TOP_IN + height + 0.1 + style.footer_in(footer))
    style.title(fig, "across datasets: mean ranks by image AUC")
    style.footer(fig, footer)
    longest = max([style.text_width_in(name) for name in means["label"]], default=0.0)
    side = min(_SIDE_IN, longest + 0.5)
    ax = style.panel(fig, side, _TOP_IN, style.WIDTH_IN - 2 * side, height)
    if frame.empty or len(means) > _MAX_METHODS:
        reason = f"{len(means)} methods are too many to draw; their ranks are in the table behind."
        style.blank(ax, reason if len(means) else "No ranks: they need three datasets and methods.")
        return fig
    _axis(ax, len(means), height)
    style.write(fig, side - 0.12, _TOP_IN - 0.12, "mean rank", ha="right", color=style.MUTED)
    _critical(ax, float(means["critical_difference"].iloc[0]))
    ranks = means["mean_rank"].to_numpy(np.float64)
    for i, group in enumerate(groups):
        y = _BAR_IN * (i + 1)
        ends = ranks[list(group)].min() - 0.04, ranks[list(group)].max() + 0.04
        ax.plot(ends, [y, y], color=style.INK, linewidth=2.6, zorder=4, solid_capstyle="butt")
    for i, row in enumerate(means.to_dict("records")):
        left = i < half
        line = i if left else len(means) - 1 - i
        y = _BAR_IN * (len(groups) + 1) + _LINE_IN * (line + 0.5)
        _method(ax, study, {str(k): v for k, v in row.items()}, y, left=left)
    return fig


def _groups(means: pd.DataFrame) -> tuple[tuple[int, ...], ...]:
    """Methods that Nemenyi's test does not tell apart; none where Friedman's finds nothing."""
    if means.empty or not means["friedman_p"].iloc[0] < ALPHA:
        return ()
    return cliques(means["mean_rank"].to_numpy(), float(means["critical_difference"].iloc[0]))


def _facts(study: Study, frame: pd.DataFrame) -> str:
    names = list(dict.fromkeys(frame["dataset"])) or sorted(study.datasets)
    noun, seeds = "dataset" if len(names) == 1 else "datasets", study.metrics["seed"].nunique()
    parts = [f"n = {len(names)} {noun} ({', '.join(names)})"]
    parts.append("1 seed" if seeds == 1 else f"{seeds} seeds, averaged")
    if len(frame):
        row = frame.iloc[0]
        p = f"p = {_p(row['friedman_p'])}; Iman and Davenport: p = {_p(row['iman_davenport_p'])}"
        parts.append(f"Friedman's test of {row['n_methods']} methods: {p}")
        if not row["friedman_p"] < ALPHA:
            parts.append("the ranks do not differ by more than chance, so no bars are drawn")
    if (classifier := results.common_classifier(study)) is not None:
        parts.append(f"patch classifier where none is named: {classifier}")
    return style.signed(study, ". ".join(part[0].upper() + part[1:] if i else part
                                         for i, part in enumerate(parts)))  # fmt: skip


def _p(p: float) -> str:
    return f"{p:.2g}" if p >= 0.001 else f"{p:.0e}"


def _axis(ax: Axes, n_methods: int, height: float) -> None:
    ax.set(xlim=(1, n_methods), ylim=(height, 0), yticks=[], xticks=range(1, n_methods + 1))
    ax.grid(visible=False)
    ax.xaxis.tick_top()
    ax.tick_params(top=True, length=3)
    for side in ("left", "right", "bottom"):
        ax.spines[side].set_visible(False)
    ax.spines["top"].set_visible(True)


def _critical(ax: Axes, apart: float) -> None:
    """Show how long the critical difference is, above the axis."""
    low, high = ax.get_xlim()
    shown = min(apart, high - low)
    y = 1 + 0.3 / _height_in(ax)
    free: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "clip_on": False}
    ax.plot([low, low + shown], [y, y], color=style.INK, linewidth=1.0, marker="|", markersize=5,
            **free)  # fmt: skip
    more = "" if shown == apart else ", more than the axis is long"
    text = f"critical difference {style.number(apart, 2)}{more}"
    width_in = ax.get_window_extent().width / style.page(ax).dpi
    fits = style.text_width_in(text) + 0.1 < width_in * (1 - shown / (high - low))
    at = (low + shown, y) if fits else (low, y)
    ax.annotate(text, at, (6, 0) if fits else (0, 7), xycoords=ax.get_xaxis_transform(),
                textcoords="offset points", va="center", fontsize=style.SMALL_PT,
                annotation_clip=False)  # fmt: skip


def _height_in(ax: Axes) -> float:
    return float(ax.get_window_extent().height) / style.page(ax).dpi


def _method(ax: Axes, study: Study, row: dict[str, Any], y: float, *, left: bool) -> None:
    """A line from the axis down to the name beside it."""
    low, high = ax.get_xlim()
    look, rank = style.mark(study, row), float(row["mean_rank"])
    end = low if left else high
    ax.plot([rank, rank, end], [0, y, y], color=look.color, linewidth=0.9, zorder=3, clip_on=False)
    ax.plot(rank, 0, **look.point(4.2), clip_on=False)
    name = style.fit(str(row["label"]), _SIDE_IN - 0.55)
    number = style.number(rank, 2)
    text = f"{name}  {number}" if left else f"{number}  {name}"
    ax.annotate(text, (end, y), (-4 if left else 4, 0), textcoords="offset points", va="center",
                ha="right" if left else "left", fontsize=style.SMALL_PT, color=look.ink,
                annotation_clip=False)  # fmt: skip
