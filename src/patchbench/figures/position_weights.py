"""Where does a learned pooling look? The weight of every place of the patch grid, as a map."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure

from patchbench import results_table as results
from patchbench.figures import _style as style
from patchbench.figures._labels import in_lines
from patchbench.study import Study

NEEDS = {"benchmark.fusions": ("position_weights",)}
CAPTION = (
    "What the fusion rule position_weights has learned on val: how much the probabilities of a "
    "patch count, by its place in the image. The number in a cell is its weight over that of equal "
    "places: 1 is the plain mean of probabilities, 0 a place that has no say, and the number of "
    "places, the most there can be, one place that decides alone. Below, where they were run: "
    "the standard deviation of center_gaussian, 1 being half the image's side, and the side of the "
    "box of center_box, 1 being the whole image's, as learned on the same val images; none where "
    "the plain mean was better."
)
_RULE = "position_weights"
_WIDTHS = {
    "center_gaussian": ("width", "Gaussian", np.inf),
    "center_box": ("side", "box side", 1.0),
}
_MAX_MAPS, _TOP_IN, _BETWEEN_IN, _BAR_IN, _LARGEST_IN = 6, 0.62, 0.16, 0.62, 1.7
_MIN_CELL_IN = 0.17
_COLOURS = LinearSegmentedColormap.from_list("less-more", ["#c4c4c4", "#ffffff", "#0072B2"])


def data(study: Study, dataset: str) -> pd.DataFrame:
    """One row per method, rule and number it has learned: means of seeds for weights, else medians.

    Columns ``rule`` (the plug-in of the fusion), ``setting`` (``weight``: of the place ``y``,
    ``x``; else a number of the rule), ``value`` and, for weights, ``relative``: over that of equal
    places. Methods on trial come first, the best image AUC before others.
    """
    config = study.run.get("config", {})
    rules = {name: rule for rule in (_RULE, *_WIDTHS) for name in _named(config, rule)}
    rows = study.learned[study.learned["dataset"] == dataset]
    rows = rows[rows["fusion"].isin(list(rules))]
    # an infinite width is null in the table; the middle one of several seeds is told
    rows = rows.assign(value=rows["value"].fillna(np.inf))
    keys = [*results.METHOD, "fusion", "setting", "y", "x"]
    frame = (
        rows.groupby(keys, sort=False, dropna=False)
        .agg(value=("value", "mean"), middle=("value", "median"), n_seeds=("seed", "nunique"))
        .reset_index()
    )
    frame["rule"] = frame["fusion"].map(rules)
    weights = frame["setting"] == "weight"
    frame["value"] = frame["value"].where(weights, frame.pop("middle"))
    n_places = frame[weights].groupby([*results.METHOD, "fusion"])["value"].transform("count")
    frame["relative"] = frame["value"].where(weights) * n_places
    ranked = results.merge_controls(results.scores(study, dataset, "image"))
    named = ranked[[*results.METHOD, "fusion", "kind", "label"]].assign(rank=np.arange(len(ranked)))
    frame = frame.merge(named, on=[*results.METHOD, "fusion"])
    frame["control"] = frame["kind"] == "control"
    order = ["control", "rank", "setting", "y", "x"]
    return frame.sort_values(order, ignore_index=True).drop(columns=["control", "rank"])


def draw(study: Study, dataset: str) -> Figure:
    """Draw a map per method, one colour bar for all."""
    frame = data(study, dataset)
    maps = [rows for _, rows in _maps(frame)]
    shown = maps[:_MAX_MAPS]
    n_columns = max(1, len(shown))
    room = style.WIDTH_IN - 0.2 - _BAR_IN - 0.1 - _BETWEEN_IN * (n_columns - 1)
    side = min(_LARGEST_IN, room / n_columns)
    words = [_widths(frame, rows) for rows in shown]
    below = 0.13 * max((len(lines) for lines in words), default=0) + 0.2
    footer = _facts(study, dataset, frame, len(maps))
    fig = style.figure(_TOP_IN + side + below + style.footer_in(footer))
    style.title(fig, f"{dataset}: weights of places, learned on val")
    style.footer(fig, footer)
    if not shown:
        ax = style.panel(fig, 0.3, _TOP_IN, style.WIDTH_IN - 0.6, side)
        style.blank(ax, "No weights of places were learned on this dataset.")
        return fig
    most = max(2.0, *(len(rows) for rows in shown))
    several = len({str(rows["fusion"].iloc[0]) for rows in maps}) > 1
    for j, rows in enumerate(shown):
        left, first = 0.1 + j * (side + _BETWEEN_IN), rows.iloc[0]
        lines = in_lines(str(first["label"]), 0.9 * side, brackets=False)
        if several and len(lines) == 1:
            lines.append(style.fit(str(first["fusion"]), side))
        for i, line in enumerate(lines):
            weight = "normal" if i else "bold"
            style.write(fig, left, _TOP_IN - 0.25 + 0.13 * i, line, fontweight=weight)
        _map(style.panel(fig, left, _TOP_IN, side, side), rows, most)
        for i, line in enumerate(words[j]):
            line = style.fit(line, side)
            style.write(fig, left, _TOP_IN + side + 0.12 + 0.13 * i, line, color=style.MUTED)
    _bar(fig, 0.1 + len(shown) * (side + _BETWEEN_IN), side, most)
    return fig


def _maps(frame: pd.DataFrame) -> Any:
    """The weights of each method, in order."""
    weights = frame[frame["setting"] == "weight"]
    return weights.groupby(["label", "patches", "fusion"], sort=False)


def _map(ax: Axes, rows: pd.DataFrame, most: float) -> None:
    """One cell per place; places are ranks of centres, so that they need not be equally far."""
    grid = rows.pivot(index="y", columns="x", values="relative")
    values = grid.to_numpy()
    ax.pcolormesh(
        values,
        cmap=_COLOURS,
        norm=_scale(most),
        edgecolors="white",
        linewidth=4 / len(values) ** 1.2,
    )
    ax.set(xlim=(0, values.shape[1]), ylim=(values.shape[0], 0), xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    side_in = float(ax.get_window_extent().width) / style.page(ax).dpi
    if side_in / max(values.shape) < _MIN_CELL_IN:
        return
    for (i, j), value in np.ndenumerate(values):
        ink = "white" if value > most**0.6 else style.INK
        middle: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 5.6}
        ax.text(j + 0.5, i + 0.5, _short(float(value)), color=ink, **middle)


def _scale(most: float) -> LogNorm:
    """Twice as much is as far from white as half as much; no less than one place's part is told."""
    return LogNorm(1 / most, most, clip=True)


def _short(value: float) -> str:
    """Two digits at most: ``25``, ``7.3``, ``0.5``, ``0``."""
    if np.isnan(value):
        return ""
    return f"{value:.0f}" if value >= 9.95 or value < 0.05 else f"{value:.1f}"


def _widths(frame: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """What the centre rules of the same method have learned, in words."""
    first, found = rows.iloc[0], []
    own = frame[(frame["label"] == first["label"]) & (frame["patches"] == first["patches"])]
    for rule, (setting, word, everywhere) in _WIDTHS.items():
        values = own[(own["rule"] == rule) & (own["setting"] == setting)]["value"]
        if len(values):
            width = float(values.iloc[0])
            found.append(f"{word} {width:.2g}" if width < everywhere else f"no {word.split()[0]}")
    return found


def _bar(fig: Figure, left: float, height: float, most: float) -> None:
    """The colours' meaning, on the right."""
    ax = style.panel(fig, left, _TOP_IN, 0.1, height)
    bar = fig.colorbar(ScalarMappable(_scale(most), _COLOURS), cax=ax)
    ticks = [1 / most, most**-0.5, 1.0, most**0.5, most]
    bar.set_ticks(ticks, labels=["≤ " * (tick == ticks[0]) + _tick(tick) for tick in ticks])
    bar.minorticks_off()
    bar.outline.set_visible(False)
    style.write(fig, left, _TOP_IN - 0.12, "Weight")


def _tick(value: float) -> str:
    return f"{value:.1g}" if value < 1 else f"{value:.0f}"


def _named(config: Mapping[str, Any], rule: str) -> list[str]:
    """Entries of a rule among those that a study runs."""
    entries = config.get("fusions", {})
    asked = config.get("benchmark", {}).get("fusions", [])
    return [name for name in asked if entries.get(name, {}).get("type", name) == rule]


def _facts(study: Study, dataset: str, frame: pd.DataFrame, n_maps: int) -> str:
    classes = study.datasets.get(dataset, {}).get("n_images", {}).get("val", {})
    parts = [f"n = {sum(classes.values())} val images, by which weights are learned"]
    if n_maps:
        n_seeds = int(frame["n_seeds"].max())
        parts.append(f"{n_seeds} seed" if n_seeds == 1 else f"mean of {n_seeds} seeds")
    if classifier := results.common_classifier(study):
        parts.append(f"Patch classifier where none is named: {classifier}")
    if n_maps > _MAX_MAPS:
        parts.append(f"{n_maps - _MAX_MAPS} more are in the table behind this figure")
    return style.signed(study, ". ".join(parts))
