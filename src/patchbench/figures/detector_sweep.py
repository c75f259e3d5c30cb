"""Does it help to ignore noisy patches? Image AUC by the share dropped and who chose them."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from patchbench import plugins, sweep_results
from patchbench.figures import _chance as chance
from patchbench.figures import _style as style
from patchbench.figures._labels import LEADER_IN, NAME_IN, names_beside
from patchbench.results_table import CHANCE_AUC
from patchbench.study import NONE, Study

NEEDS = {"benchmark.detectors": 1}
CAPTION = (
    "Area under the receiver operating characteristic (ROC) curve of image decisions against the "
    "share of patches dropped, the noisiest first, by detector. Left: dropped in training only; "
    "right: in training and of every test image. Patches are fused by the rule that is best on "
    "val, named above each row. Thin line: all patches kept. Grey: as many dropped at random, mean "
    "of five lots, with the paired 95 % interval of its difference to keeping all; black, dashed: "
    "the true masks. Filled points: the paired 95 % interval of the difference to random "
    "excludes zero, one comparison at a time; small dots: it does not. "
    "Dotted line: chance; without it the scale does not go that far."
)
_APPLIED = {"train": "Dropped in training only", "both": "Dropped in training and in test"}
_MAX_METHODS, _LEFT_IN, _BETWEEN_IN, _TOP_IN, _ROWS_APART_IN = 3, 0.58, 0.36, 0.62, 0.42
_MAX_NAMES_IN, _FEWEST_LINES = 1.15, 11
_KEEP_ALL = "keep all"


def data(study: Study, dataset: str) -> pd.DataFrame:
    """One row per method, detector, use, place, share and level, seeds averaged.

    Column ``level``: images ``fused`` by the rule that is best on val, which is drawn, ``image`` by
    the mean of probabilities, or single patches, ``patch``.
    """
    levels = (sweep_results.FUSED, sweep_results.IMAGE, sweep_results.PATCH)
    frame = pd.concat(
        [sweep_results.steps(study, dataset, level).assign(level=level) for level in levels]
    )
    order = ["level", *sweep_results.METHOD, "use", "applied", "detector", "fraction"]
    return frame.sort_values(order, ignore_index=True)


def draw(study: Study, dataset: str) -> Figure:
    """Rows of panels by method, best first, columns by where patches are dropped."""
    frame = sweep_results.steps(study, dataset)
    methods = sweep_results.swept(study, dataset)
    shown = methods[:_MAX_METHODS]
    names = {*frame["detector"], _KEEP_ALL} - {NONE}
    height = NAME_IN * max(_FEWEST_LINES, len(names) + 1)
    below = height + _ROWS_APART_IN
    footer = _facts(study, dataset, methods)
    n_rows = max(1, len(shown))
    fig = style.figure(_TOP_IN + below * n_rows + 0.16 + style.footer_in(footer))
    style.title(fig, f"{dataset}: image AUC when noisy patches are dropped")
    style.footer(fig, footer)
    if not shown:
        ax = style.panel(fig, 0.3, _TOP_IN, style.WIDTH_IN - 0.6, height)
        style.blank(ax, "No detector was swept on this dataset.")
        return fig
    names_in = min(max(style.text_width_in(name) for name in names), _MAX_NAMES_IN)
    room = style.WIDTH_IN - _LEFT_IN - _BETWEEN_IN - 0.06
    width = room / 2 - names_in - LEADER_IN
    for i, method in enumerate(shown):
        rows = sweep_results.of_method(frame[frame["use"] == "filter"], method)
        for j, applied in enumerate(_APPLIED):
            left = _LEFT_IN + j * (width + LEADER_IN + names_in + _BETWEEN_IN)
            ax = style.panel(fig, left, _TOP_IN + i * below, width, height)
            _panel(ax, study, rows, applied, names_in)
            ax.set_ylabel("" if j else "Image AUC-ROC")
            ax.set_xlabel("Share of patches dropped" if i + 1 == n_rows else "")
            if i == 0:
                style.write(fig, left, _TOP_IN - 0.26, _APPLIED[applied], fontsize=style.TEXT_PT)
        name = style.fit(f"{method['label']}, {method['fusion']}", 3.0, style.TEXT_PT)
        style.write(fig, _LEFT_IN, _TOP_IN + i * below - 0.1, name, fontweight="bold")
    return fig


def _facts(study: Study, dataset: str, methods: list[dict[str, Any]]) -> str:
    more = ["scales differ between rows"] if len(methods) > 1 else []
    if study.sweep["use"].eq("weight").any():
        more.append(
            "single patches, decisions by the mean of probabilities, and patches weighed instead "
            "of dropped, are in the table behind this figure"
        )
    if left_out := [str(method["label"]) for method in methods[_MAX_METHODS:]]:
        listed = ", ".join(style.shorten(name, 24) for name in left_out[:4])
        more.append(
            f"in that table, not drawn: {listed}" + (", and more" if len(left_out) > 4 else "")
        )
    return style.facts(study, dataset, *more)


def _panel(ax: Axes, study: Study, rows: pd.DataFrame, applied: str, names_in: float) -> None:
    """One method, its lines named at their right ends; limits are those of both places."""
    dropping = rows[(rows["detector"] != NONE) & rows["applied"].isin(list(_APPLIED))]
    plain = float(rows.loc[rows["detector"] == NONE, "value"].iloc[0])
    _frame(ax, dropping, plain)
    own = dropping[(dropping["applied"] == applied) & dropping["value"].notna()]
    marks = {name: _mark(study, name) for name in sorted(set(own["detector"]))}
    marks[chance.CHANCE] = chance.MARK
    marks[_KEEP_ALL] = style.Mark(style.MUTED, "", "-", False, 1)
    ax.axhline(plain, color=style.MUTED, linewidth=0.7, zorder=1.6)
    ends = {_KEEP_ALL: (1.0, plain)} | chance.line(ax, CHANCE_AUC)
    left, right = ax.get_xlim()
    for name, line in own.groupby("detector"):
        line = line.sort_values("fraction")
        look, x, y = marks[name], line["fraction"].to_numpy(), line["value"].to_numpy()
        path: dict[str, Any] = {"color": look.color, "zorder": look.order}
        if sweep_results.kind_of(study, str(name)) == sweep_results.RANDOM:
            low, high = (plain + line[f"difference_{end}"].to_numpy() for end in ("low", "high"))
            ax.fill_between([0, *x], [plain, *low], [plain, *high], color=look.color, alpha=0.22,
                            linewidth=0, zorder=1.2)  # fmt: skip
        ax.plot([0, *x], [plain, *y], linestyle=look.dash, linewidth=1.2, **path)
        ax.plot(x, y, marker=".", markersize=2.5, linestyle="none", **path)
        apart = (line["random_difference_low"] > 0) | (line["random_difference_high"] < 0)
        ax.plot(x[apart], y[apart], **look.point(3.8))
        ends[str(name)] = (float((x[-1] - left) / (right - left)), float(y[-1]))
    names_beside(ax, marks, ends, names_in)


def _frame(ax: Axes, rows: pd.DataFrame, plain: float) -> None:
    drawn = rows["detector"] == sweep_results.RANDOM
    band = rows.loc[drawn, ["difference_low", "difference_high"]].to_numpy().ravel() + plain
    values = np.array([plain, *rows["value"], *band])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    pad = max(0.005, 0.06 * (high - low))
    largest = float(rows["fraction"].max()) if len(rows) else 1.0
    ax.set(xlim=(0.0, 1.04 * largest), ylim=(low - pad, high + pad))


def _mark(study: Study, detector: str) -> style.Mark:
    """Chance grey, the truth black and dashed, others the colour of their plug-in."""
    kind = sweep_results.kind_of(study, detector)
    if kind == sweep_results.RANDOM:
        return style.Mark(style.CONTROL_COLOR, "o", "-", True, 2)
    if kind == sweep_results.ORACLE:
        return style.Mark(style.CNN_COLOR, "*", style.DASHES[1], False, 4)
    kinds = [
        name
        for name in plugins.available("detectors")
        if name not in (sweep_results.RANDOM, sweep_results.ORACLE)
    ]
    i = kinds.index(kind) if kind in kinds else len(kinds)
    same = [
        n for n in sorted(set(study.sweep["detector"])) if sweep_results.kind_of(study, n) == kind
    ]
    dash = style.DASHES[same.index(detector) % 4]
    return style.Mark(style.COLORS[i % 10], style.MARKERS[i % 10], dash, False, 3)
