"""Are votes as often right as they say? Accuracy against confidence, two ways."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from patchbench import results_table as results
from patchbench.calibration import WHOLE
from patchbench.figures import _style as style
from patchbench.figures._labels import HEAD_LINE_IN, in_lines
from patchbench.study import Study

CAPTION = (
    "How often a prediction is right against how sure it is (probability of the likeliest class), "
    "test predictions in fifteen bins of equal width. Above: single patches, each scored by the "
    "label of its image; below: images, by the mean of the probabilities of their patches. Hollow, "
    "dashed: probabilities as the classifier gives them; filled: after its patch logits were "
    "divided by one temperature T that was fitted to val patches. Below the dotted line a method "
    "is surer than it is right, above it less sure. ECE: expected calibration error, the mean "
    "distance to that line, which chance raises where predictions are few. Bars: 95 % bootstrap "
    "intervals over test images; faint: fewer than ten predictions."
)
_LEVELS = {"patch": "Accuracy of patches", "image": "Accuracy of images"}
_WAYS = {False: "as the classifier gives them", True: "after calibration"}
_MAX_METHODS, _FEW = 5, 10
_LEFT_IN, _BETWEEN_IN, _TOP_IN, _ROWS_APART_IN, _KEY_IN = 0.5, 0.13, 1.0, 0.34, 0.36
_LARGEST_IN = 1.7
_BEFORE = style.Mark(style.MUTED, "o", (0, (3, 1.5)), True, 2)


def data(study: Study, dataset: str) -> pd.DataFrame:
    """One row per method, level, way and bin (-1: all of them), seeds averaged.

    Methods on trial come first, the lowest log-loss of images after calibration before others.
    """
    rows = study.reliability[study.reliability["dataset"] == dataset]
    keys = [*results.METHOD, "level", "calibrated", "measure", "bin"]
    means = ("temperature", "confidence", "value", "share", "n_predictions")
    groups = rows.groupby(keys, sort=False)
    frame = groups.agg(
        **{name: (name, "mean") for name in means},
        n_images=("n_images", "max"),
        n_seeds=("seed", "nunique"),
    )
    frame = frame.join(results.mean_ends(groups)).reset_index()
    records: list[dict[str, Any]] = [
        {str(key): value for key, value in row.items()} for row in frame.to_dict("records")
    ]
    frame["kind"] = [
        results.kind(study, r["patches"], r["encoder"], r["classifier"]) for r in records
    ]
    frame["label"] = [results.label(study, r) for r in records]
    whole = (frame["measure"] == "log_loss") & (frame["level"] == "image") & frame["calibrated"]
    loss = frame[whole].groupby("label")["value"].min()
    frame = frame.assign(control=frame["kind"] == "control", loss=frame["label"].map(loss))
    order = ["control", "loss", "label", *keys[len(results.METHOD) :]]
    return frame.sort_values(order, ignore_index=True).drop(columns=["control", "loss"])


def draw(study: Study, dataset: str) -> Figure:
    """Draw a column per method, patches above images."""
    frame = data(study, dataset)
    shown = frame[frame["kind"] == "patch"]
    labels = list(dict.fromkeys(shown["label"]))
    methods = labels[:_MAX_METHODS]
    n_columns = max(1, len(methods))
    room = style.WIDTH_IN - _LEFT_IN - 0.1 - _BETWEEN_IN * (n_columns - 1)
    side = min(_LARGEST_IN, room / n_columns)
    heads = [_head(method, 0.92 * side) for method in methods]
    top_in = _TOP_IN + HEAD_LINE_IN * (max([1, *map(len, heads)]) - 1)
    below, footer = side + _ROWS_APART_IN, _facts(study, dataset, shown, labels)
    fig = style.figure(top_in + below + side + 0.5 + style.footer_in(footer))
    style.title(fig, f"{dataset}: reliability before and after calibration")
    style.footer(fig, footer)
    if not methods:
        ax = style.panel(fig, 0.3, top_in, style.WIDTH_IN - 0.6, 2 * side)
        style.blank(ax, "No patch method's reliability was measured on this dataset.")
        return fig
    _key(fig)
    for j, method in enumerate(methods):
        own, left = shown[shown["label"] == method], _LEFT_IN + j * (side + _BETWEEN_IN)
        scale = own.loc[own["calibrated"], "temperature"].iloc[0]
        for line, name in enumerate(reversed(heads[j])):
            style.write(fig, left, top_in - 0.38 - HEAD_LINE_IN * line, name, fontweight="bold")
        style.write(fig, left, top_in - 0.24, f"T = {scale:.3g}")
        for i, level in enumerate(_LEVELS):
            top, rows = top_in + i * below, own[own["level"] == level]
            style.write(fig, left, top - 0.09, _errors(rows))
            ax = style.panel(fig, left, top, side, side)
            _panel(ax, study, rows)
            ax.set_ylabel("" if j else _LEVELS[level])
            ax.tick_params(labelleft=not j, labelbottom=bool(i))
    middle = _LEFT_IN + (len(methods) * (side + _BETWEEN_IN) - _BETWEEN_IN) / 2
    text = "Confidence: probability of the likeliest class"
    if len(methods) == 1:
        text, middle = text.partition(":")[0], _LEFT_IN + side / 2
    style.write(fig, middle, top_in + below + side + 0.33, text, ha="center", fontsize=7.5)
    return fig


def _head(method: str, width_in: float) -> list[str]:
    """Name of a method, in two lines where one is too short for it."""
    if style.text_width_in(method) <= width_in:
        return [method]
    return in_lines(method, width_in)


def _key(fig: Figure) -> None:
    """Above the panels: what hollow and filled points are."""
    width, height = fig.get_size_inches()
    left = _LEFT_IN
    for calibrated, text in _WAYS.items():
        look = style.Mark(style.INK, "o", "-", False, 3) if calibrated else _BEFORE
        y = 1 - _KEY_IN / height
        ends = [left / width, (left + 0.3) / width]
        line: dict[str, Any] = {"color": look.color, "transform": fig.transFigure}
        fig.add_artist(Line2D(ends, [y, y], linestyle=look.dash, linewidth=1.0, **line))
        point = look.point(3.6) | line
        fig.add_artist(Line2D([sum(ends) / 2], [y], **point))
        style.write(fig, left + 0.37, _KEY_IN, text)
        left += 0.37 + style.text_width_in(text) + 0.3


def _errors(rows: pd.DataFrame) -> str:
    """``ECE 0.12 → 0.03``."""
    own = rows[rows["measure"] == "ece"]
    before, after = (own.loc[own["calibrated"] == way, "value"].mean() for way in _WAYS)
    return f"ECE {style.number(before)} → {style.number(after)}"


def _panel(ax: Axes, study: Study, rows: pd.DataFrame) -> None:
    """Accuracy against confidence, both ways, on the line where they are equal."""
    ticks = [0.0, 0.5, 1.0]
    ax.set(xlim=(0, 1), ylim=(0, 1), xticks=ticks, yticks=ticks)
    # names of neighbouring panels meet at 0 and 1 otherwise
    ax.set_xticklabels(["0", "0.5", "1"])
    ax.set_yticklabels(["0", "0.5", "1"])
    ax.plot([0, 1], [0, 1], color=style.MUTED, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1.5)
    for calibrated in _WAYS:
        chosen = (rows["measure"] == "accuracy") & (rows["calibrated"] == calibrated)
        bins = rows[chosen & (rows["bin"] > WHOLE) & rows["value"].notna()].sort_values("bin")
        if bins.empty:
            continue
        method = {str(key): value for key, value in bins.iloc[0].to_dict().items()}
        own = style.mark(study, method)
        # one hue for what the method gives after calibration, grey for what it gave before
        look = style.Mark(own.color, own.marker, "-", False, 3) if calibrated else _BEFORE
        many = (bins["n_predictions"] >= _FEW).to_numpy()
        x, y = bins["confidence"].to_numpy(), bins["value"].to_numpy()
        solid = np.where(many, y, np.nan)
        path: dict[str, Any] = {"color": look.color, "zorder": look.order}
        ax.plot(x, solid, linestyle=look.dash, linewidth=1.1, **path)
        for drawn, alpha in ((many, 1.0), (~many, 0.3)):
            part = bins[drawn]
            ax.vlines(x[drawn], part["low"], part["high"], linewidth=0.7, alpha=0.7 * alpha, **path)
            ax.plot(x[drawn], y[drawn], alpha=alpha, clip_on=False, **look.point(3.2))


def _facts(study: Study, dataset: str, shown: pd.DataFrame, labels: list[str]) -> str:
    patches = shown[(shown["level"] == "patch") & (shown["bin"] == WHOLE)]["n_predictions"]
    more = []
    if len(patches):
        counts = sorted({int(n) for n in patches})
        span = f"{counts[0]:,}" + (f" to {counts[-1]:,}" if len(counts) > 1 else "")
        more.append(f"{span} test patches")
        more.append("T: temperature; ECE: expected calibration error, before and after")
        asked = study.run.get("config", {}).get("calibration", "none")
        saw = "calibrated logits" if asked == "temperature" else "logits as they are"
        more.append(f"fusion rules saw {saw} (setting calibration: {asked})")
        more.append("controls are in the table behind this figure")
    if len(labels) > _MAX_METHODS:
        more[-1] += f", with {len(labels) - _MAX_METHODS} more methods"
    return style.facts(study, dataset, *more)
