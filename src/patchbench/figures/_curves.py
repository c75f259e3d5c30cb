"""Two panels side by side with a line per method: what happens the more is moved or masked."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from patchbench import experiment_results
from patchbench.figures import _chance as chance
from patchbench.figures import _style as style
from patchbench.figures._labels import LEADER_IN, NAME_IN, names_beside
from patchbench.study import WHOLE_IMAGE, Study

MAX_LINES = 10
_LEFT_IN, _BETWEEN_IN, _TOP_IN, _MAX_NAMES_IN = 0.55, 0.2, 0.58, 1.5


def shown(frame: pd.DataFrame) -> list[str]:
    """Labels of the lines that are drawn: CNNs, and the best of the others."""
    labels = list(dict.fromkeys(frame["label"]))
    cnns = list(dict.fromkeys(frame.loc[frame["patches"] == WHOLE_IMAGE, "label"]))
    rest = [name for name in labels if name not in cnns]
    return rest[: max(0, MAX_LINES - len(cnns))] + cnns[:MAX_LINES]


def side_by_side(
    study: Study,
    frame: pd.DataFrame,
    panels: Mapping[str, str],
    axes: tuple[str, str],
    named: tuple[str, str],
    reason: str,
    guess: float | None = None,
) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    study : Study
    frame : DataFrame
        Columns of a method, ``label``, ``policy``, ``amount``, ``value``, ``low``, ``high``, and
        ``apart``: whether a point is drawn large and filled.
    panels : mapping
        Policy to the heading of its panel.
    axes : tuple of str
        What the horizontal and the vertical axis are.
    named : tuple of str
        Title and footer.
    reason : str
        Why there is nothing to draw, where there is nothing.
    guess : float or None
        What chance would reach.
    """
    labels = shown(frame)
    height = max(2.1, NAME_IN * (len(labels) + 1))
    fig = style.figure(_TOP_IN + height + 0.5 + style.footer_in(named[1]))
    style.title(fig, named[0])
    style.footer(fig, named[1])
    if not frame["value"].notna().any():
        ax = style.panel(fig, 0.3, _TOP_IN, style.WIDTH_IN - 0.6, height)
        style.blank(ax, reason)
        return fig
    names_in = min(max(style.text_width_in(name) for name in labels), _MAX_NAMES_IN)
    room = style.WIDTH_IN - _LEFT_IN - _BETWEEN_IN * (len(panels) - 1) - LEADER_IN - names_in - 0.06
    width = room / len(panels)
    drawn = frame[frame["label"].isin(labels) & frame["value"].notna()]
    for i, (policy, heading) in enumerate(panels.items()):
        left = _LEFT_IN + i * (width + _BETWEEN_IN)
        ax = style.panel(fig, left, _TOP_IN, width, height)
        style.write(fig, left, _TOP_IN - 0.14, heading, fontsize=style.TEXT_PT)
        last = i + 1 == len(panels)
        _panel(ax, study, drawn, policy, guess, names_in if last else None)
        ax.set(xlabel=axes[0], ylabel="" if i else axes[1])
        if i:
            ax.tick_params(labelleft=False)
    return fig


def _panel(
    ax: Axes,
    study: Study,
    frame: pd.DataFrame,
    policy: str,
    guess: float | None,
    names_in: float | None,
) -> None:
    amounts = sorted(set(frame["amount"]))
    values = frame[["value", "low", "high"]].to_numpy(dtype=float)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    pad = max(0.005, 0.05 * (high - low))
    ax.set(xlim=(-0.35, len(amounts) - 0.65), ylim=(low - pad, high + pad))
    ax.set_xticks(range(len(amounts)), [f"{amount:g}" for amount in amounts])
    ax.grid(visible=False, axis="x")
    lines = experiment_results.methods(frame)
    marks = {method["label"]: style.mark(study, method) for method in lines}
    ends = {} if guess is None else chance.line(ax, guess)
    for i, name in enumerate(marks):
        rows = frame[(frame["label"] == name) & (frame["policy"] == policy)].sort_values("amount")
        if rows.empty:
            continue
        aside = 0.36 * ((i + 0.5) / len(marks) - 0.5)
        x = np.array([amounts.index(amount) for amount in rows["amount"]]) + aside
        y, look, apart = rows["value"].to_numpy(), marks[name], rows["apart"].to_numpy(bool)
        ax.plot(x, y, color=look.color, linestyle=look.dash, linewidth=1.1, zorder=look.order)
        ax.vlines(x, rows["low"], rows["high"], color=look.color, linewidth=0.7, alpha=0.6)
        ax.plot(x, y, ".", color=look.color, markersize=2.5, zorder=look.order)
        ax.plot(x[apart], y[apart], **look.point(3.8))
        left, right = ax.get_xlim()
        ends[name] = ((float(x[-1]) - left) / (right - left), float(y[-1]))
    if names_in is not None:
        names_beside(ax, marks | {chance.CHANCE: chance.MARK}, ends, names_in)


def left_out(frame: pd.DataFrame) -> list[str]:
    """A part of the footer on methods that are not drawn."""
    return style.not_drawn(frame["label"].nunique() - len(shown(frame)))
