"""Do background patches mislead? How patches vote, by Grad-CAM evidence and by true object."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from patchbench import results_table as results
from patchbench import sweep_results
from patchbench.figures import _chance as chance
from patchbench.figures import _style as style
from patchbench.figures._labels import LEADER_IN, NAME_IN, names_beside, without_bars
from patchbench.study import Study

NEEDS = {"benchmark.detectors": 1}
CAPTION = (
    "How single test patches vote, by where they lie. Above: area under the receiver operating "
    "characteristic (ROC) curve, each patch scored by the label of its image; below: log-loss. "
    "Left: tenths of the patches by their saliency, the Grad-CAM evidence of a whole-image network "
    "relative to the mean of the image. Right: by the share of the patch that true object masks "
    "cover. Bars: 95 % bootstrap intervals over test images; dotted lines: chance."
)
_BY = {
    "saliency": "Tenth of patches by saliency, least first",
    "foreground": "Share of object in the patch",
}
_MEASURES = {"auc_macro": "Patch AUC-ROC", "log_loss": "Patch log-loss, nats"}
_WHY_NOT = {
    "saliency": "without Grad-CAM maps there is no saliency to draw",
    "foreground": "the dataset has no object masks to draw by",
}
_WRONG, _ALL = "background_among_confident_wrong", "background_among_all"
_MAX_LINES, _LEFT_IN, _BETWEEN_IN, _TOP_IN, _ROWS_APART_IN = 10, 0.5, 0.32, 0.36, 0.26
_MAX_NAMES_IN, _MAX_TOLD = 1.3, 3


def data(study: Study, dataset: str) -> pd.DataFrame:
    """One row per method, group and measure, seeds averaged; best patch AUC first."""
    rows = study.background[study.background["dataset"] == dataset]
    keys = [*sweep_results.METHOD, "by", "bin", "measure"]
    groups = rows.groupby(keys, sort=False)
    frame = groups.agg(
        **{name: (name, "mean") for name in ("bin_low", "bin_high", "value")},
        n_patches=("n_patches", "max"),
        n_images=("n_images", "max"),
        n_seeds=("value", "count"),
    )
    frame = frame.join(results.mean_ends(groups)).reset_index()
    frame["label"] = [sweep_results.method_label(study, row) for row in frame.to_dict("records")]
    auc = frame[frame["measure"] == "auc_macro"].groupby("label")["value"].mean()
    frame["rank"] = frame["label"].map((-auc).rank(method="first"))
    order = ["rank", "label", "by", "measure", "bin"]
    return frame.sort_values(order, ignore_index=True).drop(columns="rank")


def draw(study: Study, dataset: str) -> Figure:
    """Rows of panels by measure, columns by group; a line per method, named on the right."""
    frame = data(study, dataset)
    lines = list(dict.fromkeys(frame["label"]))
    shown = frame[frame["label"].isin(lines[:_MAX_LINES])]
    height = max(1.6, NAME_IN * (min(len(lines), _MAX_LINES) + 2))
    below, footer = height + _ROWS_APART_IN, _facts(study, dataset, frame, lines)
    fig = style.figure(_TOP_IN + below + height + 0.5 + style.footer_in(footer))
    style.title(fig, f"{dataset}: how patches vote, on objects and on background")
    style.footer(fig, footer)
    if not lines:
        ax = style.panel(fig, 0.3, _TOP_IN, style.WIDTH_IN - 0.6, 2 * height)
        style.blank(ax, "No votes were told apart on this dataset.")
        return fig
    named = [style.text_width_in(name) for name in (*lines[:_MAX_LINES], chance.CHANCE)]
    names_in = min(max(named), _MAX_NAMES_IN)
    present = [by for by in _BY if (shown["by"] == by).any()]
    room = style.WIDTH_IN - _LEFT_IN - LEADER_IN - names_in - 0.06
    width = (room - _BETWEEN_IN * (len(present) - 1)) / len(present)
    for i, measure in enumerate(_MEASURES):
        of_measure = shown[(shown["measure"] == measure) & shown["by"].isin(present)]
        for j, by in enumerate(present):
            left = _LEFT_IN + j * (width + _BETWEEN_IN)
            ax = style.panel(fig, left, _TOP_IN + i * below, width, height)
            names = names_in if by == present[-1] else None
            _panel(ax, study, dataset, of_measure, by, names)
            ax.set_ylabel("" if j else _MEASURES[measure])
            ax.set_xlabel(_BY[by] if i else "")
    return fig


def _facts(study: Study, dataset: str, frame: pd.DataFrame, lines: list[str]) -> str:
    told = [_told(frame[frame["label"] == name], name) for name in lines]
    shares = [text for text in told if text][:_MAX_TOLD]
    more = []
    if shares:
        background = frame.loc[frame["measure"] == _ALL, "value"].iloc[0]
        more.append(
            f"patches without object are {100 * background:.0f} % of all, and of confident wrong "
            f"votes (more than half of the probability) {', '.join(shares)}"
        )
    more += [why for by, why in _WHY_NOT.items() if lines and not (frame["by"] == by).any()]
    more += without_bars(frame) + style.not_drawn(len(lines) - _MAX_LINES)
    return style.facts(study, dataset, *more)


def _told(rows: pd.DataFrame, name: str) -> str:
    """``32 % [24, 40] for sift (n = 122)``: background among its confident wrong votes."""
    rows = rows[(rows["measure"] == _WRONG) & rows["value"].notna()]
    if rows.empty:
        return ""
    found = rows.iloc[0]
    low, high = (100 * float(found[end]) for end in ("low", "high"))
    ends = "" if np.isnan(low + high) else f" [{low:.0f}, {high:.0f}]"
    about = f"for {style.shorten(name, 24)} (n = {int(found['n_patches']):,})"
    return f"{100 * found['value']:.0f} %{ends} {about}"


def _panel(
    ax: Axes, study: Study, dataset: str, rows: pd.DataFrame, by: str, names_in: float | None
) -> None:
    """One measure by one kind of group; limits are those of all panels of the measure."""
    own = rows[rows["by"] == by]
    bins = sorted(set(own["bin"]))
    guess = _guess(study, dataset, str(rows["measure"].iloc[0]))
    _frame(ax, rows, bins, guess)
    _ticks(ax, own, by, bins)
    ends = {} if guess is None else chance.line(ax, guess)
    names = list(dict.fromkeys(own["label"]))
    marks = {chance.CHANCE: chance.MARK}
    aside = np.linspace(-0.5, 0.5, len(names)) * min(0.4, 0.1 * (len(names) - 1))
    left, right = ax.get_xlim()
    for name, shift in zip(names, aside, strict=True):
        line = own[(own["label"] == name) & own["value"].notna()].sort_values("bin")
        if line.empty:
            continue
        method = {str(k): v for k, v in line.iloc[0].to_dict().items()}
        look = marks[name] = style.mark(study, method)
        x = line["bin"].to_numpy() + shift
        path: dict[str, Any] = {"color": look.color, "zorder": look.order}
        ax.plot(x, line["value"], linestyle=look.dash, linewidth=1.2, **path)
        ax.vlines(x, line["low"], line["high"], linewidth=0.8, **path)
        ax.plot(x, line["value"], **look.point(3.8))
        ends[name] = (float((x[-1] - left) / (right - left)), float(line["value"].iloc[-1]))
    if names_in is not None:
        names_beside(ax, marks, ends, names_in)


def _guess(study: Study, dataset: str, measure: str) -> float | None:
    """What guessing would reach: every class alike."""
    if measure == "auc_macro":
        return results.CHANCE_AUC
    n_classes = len(study.datasets.get(dataset, {}).get("classes", ()))
    return float(np.log(n_classes)) if n_classes else None


def _frame(ax: Axes, rows: pd.DataFrame, bins: list[int], guess: float | None) -> None:
    ends = [] if guess is None else [guess]
    values = np.array([*ends, *rows["value"], *rows["low"], *rows["high"]])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    pad = max(0.01, 0.05 * (high - low))
    ax.set(xlim=(bins[0] - 0.5, bins[-1] + 0.5), ylim=(low - pad, high + pad))


def _ticks(ax: Axes, rows: pd.DataFrame, by: str, bins: list[int]) -> None:
    if by == "saliency":
        names = [str(place + 1) for place in bins]
    else:
        tops = rows.drop_duplicates("bin").set_index("bin")["bin_high"]
        names = ["none" if tops[place] == 0 else f"to {100 * tops[place]:.0f} %" for place in bins]
    ax.set_xticks(bins, names)
