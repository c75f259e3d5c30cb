"""Receiver operating characteristic (ROC) curves of single patches and of whole images."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from patchbench import results_table as results
from patchbench.evaluation import preferred_fusion
from patchbench.figures import _style as style
from patchbench.study import Study

CAPTION = (
    "Receiver operating characteristic (ROC), mean of the one-against-rest curves over classes. "
    "Left: every test patch scored by the label of its image. Right: images decided by one fusion "
    "rule, the same for all patch methods and fixed beforehand, beside the whole-image networks. "
    "Numbers are the area under the curve with its 95 % interval. Curves have no bands, which "
    "would hide each other: how sure a curve is, the interval of its area tells. The diagonal is "
    "chance."
)
_LEVELS = ("patch", "image")
_MAX_CURVES, _SIDE_IN, _TOP_IN, _LEFT_IN = 16, 2.8, 0.5, (0.56, 4.06)
_COLUMNS = [*results.METHOD, "fusion"]


def data(study: Study, dataset: str) -> pd.DataFrame:
    """Select the curves drawn, one row per level, method, seed and false-positive rate."""
    parts = []
    for level in _LEVELS:
        rows = study.roc[(study.roc["dataset"] == dataset) & (study.roc["level"] == level)]
        parts.append(rows.merge(_methods(study, dataset, level)[_COLUMNS], on=_COLUMNS))
    return pd.concat(parts, ignore_index=True)


def _methods(study: Study, dataset: str, level: str) -> pd.DataFrame:
    """Methods of one panel, best first."""
    frame = results.scores(study, dataset, level)
    if level == "image":
        frame = results.with_one_fusion(frame)
    return results.at_most(results.merge_controls(frame), _MAX_CURVES)


def draw(study: Study, dataset: str) -> Figure:
    """Two panels, patch and image level, with a key under each that tells the areas."""
    frames = {level: _methods(study, dataset, level) for level in _LEVELS}
    curves = data(study, dataset)
    footer = _facts(study, dataset)
    key_in = style.KEY_LINE_IN * max(len(frame) for frame in frames.values())
    key_top = _TOP_IN + _SIDE_IN + 0.52
    fig = style.figure(key_top + key_in + 0.1 + style.footer_in(footer))
    style.title(fig, f"{dataset}: ROC curves")
    style.footer(fig, footer)
    fusion = preferred_fusion(f for f in frames["image"]["fusion"] if f != "none")
    names = {"patch": "Single patches", "image": f"Images (fusion: {style.shorten(fusion, 30)})"}
    for level, left in zip(_LEVELS, _LEFT_IN, strict=True):
        ax = style.panel(fig, left, _TOP_IN, _SIDE_IN, _SIDE_IN)
        ax.set_title(names[level], fontsize=style.TEXT_PT, loc="left", pad=4)
        if frames[level].empty:
            style.blank(ax, f"No {level}-level result in this study.")
            continue
        _frame(ax)
        _curves(ax, study, frames[level], curves[curves["level"] == level])
        style.key(fig, study, frames[level], left - 0.42, key_top, _SIDE_IN + 0.44)
    return fig


def _facts(study: Study, dataset: str) -> str:
    several = study.roc.loc[study.roc["dataset"] == dataset, "seed"].nunique() > 1
    seeds = ["thin lines: single seeds, bold: their mean"] if several else []
    interval = "area under each curve with its 95 % interval: bootstrap over test images, whole"
    return style.facts(study, dataset, *seeds, interval)


def _frame(ax: Axes) -> None:
    ticks = [0, 0.25, 0.5, 0.75, 1]
    names = ["0", "0.25", "0.5", "0.75", "1"]
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xticks=ticks, yticks=ticks)
    ax.set_xticklabels(names)
    ax.set_yticklabels(names)
    ax.set(xlabel="False-positive rate", ylabel="True-positive rate")
    ax.plot([0, 1], [0, 1], color=style.MUTED, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1.5)
    ax.text(
        0.8,
        0.765,
        "chance",
        fontsize=style.SMALL_PT,
        color=style.MUTED,
        rotation=45,
        va="top",
        ha="center",
        rotation_mode="anchor",
    )


def _curves(ax: Axes, study: Study, frame: pd.DataFrame, curves: pd.DataFrame) -> None:
    methods = frame[_COLUMNS].to_dict("records")
    groups = {tuple(key): group for key, group in curves.groupby(_COLUMNS)}
    for i, method in enumerate(methods):
        look = style.mark(study, {str(k): v for k, v in method.items()})
        own = groups.get(tuple(method[column] for column in _COLUMNS))
        if own is None:
            continue
        wide = own.pivot_table(
            index="false_positive_rate", columns="seed", values="true_positive_rate"
        )
        line = {"color": look.color, "linestyle": look.dash, "zorder": look.order}
        if wide.shape[1] > 1:
            ax.plot(wide.index, wide, linewidth=0.4, alpha=0.6, **line)
        # one mark per curve, each at another height, tells curves of similar colour apart
        at = int(len(wide) * (0.06 + 0.3 * i / max(1, len(methods))))
        point = {k: v for k, v in look.point(3.6).items() if k not in ("linestyle", "zorder")}
        ax.plot(wide.index, wide.mean(axis=1), linewidth=1.5, markevery=[at], **line, **point)
