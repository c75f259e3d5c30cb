"""Which class is taken for which: the patch method and the CNN that are best on val."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from patchbench import results_table as results
from patchbench.figures import _style as style
from patchbench.study import Study

CAPTION = (
    "Test images of each true class (rows) by the class decided on (columns): how many, over all "
    "seeds; darker for a larger share of the row. For the patch method and the whole-image "
    "network with the highest area under the ROC curve on the validation images."
)
_SHADES = LinearSegmentedColormap.from_list("share", ["#ffffff", "#0072B2"])
_TOP_IN, _CELL_IN, _BETWEEN_IN, _NAME_IN = 0.6, 0.26, 0.2, 1.1
_MAX_NUMBERED = 12  # classes; past these a number would not fit into its cell
_LINE_IN = 0.12  # of a name
_DARK = 0.55


def data(study: Study, dataset: str) -> pd.DataFrame:
    """One row per method, true and decided class.

    Columns of a method, ``fusion``, ``label``, ``n_seeds``, ``true_class``, ``decided_class``,
    ``n`` (test images, over all seeds) and ``share`` of the true class's, NaN of a class without
    test images.
    """
    frame = results.scores(study, dataset, "image")
    frame = frame[frame["value"].notna()]
    classes = study.datasets[dataset]["classes"]
    found = [_counted(study, dataset, kind, frame, classes) for kind in ("patch", "cnn")]
    columns = [*results.METHOD, "fusion", "label", "n_seeds", "true_class", "decided_class"]
    rows = [row for rows in found for row in rows]
    return pd.DataFrame(rows, columns=[*columns, "n", "share"])


def _counted(
    study: Study, dataset: str, kind: str, frame: pd.DataFrame, classes: list[str]
) -> list[dict[str, Any]]:
    """Rows of the best method of a kind on val."""
    best = results.best_on_val(study, dataset, frame, kind)
    if best is None:
        return []
    rows = study.predictions
    rows = rows[(rows["dataset"] == dataset) & (rows["split"] == "test")]
    for column in (*results.METHOD, "fusion"):
        rows = rows[rows[column] == best[column]]
    table = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(table, (rows["label"].to_numpy(), rows["predicted_label"].to_numpy()), 1)
    n_true = table.sum(axis=1, keepdims=True)
    share = np.divide(table, n_true, out=np.full(table.shape, np.nan), where=n_true > 0)
    about = {name: best[name] for name in (*results.METHOD, "fusion", "label")}
    about["n_seeds"] = rows["seed"].nunique()
    return [
        about
        | {"true_class": true, "decided_class": decided}
        | {"n": int(table[i, j]), "share": float(share[i, j])}
        for i, true in enumerate(classes)
        for j, decided in enumerate(classes)
        if len(rows)
    ]


def draw(study: Study, dataset: str) -> Figure:
    """A matrix per method, side by side."""
    frame = data(study, dataset)
    classes = study.datasets[dataset]["classes"]
    side = min(_CELL_IN * len(classes), (style.WIDTH_IN - _NAME_IN - _BETWEEN_IN - 0.1) / 2)
    side = max(side, 1.2)
    longest = max(style.text_width_in(style.fit(name, _NAME_IN - 0.1)) for name in classes)
    footer = style.facts(study, dataset)
    fig = style.figure(_TOP_IN + side + longest + 0.18 + style.footer_in(footer))
    style.title(fig, f"{dataset}: true class (rows) and class decided on (columns)")
    style.footer(fig, footer)
    if frame.empty:
        ax = style.panel(fig, 0.3, _TOP_IN, style.WIDTH_IN - 0.6, side)
        style.blank(ax, "No decisions on test images are known.")
        return fig
    for i, (name, rows) in enumerate(frame.groupby("label", sort=False)):
        left = _NAME_IN + i * (max(side, 2.4) + _BETWEEN_IN)
        fusion = rows["fusion"].iloc[0]
        heading = str(name) if fusion == "none" else f"{name}, {fusion}"
        style.write(fig, left, _TOP_IN - 0.14, style.fit(heading, max(side, 2.4)))
        ax = style.panel(fig, left, _TOP_IN, side, side)
        _matrix(ax, rows, classes, side, named=not i)
    return fig


def _matrix(
    ax: Axes, rows: pd.DataFrame, classes: list[str], side_in: float, *, named: bool
) -> None:
    n = len(classes)
    share = rows["share"].to_numpy().reshape(n, n)
    ax.pcolormesh(share, cmap=_SHADES, vmin=0, vmax=1, edgecolors="white", linewidth=0.8)
    ax.set(xlim=(0, n), ylim=(n, 0))
    ax.grid(visible=False)
    every = math.ceil(_LINE_IN * n / side_in)  # names of the others would lie on each other
    names = [style.fit(name, _NAME_IN - 0.1) for name in classes[::every]]
    places = np.arange(0, n, every) + 0.5
    ax.set_yticks(places, names if named else [""] * len(names))
    ax.set_xticks(places, names, rotation=90)
    ax.tick_params(length=0)
    if n > _MAX_NUMBERED:
        return
    for k, count in enumerate(rows["n"]):
        i, j = divmod(k, n)
        colour = "white" if share[i, j] > _DARK else style.INK
        ax.text(
            j + 0.5, i + 0.5, str(count) if count else "", ha="center", va="center",
            fontsize=5.5, color=colour,
        )  # fmt: skip
