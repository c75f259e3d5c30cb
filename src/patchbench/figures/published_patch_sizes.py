"""What BagNets that see little of an image reach: as published on ImageNet, and here."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from patchbench import literature
from patchbench import results_table as results
from patchbench.evaluation import preferred_fusion
from patchbench.figures import _style as style
from patchbench.figures._labels import LEADER_IN, names_beside
from patchbench.study import WHOLE_IMAGE, Study

NEEDS = {"literature": ("patch_sizes",)}
CAPTION = (
    "Accuracy of BagNets against the side of what one of their features sees. Left, published: "
    "top-5 accuracy (the true class is among the five likeliest) on the 50,000 validation images "
    "of ImageNet, 1,000 classes, with networks that see the whole image; the cross is of the paper"
    " on BagNets (Brendel and Bethge, 2019), all else of a collection of converted networks. "
    "Right, measured here on test images: accuracy of image decisions by one fusion rule, fixed "
    "beforehand, a line for each way to cut patches, and of whole-image networks; 95 % bootstrap "
    "intervals. The panels differ in images, classes and measure, so that only their shapes "
    "compare."
)
_HEIGHT_IN, _TOP_IN, _LEFT_IN, _BETWEEN_IN, _NAMES_IN = 2.3, 0.52, 0.62, 0.5, 0.95
_MARGIN = 0.3  # beside the outer sides, in log2 px
_PUBLISHED, _HERE = "published", "here"
_PAPER, _BAGNETS = "BagNet (paper)", "BagNets"


def data(study: Study, dataset: str) -> pd.DataFrame:
    """A row per BagNet or whole-image network.

    Returns
    -------
    frame : DataFrame
        ``where``: published or here; ``line`` that it is on; ``method``; ``field_px``, the side of
        what a feature sees, null for the whole image; ``measure, value, low, high, n_images,
        source``; and what names a method here: ``patches, encoder, classifier, detector, kind``.
    """
    said = literature.published_patch_sizes()
    field_px = said["method"].str.extract(r"^bagnet(\d+)$")[0].astype(float)
    alone = said["source"].str.startswith("Brendel")
    names = said["method"].map(literature.TOP5_NAMES)
    lines = np.where(alone, _PAPER, np.where(field_px.notna(), _BAGNETS, names))
    said = said.assign(where=_PUBLISHED, line=lines, method=names, field_px=field_px)
    return pd.concat([said.drop(columns=["policy", "amount"]), _ours(study, dataset)])


def _ours(study: Study, dataset: str) -> pd.DataFrame:
    """Accuracy of the BagNets and whole-image networks of a study."""
    rows = results.with_one_fusion(results.scores(study, dataset, "image", "accuracy"))
    specs = study.run["config"].get("encoders", {})
    fields = {name: _field_px(name, spec or {}) for name, spec in specs.items()}
    rows["field_px"] = rows["encoder"].map(fields).where(rows["kind"] == "patch").astype(float)
    rows = rows[(rows["kind"] == "cnn") | rows["field_px"].notna()]
    several = rows.loc[rows["kind"] == "patch", "classifier"].nunique() > 1
    by = ["patches", "classifier"] if several else ["patches"]
    lines = rows[by].agg(" · ".join, axis=1) if len(rows) else rows["patches"]
    rows["line"] = lines.where(rows["kind"] == "patch", rows["encoder"])
    rows["method"] = rows["encoder"]
    return rows.assign(where=_HERE, measure="accuracy", source="this study")


def _field_px(name: str, spec: Mapping[str, Any]) -> float:
    """Side of what a feature of a BagNet entry sees, px; NaN for other encoders."""
    if spec.get("type", name) != "bagnet":
        return float("nan")
    return float(spec.get("receptive_field_px", 17))


def draw(study: Study, dataset: str) -> Figure:
    """Two panels of one scale each; lines and networks are named at their right."""
    frame = data(study, dataset)
    footer = _facts(study, dataset, frame)
    fig = style.figure(_TOP_IN + _HEIGHT_IN + 0.48 + style.footer_in(footer))
    style.title(fig, f"{dataset}: how little a BagNet may see, as published and here")
    style.footer(fig, footer)
    width = (style.WIDTH_IN - _LEFT_IN - _BETWEEN_IN - 0.06) / 2 - LEADER_IN - _NAMES_IN
    headings = {_PUBLISHED: "Published: ImageNet, top-5", _HERE: f"Here: {dataset}"}
    for i, (where, heading) in enumerate(headings.items()):
        left = _LEFT_IN + i * (width + LEADER_IN + _NAMES_IN + _BETWEEN_IN)
        ax = style.panel(fig, left, _TOP_IN, width, _HEIGHT_IN)
        ax.set_title(style.fit(heading, width + 1), fontsize=style.TEXT_PT, loc="left", pad=4)
        own = frame[(frame["where"] == where) & frame["value"].notna()]
        if own["field_px"].isna().all():
            style.blank(ax, "No accuracy of a BagNet in this study.")
            continue
        _panel(ax, study, own)
        ax.set_ylabel("" if i else "Accuracy")
    return fig


def _panel(ax: Axes, study: Study, rows: pd.DataFrame) -> None:
    """Lines of BagNets over their fields, whole-image networks across, names at the right."""
    sides = np.unique(rows["field_px"].dropna())
    _frame(ax, rows, sides)
    marks: dict[Any, style.Mark] = {}
    ends: dict[str, tuple[float, float]] = {}
    lines = list(dict.fromkeys(rows.loc[rows["field_px"].notna(), "line"]))
    left, right = ax.get_xlim()
    for name, line in rows.groupby("line", sort=False):
        look = marks[name] = _mark(study, line.iloc[0].to_dict(), lines)
        line = line.sort_values("field_px")
        at, value = np.log2(line["field_px"].to_numpy()), line["value"].to_numpy()
        if np.isnan(at).any():
            ax.axhline(value[0], color=look.color, linestyle=look.dash, linewidth=1.0, zorder=2)
            ends[str(name)] = (1.0, float(value[0]))
            continue
        ax.plot(at, value, color=look.color, linestyle=look.dash, linewidth=1.2, zorder=3)
        if line["low"].notna().any():
            ax.vlines(at, line["low"], line["high"], color=look.color, linewidth=0.8, zorder=3)
        ax.plot(at, value, **look.point(4.6))
        ends[str(name)] = (float((at[-1] - left) / (right - left)), float(value[-1]))
    names_beside(ax, marks, ends, _NAMES_IN)


def _frame(ax: Axes, rows: pd.DataFrame, sides: np.ndarray) -> None:
    ends = rows[["value", "low", "high"]].to_numpy(float)
    low, high = np.nanmin(ends), np.nanmax(ends)
    room, x = 0.06 * (high - low) + 0.01, np.log2(sides)
    ax.set(xlim=(x[0] - _MARGIN, x[-1] + _MARGIN), ylim=(low - room, min(high + room, 1.01)))
    ax.xaxis.set_major_locator(FixedLocator(list(x)))
    ax.set_xticklabels([f"{side:.0f}" for side in sides])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    ax.set_xlabel("Side of what a feature sees, px")


def _mark(study: Study, row: Mapping[Any, Any], lines: list[str]) -> style.Mark:
    """Published ones in greys; ours by line, for a line joins several encoders."""
    if row["where"] == _HERE and row["patches"] == WHOLE_IMAGE:
        return style.mark(study, row)
    if row["line"] not in lines:  # a published network that sees the whole image
        i = list(literature.TOP5_NAMES.values()).index(row["line"])
        return style.Mark(style.CNN_COLOR, "", style.DASHES[1 + i % 3], False, 2)
    i = lines.index(row["line"])
    if row["where"] == _PUBLISHED:
        return style.Mark(style.INK, "x" if row["line"] == _PAPER else "D", "-", True, 3 + i)
    return style.Mark(style.COLORS[i % 10], style.MARKERS[i % 10], style.DASHES[i % 4], False, 3)


def _facts(study: Study, dataset: str, frame: pd.DataFrame) -> str:
    ours = frame[frame["where"] == _HERE]
    rule = preferred_fusion(ours.loc[ours["kind"] == "patch", "fusion"])
    sources = "; ".join(dict.fromkeys(frame.loc[frame["where"] == _PUBLISHED, "source"]))
    more = [f"fusion of patch methods: {rule}"] if len(ours) else []
    more.append(f"chance: 0.5 % published, {1 / len(study.datasets[dataset]['classes']):.0%} here")
    return style.facts(study, dataset, *more, f"published, n = 50,000 images: {sources}")
