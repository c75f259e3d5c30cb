"""Which classes are hard? AUC of each class against the rest, for the best methods."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from patchbench import results_table as results
from patchbench.figures import _style as style
from patchbench.method_tests import ALL_SEEDS
from patchbench.study import Study

CAPTION = (
    "Area under the receiver operating characteristic (ROC) curve of each class against all "
    "others, on images, with DeLong's 95 % interval; hardest class first, n: its test images. Up "
    "to three encoders, each in the combination best on val, and the whole-image network best on "
    "val; below, their mean over classes with its bootstrap interval. Dotted line: chance."
)
_MAX_ENCODERS, _MAX_CLASSES = 3, 10
_TOP_IN, _LEFT_IN, _LINE_IN, _GAP_IN = 0.42, 1.75, 0.1, 0.1
_METHOD = [*results.METHOD, "fusion", "label"]
_TOLD = ["value", "low", "high", "n_positive", "n_negative", "n_seeds", "reason"]


def data(study: Study, dataset: str) -> pd.DataFrame:
    """One row per method and class; of several seeds their mean, with its interval.

    Columns of a method, ``fusion``, ``label``, ``class_name``, ``value``, ``low``, ``high``,
    ``n_positive``, ``n_negative``, ``n_seeds``, ``reason``; best method and hardest class first.
    """
    chosen = _chosen(study, dataset)
    rows = study.class_metrics
    rows = rows[(rows["dataset"] == dataset) & (rows["measure"] == "auc")]
    place = [*results.METHOD, "fusion"]
    rows = chosen[_METHOD].merge(rows.drop(columns="label"), on=place)
    keys = [*_METHOD, "class_name"]
    rows = rows.assign(single=rows["seed"] != ALL_SEEDS)
    n_seeds = rows.groupby(keys, sort=False)["single"].transform("sum")
    # the mean of several seeds stands before them
    frame = rows.assign(n_seeds=n_seeds).sort_values("seed", kind="stable").drop_duplicates(keys)
    frame = frame[[*keys, *_TOLD]].reset_index(drop=True)
    hard = frame.groupby("class_name")["value"].transform("mean")
    order = frame.assign(hard=hard, method=frame["label"].map(_rank(chosen)))
    return frame.loc[order.sort_values(["hard", "class_name", "method"]).index].reset_index(
        drop=True
    )


def _chosen(study: Study, dataset: str) -> pd.DataFrame:
    """Rows of the scores of the methods that are drawn: networks, then encoders, best first."""
    frame = results.scores(study, dataset, "image")
    told = study.class_metrics[study.class_metrics["dataset"] == dataset]
    places = told[[*results.METHOD, "fusion"]].drop_duplicates()
    frame = frame[frame["kind"] != "control"].merge(places, on=[*results.METHOD, "fusion"])
    frame = frame.assign(val_auc=results.val_aucs(study, dataset, frame))
    frame = frame.sort_values(["val_auc", "label"], ascending=[False, True])
    whole = frame[frame["kind"] == "cnn"].head(1)
    patch = frame[frame["kind"] == "patch"].drop_duplicates("encoder").head(_MAX_ENCODERS)
    return pd.concat([whole, patch], ignore_index=True)


def _rank(chosen: pd.DataFrame) -> dict[str, int]:
    return {str(label): i for i, label in enumerate(chosen["label"])}


def draw(study: Study, dataset: str) -> Figure:
    """One block per class; in it a line per method."""
    frame, chosen = data(study, dataset), _chosen(study, dataset)
    classes = list(dict.fromkeys(frame["class_name"]))
    shown = classes[:_MAX_CLASSES]
    block = _LINE_IN * max(1, len(chosen)) + _GAP_IN
    height, below = max(0.6, block * len(shown) + _GAP_IN), 0.58
    footer = _facts(study, dataset, frame, len(classes) - len(shown))
    key_in = style.KEY_LINE_IN * len(chosen) + 0.1
    fig = style.figure(_TOP_IN + height + below + key_in + style.footer_in(footer))
    style.title(fig, f"{dataset}: image AUC of each class against the rest")
    style.footer(fig, footer)
    ax = style.panel(fig, _LEFT_IN, _TOP_IN, style.WIDTH_IN - _LEFT_IN - 0.2, height)
    if not shown:
        style.blank(ax, "No AUC of single classes is known.")
        return fig
    _frame(ax, frame[frame["class_name"].isin(shown)], height)
    looks = {
        str(row["label"]): style.mark(study, {str(k): v for k, v in row.items()})
        for row in chosen.to_dict("records")
    }
    for i, name in enumerate(shown):
        top, rows = _GAP_IN + block * i, frame[frame["class_name"] == name]
        _name(fig, name, int(rows["n_positive"].iloc[0]), _TOP_IN + top + (block - _GAP_IN) / 2)
        if i:
            ax.axhline(top - _GAP_IN / 2, color=style.GRID, linewidth=0.6)
        if rows["value"].isna().all():
            _say(ax, f"not defined ({rows['reason'].iloc[0]})", top + (block - _GAP_IN) / 2)
            continue
        for j, row in enumerate(rows.to_dict("records")):
            _line(ax, {str(k): v for k, v in row.items()}, looks, top + _LINE_IN * (j + 0.5))
    heading = {"ha": "right", "color": style.MUTED}
    right, top = style.WIDTH_IN - 0.1, _TOP_IN + height + below - 0.08
    style.write(fig, right, top, "mean over classes [95 % interval]", **heading)
    style.key(fig, study, chosen, 0.1, _TOP_IN + height + below, style.WIDTH_IN - 0.2)
    return fig


def _facts(study: Study, dataset: str, frame: pd.DataFrame, n_hidden: int) -> str:
    several = bool(frame["n_seeds"].max() > 1)
    more = ["bars: DeLong's 95 % intervals" + " of the mean over seeds" * several]
    unknown = frame[frame["low"].isna() & frame["value"].notna()]
    reasons = sorted(set(unknown["reason"].dropna()))
    more += [f"without a bar: {reason.removeprefix('no interval: ')}" for reason in reasons]
    if n_hidden > 0:
        noun = "class is" if n_hidden == 1 else "classes are"
        more.append(f"{n_hidden} easier {noun} in the table behind this figure")
    return style.facts(study, dataset, *more)


def _frame(ax: Axes, frame: pd.DataFrame, height: float) -> None:
    low = float(np.nanmin([0.48, *frame["low"], *frame["value"]]))
    ax.set(ylim=(height, 0), xlim=(low - 0.02, 1.01), yticks=[])
    ax.set_xlabel("Image AUC-ROC, class against the rest")
    ax.spines["left"].set_visible(False)
    ax.axvline(0.5, color=style.MUTED, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1.5)
    ax.annotate("chance", (0.5, 1), (0, 3), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="center", fontsize=style.SMALL_PT,
                color=style.MUTED)  # fmt: skip


def _name(fig: Figure, name: str, n: int, top: float) -> None:
    count = f"n = {n}"
    style.write(fig, _LEFT_IN - 0.08, top, count, ha="right", color=style.MUTED)
    left = _LEFT_IN - 0.2 - style.text_width_in(count)
    style.write(fig, left, top, style.fit(name, left - 0.1), ha="right")


def _say(ax: Axes, text: str, y: float) -> None:
    ax.annotate(text, (0, y), (4, 0), xycoords=("axes fraction", "data"), va="center",
                textcoords="offset points", fontsize=style.SMALL_PT, color=style.MUTED)  # fmt: skip


def _line(ax: Axes, row: dict[str, Any], looks: dict[str, style.Mark], y: float) -> None:
    look = looks[row["label"]]
    if not (pd.isna(row["low"]) or pd.isna(row["high"])):
        ax.hlines(y, row["low"], row["high"], color=look.color, linewidth=1.0)
    ax.plot(row["value"], y, **look.point(3.8))
