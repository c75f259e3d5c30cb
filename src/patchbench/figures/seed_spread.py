"""What does training anew change, and what would other test images? Image AUC over seeds."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from patchbench import results_table as results
from patchbench.figures import _style as style
from patchbench.figures._labels import without_bars
from patchbench.study import NONE, Study

NEEDS = {"benchmark.seeds": 2}
CAPTION = (
    "Macro area under the receiver operating characteristic (ROC) curve of image decisions over "
    "several seeds, each method with the fusion rule best on val. Dots: single seeds; band: mean "
    "of the seeds and one standard deviation to either side, what training anew changes; line: "
    "95 % bootstrap interval of that mean, the same test images drawn for all seeds, what other "
    "images would change. Grey: controls; dotted line: chance."
)
_MAX_METHODS, _TOP_IN, _ROW_IN = 16, 0.62, 0.19
_KEYS = [*results.METHOD, "fusion"]


def data(study: Study, dataset: str) -> pd.DataFrame:
    """One row per method: mean, sd, lowest and highest of its seeds, interval of the mean.

    Columns of a method, ``fusion``, ``label``, ``kind``, ``mean``, ``sd``, ``lowest``,
    ``highest``, ``low``, ``high``, ``n_seeds``, ``n_images``, ``n_groups``, ``reason``.
    """
    rows = study.seed_summary
    rows = rows[(rows["dataset"] == dataset) & (rows["metric"] == "auc_macro")]
    chosen = results.scores(study, dataset, "image")
    chosen = results.with_fusion_chosen_on_val(study, dataset, chosen)
    names = chosen[[*_KEYS, "label", "kind"]]
    frame = rows.merge(names, on=_KEYS).drop(columns=["dataset", "metric"])
    frame = frame.sort_values(["mean", "label"], ascending=[False, True], ignore_index=True)
    return results.merge_controls(frame)


def draw(study: Study, dataset: str) -> Figure:
    """One row per method, best first; name on its left, numbers on its right."""
    everyone = data(study, dataset)
    frame = results.at_most(everyone, _MAX_METHODS)
    height = max(0.6, _ROW_IN * (len(frame) + 0.4))
    footer = _facts(study, dataset, frame, len(everyone) - len(frame))
    fig = style.figure(_TOP_IN + height + 0.48 + style.footer_in(footer))
    style.title(fig, f"{dataset}: image AUC over seeds")
    style.footer(fig, footer)
    names = [_name({str(k): v for k, v in row.items()}) for row in frame.to_dict("records")]
    left = min(2.4, max([style.text_width_in(name) for name in names], default=0.0)) + 0.2
    numbers_in = style.text_width_in("0.000 ± 0.000") + 0.2
    ax = style.panel(fig, left, _TOP_IN, style.WIDTH_IN - left - numbers_in - 0.1, height)
    if frame["mean"].notna().sum() == 0:
        style.blank(ax, "No AUC over seeds is known.")
        return fig
    seeds = results.seed_values(study, dataset, "image")
    _frame(ax, frame, seeds, height)
    style.write(fig, style.WIDTH_IN - 0.1, _TOP_IN - 0.1, "mean ± sd", ha="right",
                color=style.MUTED)  # fmt: skip
    _key(fig)
    for i, row in enumerate(frame.to_dict("records")):
        y = _ROW_IN * (i + 0.7)
        style.write(fig, left - 0.08, _TOP_IN + y, style.fit(names[i], left - 0.16), ha="right")
        spread = style.BLANK if pd.isna(row["sd"]) else style.number(row["sd"])
        text = f"{style.number(row['mean'])} ± {spread}"
        style.write(fig, style.WIDTH_IN - 0.1, _TOP_IN + y, text, ha="right")
        _row(ax, study, {str(k): v for k, v in row.items()}, seeds, y)
    return fig


def _name(row: Mapping[str, Any]) -> str:
    fusion = "" if row["fusion"] == NONE else f" · {row['fusion']}"
    return f"{row['label']}{fusion}"


def _facts(study: Study, dataset: str, frame: pd.DataFrame, n_hidden: int) -> str:
    more = ["\N{PLUS-MINUS SIGN} sd: standard deviation over seeds"]
    more += without_bars(frame, "mean")
    if frame["sd"].isna().any():
        more.append(f"{style.BLANK}: a single seed has none")
    if (frame["n_groups"] < frame["n_images"]).any():
        n_groups = int(frame["n_groups"].max())
        more.append(f"images were drawn by group, of which there are {n_groups}")
    return style.facts(study, dataset, *more, *style.not_drawn(n_hidden))


def _frame(ax: Axes, frame: pd.DataFrame, seeds: pd.DataFrame, height: float) -> None:
    ends = [*frame["low"], *frame["lowest"], *(frame["mean"] - frame["sd"].fillna(0))]
    low = float(np.nanmin([0.48, *ends]))
    ax.set(ylim=(height, 0), xlim=(low - 0.02, 1.01), xlabel="Image AUC-ROC", yticks=[])
    ax.spines["left"].set_visible(False)
    ax.axvline(0.5, color=style.MUTED, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1.5)
    ax.annotate("chance", (0.5, 1), (0, 3), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="center", fontsize=style.SMALL_PT,
                color=style.MUTED)  # fmt: skip


def _key(fig: Figure) -> None:
    """What the three marks are, below the title."""
    left, top, width, height = 0.1, 0.36, *fig.get_size_inches()
    parts = (
        ("single seed", 0.12, "dot"),
        ("mean ± sd over seeds", 0.3, "band"),
        ("95 % interval over test images", 0.3, "line"),
    )
    for text, length, what in parts:
        y = 1 - top / height
        ends = [left / width, (left + length) / width]
        if what == "band":
            box = (ends[0], y - 0.035 / height), ends[1] - ends[0], 0.07 / height
            fig.add_artist(_rectangle(*box, fig))
            ends = [sum(ends) / 2] * 2
        look: dict[str, Any] = {"color": style.INK, "linewidth": 0.9}
        if what != "line":
            marker, size = ("o", 2.4) if what == "dot" else ("s", 4.0)
            ends = [sum(ends) / 2]
            look |= {"marker": marker, "markersize": size, "linestyle": "none"}
        line = Line2D(ends, [y] * len(ends), transform=fig.transFigure, **look)
        fig.add_artist(line)
        style.write(fig, left + length + 0.06, top, text)
        left += length + 0.06 + style.text_width_in(text) + 0.22


def _rectangle(corner: tuple[float, float], width: float, height: float, fig: Figure) -> Patch:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, width, height, transform=fig.transFigure, color=style.INK,
                     alpha=0.25, linewidth=0)  # fmt: skip


def _row(ax: Axes, study: Study, row: dict[str, Any], seeds: pd.DataFrame, y: float) -> None:
    if pd.isna(row["mean"]):
        ax.annotate("not defined", (0, y), (4, 0), xycoords=("axes fraction", "data"),
                    textcoords="offset points", va="center", fontsize=style.SMALL_PT,
                    color=style.MUTED)  # fmt: skip
        return
    look = style.mark(study, row)
    if not pd.isna(row["sd"]):
        left, right = row["mean"] - row["sd"], row["mean"] + row["sd"]
        ax.fill_between([left, right], y - 0.055, y + 0.055, color=look.color, alpha=0.25,
                        linewidth=0)  # fmt: skip
    if not (pd.isna(row["low"]) or pd.isna(row["high"])):
        ax.hlines(y, row["low"], row["high"], color=look.color, linewidth=0.9)
    own = seeds
    for name in _KEYS:
        own = own[own[name] == row[name]]
    ax.plot(own["value"], [y + 0.07] * len(own), marker="o", markersize=2.2, linestyle="none",
            color=look.color, markeredgecolor="white", markeredgewidth=0.3, zorder=5)  # fmt: skip
    ax.plot(row["mean"], y, **look.point(4.2))
