"""How large should a patch be? AUC and accuracy, of images and single patches, by its side."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from patchbench import results_table as results
from patchbench.evaluation import preferred_fusion
from patchbench.figures import _chance as chance
from patchbench.figures import _style as style
from patchbench.figures._labels import LEADER_IN, NAME_IN, names_beside, without_bars
from patchbench.study import WHOLE_IMAGE, Study

CAPTION = (
    "Area under the receiver operating characteristic (ROC) curve (AUC), above, and accuracy, "
    "below, against the side of a patch. Left: image decisions by one fusion rule, fixed "
    "beforehand, with whole-image networks as bands. Right: single test patches, each scored by "
    "the label of its image. Points of one column stand side by side so that bars can be told "
    "apart. Bars and bands: 95 % bootstrap intervals over test images; dotted line: AUC by chance. "
    "Controls, in grey: random projections, colours, raw pixels, class frequencies."
)
_LEVELS = {"image": "Images", "patch": "Single patches"}
_AUC, _ACCURACY = "auc_macro", "accuracy"
_METRICS = {_AUC: "AUC-ROC", _ACCURACY: "Accuracy"}
_MAX_LINES, _LEFT_IN, _BETWEEN_IN, _MAX_NAMES_IN = 16, 0.5, 0.42, 1.3
_ROWS_APART_IN, _MARGIN = 0.3, 0.32  # margin beside the outer sizes, in log2 px
Marks = dict[Any, style.Mark]
Ends = dict[str, tuple[float, float]]
"""Where each line ends: fraction of the axes' width, value."""


def data(study: Study, dataset: str) -> pd.DataFrame:
    """Seeds averaged, a row per metric, level, method, patches entry; ``line`` joins the sizes."""
    rows = pd.concat([_level(study, dataset, level) for level in _LEVELS], ignore_index=True)
    patches = sorted(set(rows["patches"]) - {WHOLE_IMAGE})
    rows = rows.merge(_sizes(study, dataset, patches), on="patches", how="left")
    rows["variant"] = rows["variant"].fillna("")
    rows["line"] = [
        f"{name} · {variant}" if variant else name
        for name, variant in zip(rows["label"], rows["variant"], strict=True)
    ]
    order = ["metric", "level", "value", "line"]
    return rows.sort_values(order, ascending=[False, True, False, True], ignore_index=True)


def _level(study: Study, dataset: str, level: str) -> pd.DataFrame:
    """Both metrics of the same methods: which combination stands for a control, AUC decides."""
    auc = results.scores(study, dataset, level, _AUC)
    if level == "image":
        auc = results.with_one_fusion(auc)
    auc = results.merge_controls(auc.assign(label=_names(study, auc)), per_patches=True)
    keys = [*results.METHOD, "fusion"]
    accuracy = results.scores(study, dataset, level, _ACCURACY).drop(columns="label")
    accuracy = accuracy.merge(auc[[*keys, "label"]], on=keys)
    parts = [auc.assign(metric=_AUC), accuracy.assign(metric=_ACCURACY)]
    return pd.concat(parts, ignore_index=True).assign(level=level)


def _names(study: Study, frame: pd.DataFrame) -> list[str]:
    records = [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]
    names = [results.label(study, row, with_patches=False) for row in records]
    return [name.removesuffix(" (control)") for name in names]  # grey says it


def _sizes(study: Study, dataset: str, patches: list[str]) -> pd.DataFrame:
    """Side and stride of every patches entry, and what tells entries of one side apart.

    Sizes are joined at the same stride, or at the same overlap, whichever takes fewer lines;
    where sides are all different nothing needs telling.
    """
    asked = study.run.get("config", {}).get("patches", {})
    found = [
        asked.get(name, {}) | study.extraction.get(f"{dataset}/{name}", {}) for name in patches
    ]
    frame = pd.DataFrame({"patches": pd.Series(patches, dtype=object)})
    for column in ("patch_size_px", "stride_px"):
        frame[column] = [float(settings.get(column, np.nan)) for settings in found]
    side, stride = frame["patch_size_px"], frame["stride_px"]
    ways = (
        [""] * len(frame),
        [f"stride {s:g} px" for s in stride],
        [f"{100 * (1 - s / p):.0f} % overlap" for s, p in zip(stride, side, strict=True)],
        [f"({name})" for name in patches],
    )
    fits = [way for way in ways if not pd.DataFrame({"side": side, "way": way}).duplicated().any()]
    return frame.assign(variant=min(fits, key=lambda way: len(set(way)), default=""))


def draw(study: Study, dataset: str) -> Figure:
    """Rows of panels by metric, columns by level; a line per method, named at its right end."""
    frame = data(study, dataset)
    shown, lines, n_hidden = _to_draw(frame)
    about = _about_sizes(np.unique(shown["patch_size_px"].dropna()))
    height = max(2.2, NAME_IN * (len(lines) + 2))
    top, below = 0.66 if about else 0.48, height + _ROWS_APART_IN
    footer = _facts(study, dataset, frame, n_hidden)
    fig = style.figure(top + below + height + 0.48 + style.footer_in(footer))
    style.title(fig, f"{dataset}: AUC and accuracy against patch size")
    style.footer(fig, footer)
    style.write(fig, 0.1, 0.34, about, color=style.MUTED)
    named_in = max([style.text_width_in(line) for line in lines], default=0.0)
    names_in = float(np.clip(named_in, 0.6, _MAX_NAMES_IN))
    width = (style.WIDTH_IN - _LEFT_IN - _BETWEEN_IN - 0.06) / 2 - names_in - LEADER_IN
    for i, metric in enumerate(_METRICS):
        for j, level in enumerate(_LEVELS):
            left = _LEFT_IN + j * (width + LEADER_IN + names_in + _BETWEEN_IN)
            ax = style.panel(fig, left, top + i * below, width, height)
            _panel(ax, study, shown, lines, (metric, level), names_in)
            ax.set_title("" if i else _LEVELS[level], fontsize=style.TEXT_PT, loc="left", pad=4)
            ax.set_ylabel("" if j or not ax.lines else _METRICS[metric])
            ax.set_xlabel("Side of a patch, px" if i and ax.lines else "")
    return fig


def _to_draw(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str], int]:
    """Rows of the lines that are drawn, these lines, best AUC first, and how many are not."""
    known = frame[frame["value"].notna()]
    known = known[known["patch_size_px"].notna() | (known["patches"] == WHOLE_IMAGE)]
    # AUC sorts before accuracy, so that the latter only ranks lines without any AUC
    ranked = known.sort_values(["metric", "value"], ascending=False)
    best = ranked.drop_duplicates("line").reset_index(drop=True)
    lines = list(results.at_most(best, _MAX_LINES)["line"])
    return known[known["line"].isin(lines)], lines, len(best) - len(lines)


def _panel(
    ax: Axes,
    study: Study,
    shown: pd.DataFrame,
    lines: list[str],
    which: tuple[str, str],
    names_in: float,
) -> None:
    """One metric at one level; axes are those of all panels of the metric."""
    metric, level = which
    sizes = np.unique(shown["patch_size_px"].dropna())
    of_metric = shown[shown["metric"] == metric]
    rows = of_metric[of_metric["level"] == level]
    if rows.empty or not len(sizes):
        name = "AUC" if metric == _AUC else "accuracy"
        style.blank(ax, f"No {level}-level {name} of a known patch size in this study.")
        return
    _frame(ax, of_metric, sizes)
    guess = chance.line(ax, results.CHANCE_AUC) if metric == _AUC else {}
    # variants of all lines, so that a line has the same dashes in every panel
    variants = sorted(set(shown["variant"]) - {""})
    marks = {line: _mark(study, own, variants) for line, own in rows.groupby("line")}
    ends = _lines(ax, marks, rows, sizes, lines) | _bands(ax, marks, rows) | guess
    names_beside(ax, marks | {chance.CHANCE: chance.MARK}, ends, names_in)


def _about_sizes(sizes: np.ndarray) -> str:
    if len(sizes) != 1:
        return ""
    return (
        f"This study has one patch size, {sizes[0]:g} px, hence one column of points; "
        "a study with several patch sizes draws lines."
    )


def _facts(study: Study, dataset: str, frame: pd.DataFrame, n_hidden: int) -> str:
    fusion = preferred_fusion(f for f in frame["fusion"] if f != "none")
    more = [f"fusion of patch methods: {fusion}", "bars and bands: 95 % bootstrap intervals"]
    more += without_bars(frame)
    columns = ["patch_size_px", "stride_px"]
    cuts = frame[columns].dropna().drop_duplicates()
    told = [f"{p:g} px every {s:g}" for p, s in cuts.sort_values(columns).to_numpy()]
    if told:
        more.append("patches: " + ", ".join(told[:8]) + (", and more" if len(told) > 8 else ""))
    if n_hidden > 0:
        more.append(f"{n_hidden} more lines are in the table behind this figure")
    lacking = frame["value"].isna() | (frame["patch_size_px"].isna() & (frame["kind"] != "cnn"))
    if lacking.any():
        names = ", ".join(style.shorten(n, 24) for n in frame.loc[lacking, "line"].unique()[:4])
        more.append(f"not drawn everywhere, for want of a value or a patch size: {names}")
    return style.facts(study, dataset, *more)


def _mark(study: Study, line: pd.DataFrame, variants: list[str]) -> style.Mark:
    """Look of a line: that of the method at its first size, dashes by classifier and variant."""
    method = {str(k): v for k, v in line.iloc[0].to_dict().items()}
    look = style.mark(study, method)
    if method["kind"] != "patch":
        return look
    classifiers = results.on_trial(study, "classifiers")
    kind = classifiers.index(str(method["classifier"]))
    if method["variant"]:
        kind += len(classifiers) * variants.index(method["variant"])
    return replace(look, dash=style.DASHES[kind % 4], hollow=kind % 2 == 1)


def _frame(ax: Axes, shown: pd.DataFrame, sizes: np.ndarray) -> None:
    low = float(np.nanmin([*shown["low"], *shown["value"]]))
    high = min(float(np.nanmax([*shown["high"], *shown["value"]])) + 0.03, 1.01)
    if _AUC in set(shown["metric"]):  # its scale has fixed ends, chance and 1
        low, high = min(low, results.CHANCE_AUC), 1.01
    x = np.log2(sizes)
    ax.set(xlim=(x[0] - _MARGIN, x[-1] + _MARGIN), ylim=(max(low - 0.03, -0.01), high))
    ticks: list[float] = []
    for place in x:  # numbers of near sizes would overlap: the smaller one stays
        if not ticks or place - ticks[-1] > 0.14 * (x[-1] - x[0] + 2 * _MARGIN):
            ticks.append(float(place))
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.set_xticklabels([f"{2**tick:.0f}" for tick in ticks])
    ax.xaxis.set_minor_locator(NullLocator())


def _lines(ax: Axes, marks: Marks, rows: pd.DataFrame, sizes: np.ndarray, order: list[str]) -> Ends:
    """Draw patch methods, those of one size side by side; where each line ends."""
    own = rows[rows["patches"] != WHOLE_IMAGE]
    names = [name for name in order if name in set(own["line"])]
    gap = float(np.diff(np.log2(sizes)).min()) if len(sizes) > 1 else 3 * _MARGIN
    span = min(0.5 * gap, 0.1 * gap * (len(names) - 1), 1.5 * _MARGIN)
    aside = np.linspace(-span / 2, span / 2, len(names))
    left, right = ax.get_xlim()
    ends: Ends = {}
    for name, shift in zip(names, aside, strict=True):
        line, look = own[own["line"] == name].sort_values("patch_size_px"), marks[name]
        at = np.log2(line["patch_size_px"].to_numpy()) + shift
        path: dict[str, Any] = {"color": look.color, "zorder": look.order}
        ax.plot(at, line["value"], linestyle=look.dash, linewidth=1.2, **path)
        ax.vlines(at, line["low"], line["high"], linewidth=0.8, **path)
        ax.plot(at, line["value"], **look.point(4.2))
        ends[name] = (float((at[-1] - left) / (right - left)), float(line["value"].iloc[-1]))
    return ends


def _bands(ax: Axes, marks: Marks, rows: pd.DataFrame) -> Ends:
    """Draw whole-image networks across all sizes."""
    ends: Ends = {}
    for row in rows[rows["patches"] == WHOLE_IMAGE].to_dict("records"):
        look = marks[row["line"]]
        if not (pd.isna(row["low"]) or pd.isna(row["high"])):
            ax.axhspan(row["low"], row["high"], color=look.color, alpha=0.12, linewidth=0)
        ax.axhline(row["value"], color=look.color, linestyle=look.dash, linewidth=1.0, zorder=2)
        ends[row["line"]] = (1.0, float(row["value"]))
    return ends
