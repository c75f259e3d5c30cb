"""One look for all figures: size, colours, marks, notes below.

Colours: Okabe and Ito, "Color universal design" (2008), extended by Tol's muted scheme
(SRON/EPS/TN/09-002). Seen without one kind of cone (Machado et al., IEEE TVCG 2009), the first nine
are 11 or more units of CIEDE2000 apart, the tenth 5; marks differ too, so that grey prints work.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath

from patchbench import fonts
from patchbench.results_table import common_classifier, entries, is_control, on_trial
from patchbench.study import WHOLE_IMAGE, Study

WIDTH_IN = 7.0
INK, MUTED, GRID = "#1a1a1a", "#666666", "#e4e4e4"
CNN_COLOR, CONTROL_COLOR = "#2b2b2b", "#a6a6a6"
SPLIT_COLORS = {"train": "#3f5a7a", "val": "#8aa4c0", "test": "#c9d5e2"}
COLORS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#332288",
    "#882255",
    "#661100",
    "#999933",
)
MARKERS = "osD^vPX<>h"
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)))
TEXT_PT, SMALL_PT = 7.5, 7.0
BLANK = "\N{EN DASH}"
KEY_LINE_IN = 0.135
_FOOTER_CHARS, _LINE_IN = 124, 0.13

RC: dict[Any, Any] = {
    "font.size": TEXT_PT,
    "text.parse_math": False,  # a "$" in a name is a "$"
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#8c8c8c",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "xtick.color": "#8c8c8c",
    "ytick.color": "#8c8c8c",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.solid_capstyle": "round",
    "figure.dpi": 100,
    "savefig.dpi": 220,
    "svg.fonttype": "path",  # the same picture on a machine with other fonts
    "svg.hashsalt": "patchbench",  # the same bytes for the same picture
    "pdf.fonttype": 42,
}


def look(names: str = "") -> AbstractContextManager[None]:
    """Context under which every figure is drawn and saved; ``names`` are those that users chose."""
    return fonts.look(RC, names)


@dataclass(frozen=True)
class Mark:
    """How one method is drawn everywhere."""

    color: str
    marker: str
    dash: Any
    hollow: bool
    order: int

    @property
    def ink(self) -> str:
        """The colour for text: dark enough to be read on white."""
        red, green, blue = to_rgb(self.color)
        return to_hex((0.62 * red, 0.62 * green, 0.62 * blue))

    def point(self, size: float = 4.5) -> dict[str, Any]:
        """Arguments of ``plot`` for a point."""
        face = "white" if self.hollow else self.color
        return {
            "marker": self.marker,
            "markersize": size * (1.5 if self.marker == "*" else 1.0),
            "markerfacecolor": face,
            "markeredgecolor": self.color,
            "markeredgewidth": 0.9,
            "linestyle": "none",
            "zorder": self.order + 0.5,
        }


def mark(study: Study, method: Mapping[str, Any]) -> Mark:
    """Colour by encoder, dash by classifier and patches; CNNs dark, controls light and hollow."""
    encoder, classifier = str(method["encoder"]), str(method["classifier"])
    if method["patches"] == WHOLE_IMAGE:
        whole = study.metrics["patches"] == WHOLE_IMAGE
        i = _place(sorted(set(study.metrics.loc[whole, "encoder"])), study, "cnns", encoder)
        return Mark(CNN_COLOR, "*pHd"[i % 4], DASHES[i % 4], i >= 4, 4)
    if is_control(study, "classifiers", classifier):
        return Mark(CONTROL_COLOR, "x", DASHES[2], True, 2)
    if is_control(study, "encoders", encoder):
        return Mark(CONTROL_COLOR, "o", "-", True, 2)
    i = _place(on_trial(study, "encoders"), study, "encoders", encoder)
    classifiers, cuts = on_trial(study, "classifiers"), entries(study, "patches")
    variant = classifiers.index(classifier) if classifier in classifiers else 0
    variant += len(classifiers) * _place(cuts, study, "patches", str(method["patches"]))
    return Mark(COLORS[i % 10], MARKERS[i % 10], DASHES[variant % 4], variant % 2 == 1, 3)


def _place(measured: list[str], study: Study, group: str, name: str) -> int:
    """Place of a name among those with results; one without results follows them, in order."""
    others = sorted({*study.methods.get(group, {}), name} - {*measured})
    return [*measured, *others].index(name)


def figure(height_in: float) -> Figure:
    """Make an empty figure of the printed width, outside of pyplot's global state."""
    fig = Figure(figsize=(WIDTH_IN, height_in))
    FigureCanvasAgg(fig)
    return fig


def panel(fig: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes placed in inches from the figure's top left corner."""
    full_width, full_height = fig.get_size_inches()
    bottom = full_height - top - height
    box = left / full_width, bottom / full_height, width / full_width, height / full_height
    return fig.add_axes(box)


def page(ax: Axes) -> Figure:
    """The whole figure that a panel stands on."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("the panel stands on no figure")
    return figure


def write(fig: Figure, left: float, top: float, text: str, **options: Any) -> None:
    """Put text at a place given in inches from the top left corner."""
    full_width, full_height = fig.get_size_inches()
    merged: dict[str, Any] = {"fontsize": SMALL_PT, "va": "center"} | options
    fig.text(left / full_width, 1 - top / full_height, text, **merged)


def blank(ax: Axes, reason: str) -> None:
    """Empty a panel and say why it is empty."""
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    text = "\n".join(wrap(reason, 44))
    ax.text(0.5, 0.5, text, ha="center", va="center", color=MUTED, transform=ax.transAxes)


def title(fig: Figure, text: str) -> None:
    """Write the figure's name, small, top left."""
    write(fig, 0.1, 0.14, shorten(text, 90), fontsize=8.5, fontweight="bold")


def footer_in(text: str) -> float:
    """Height in inches that :func:`footer` needs for ``text``."""
    return _LINE_IN * len(wrap(text, _FOOTER_CHARS)) + 0.08


def footer(fig: Figure, text: str) -> None:
    """How many images and seeds, which interval: small, at the very bottom."""
    lines = wrap(text, _FOOTER_CHARS)
    height = float(fig.get_size_inches()[1])
    for i, line in enumerate(lines):
        top = height - 0.02 - _LINE_IN * (len(lines) - i - 0.5)
        write(fig, 0.1, top, line, color=MUTED)


def facts(study: Study, dataset: str, *more: str) -> str:
    """Footer text: test images, seeds, ``more``, study and commit."""
    rows = study.metrics[study.metrics["dataset"] == dataset]
    counts = sorted(set(rows["n_images"]))
    parts = []
    if counts:
        span = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        parts.append(f"n = {span} test images")
    if len(rows):
        parts.append(seeds(rows))
    classifier = common_classifier(study)
    if classifier:
        parts.append(f"patch classifier where none is named: {classifier}")
    parts += more
    text = ". ".join(part[0].upper() + part[1:] if i else part for i, part in enumerate(parts))
    return signed(study, text)


def seeds(rows: pd.DataFrame) -> str:
    """How many seeds a table has, and which."""
    found = sorted(set(rows["seed"]))
    names = ", ".join(str(seed) for seed in found[:6]) + (", ..." if len(found) > 6 else "")
    return f"{len(found)} {'seed' if len(found) == 1 else 'seeds'} ({names})"


def signed(study: Study, text: str) -> str:
    """Footer text with the study and the commit it comes from."""
    commit = str(study.run.get("commit") or "")[:10]
    return f"{text}. Study {study.name}" + (f", commit {commit}." if commit else ".")


def shorten(text: str, n_chars: int) -> str:
    """Cut the middle out of a long name."""
    if len(text) <= n_chars:
        return text
    head = (n_chars - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (n_chars - 1 - head) :]}"


def text_width_in(text: str, size_pt: float = SMALL_PT) -> float:
    """Width of ``text`` in inches; a little more than drawn, for hinting widens letters."""
    if not text.strip():
        return 0.0
    return float(np.ptp(TextPath((0, 0), text, size=size_pt).vertices[:, 0])) / 68


def fit(text: str, width_in: float, size_pt: float = SMALL_PT) -> str:
    """Shorten ``text`` to a width in inches; the part after the last " · " is kept if it can be."""
    if text_width_in(text, size_pt) <= width_in:
        return text
    head, between, tail = text.rpartition(" · ")
    if text_width_in(tail, size_pt) > 0.7 * width_in:
        head, between, tail = text, "", ""
    n_chars = len(head)
    while n_chars > 3 and text_width_in(text, size_pt) > width_in:
        n_chars -= 1
        text = shorten(head, n_chars) + between + tail
    return text


def number(value: float, digits: int = 3) -> str:
    """Write a number for a label; a dash where there is none."""
    if pd.isna(value):
        return BLANK
    text = f"{round(float(value), digits) + 0.0:.{digits}f}"  # the sum makes a zero of -0
    return text.replace("-", "\N{MINUS SIGN}")


def interval(row: Mapping[str, Any]) -> str:
    """``0.912 [0.890, 0.931]``, as far as it is known."""
    if pd.isna(row["value"]):
        return "not defined"
    if pd.isna(row["low"]) or pd.isna(row["high"]):
        return f"{number(row['value'])} [no interval]"
    return f"{number(row['value'])} [{number(row['low'])}, {number(row['high'])}]"


def key(
    fig: Figure, study: Study, frame: pd.DataFrame, left: float, top: float, width: float
) -> None:
    """Below a panel, one line per method, best first: its line and mark, name, AUC, interval."""
    full_width, full_height = fig.get_size_inches()
    for i, row in enumerate(frame.to_dict("records")):
        method = {str(k): v for k, v in row.items()}
        style, y = mark(study, method), top + KEY_LINE_IN * (i + 0.5)
        handle = Line2D(
            [left / full_width, (left + 0.26) / full_width],
            [1 - y / full_height] * 2,
            color=style.color,
            linestyle=style.dash,
            linewidth=1.5,
            transform=fig.transFigure,
        )
        point = style.point(3.6) | {"color": style.color}
        middle = (left + 0.13) / full_width
        fig.add_artist(handle)
        fig.add_artist(Line2D([middle], [1 - y / full_height], transform=fig.transFigure, **point))
        write(fig, left + 0.34, y, fit(str(method["label"]), width - 1.75))
        write(fig, left + width, y, interval(method), ha="right")


def not_drawn(n_hidden: int) -> list[str]:
    """What a footer says of methods that there is no room for; empty where all are drawn."""
    if n_hidden <= 0:
        return []
    methods = "1 more method is" if n_hidden == 1 else f"{n_hidden} more methods are"
    return [f"{methods} in the table behind this figure"]
