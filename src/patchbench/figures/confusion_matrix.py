"""Which class is taken for which: by the methods best on val, and networks published before."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from patchbench import literature
from patchbench import results_table as results
from patchbench.figures import _style as style
from patchbench.figures._labels import HEAD_LINE_IN, in_lines
from patchbench.study import WHOLE_IMAGE, Study

CAPTION = (
    "Test images of each true class (rows) by the class decided on (columns): how many, over all "
    "seeds; darker for a larger share of the row. For the patch method and the whole-image "
    "network with the highest area under the receiver operating characteristic (ROC) curve on the "
    "validation images; of studies that are held against published networks, for those, too."
)
_SHADES = LinearSegmentedColormap.from_list("share", ["#ffffff", "#0072B2"])
_TOP_IN, _CELL_IN, _BETWEEN_IN, _NAME_IN = 0.6, 0.26, 0.2, 1.1
_HEAD_IN = 0.4  # between the names below a matrix and the next
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
    columns = [*results.METHOD, "fusion", "label", "n_seeds", "true_class", "decided_class"]
    shown = _shown(study, dataset, frame)
    rows = [row for method in shown for row in _counted(study, dataset, method, classes)]
    return pd.DataFrame(rows, columns=[*columns, "n", "share"])


def _shown(study: Study, dataset: str, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The patch method best on val, networks that were published before, the CNN best on val."""
    patch, cnn = (results.best_on_val(study, dataset, frame, kind) for kind in ("patch", "cnn"))
    whole = frame[frame["patches"] == WHOLE_IMAGE]
    named = literature.chosen_networks(study.run["config"]).values()
    rows = [row for name in named for row in whole[whole["encoder"] == name].to_dict("records")]
    shown = [row for row in (patch, *rows, cnn) if row]
    return list({str(row["label"]): {str(k): v for k, v in row.items()} for row in shown}.values())


def _counted(
    study: Study, dataset: str, method: dict[str, Any], classes: list[str]
) -> list[dict[str, Any]]:
    """Rows of a method and fusion."""
    rows = study.predictions
    rows = rows[(rows["dataset"] == dataset) & (rows["split"] == "test")]
    for column in (*results.METHOD, "fusion"):
        rows = rows[rows[column] == method[column]]
    table = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(table, (rows["label"].to_numpy(), rows["predicted_label"].to_numpy()), 1)
    n_true = table.sum(axis=1, keepdims=True)
    share = np.divide(table, n_true, out=np.full(table.shape, np.nan), where=n_true > 0)
    about = {name: method[name] for name in (*results.METHOD, "fusion", "label")}
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
    """A matrix per method, two or three side by side."""
    frame = data(study, dataset)
    classes = study.datasets[dataset]["classes"]
    labels = list(dict.fromkeys(frame["label"]))
    n_columns = 3 if len(labels) > 2 and _CELL_IN * len(classes) <= _width_in(3) else 2
    side = max(min(_CELL_IN * len(classes), _width_in(n_columns)), 1.2)
    longest = max(style.text_width_in(style.fit(name, _NAME_IN - 0.1)) for name in classes)
    below = side + longest + 0.18 + _HEAD_IN
    footer = style.facts(study, dataset, *literature.stand_ins(study))
    n_rows = max(1, -(-len(labels) // n_columns))
    fig = style.figure(_TOP_IN + below * n_rows - _HEAD_IN + style.footer_in(footer))
    style.title(fig, f"{dataset}: true class (rows) and class decided on (columns)")
    style.footer(fig, footer)
    if frame.empty:
        ax = style.panel(fig, 0.3, _TOP_IN, style.WIDTH_IN - 0.6, side)
        style.blank(ax, "No decisions on test images are known.")
        return fig
    room = max(side, _width_in(n_columns) if n_columns == 3 else 2.4)
    for i, name in enumerate(labels):
        rows = frame[frame["label"] == name]
        left = _NAME_IN + i % n_columns * (room + _BETWEEN_IN)
        top = _TOP_IN + i // n_columns * below
        _heading(fig, rows, left, top, room)
        ax = style.panel(fig, left, top, side, side)
        _matrix(ax, rows, classes, side, named=i % n_columns == 0)
    return fig


def _width_in(n_columns: int) -> float:
    """Room for a matrix where so many stand side by side."""
    return (style.WIDTH_IN - _NAME_IN - 0.1 - _BETWEEN_IN * (n_columns - 1)) / n_columns


def _heading(fig: Figure, rows: pd.DataFrame, left: float, top: float, width: float) -> None:
    name, fusion = rows["label"].iloc[0], rows["fusion"].iloc[0]
    heading = str(name) if fusion == "none" else f"{name}, {fusion}"
    lines = in_lines(heading, width) if style.text_width_in(heading) > width else [heading]
    for i, line in enumerate(reversed(lines)):
        style.write(fig, left, top - 0.14 - HEAD_LINE_IN * i, line)


def _matrix(
    ax: Axes, rows: pd.DataFrame, classes: list[str], side_in: float, *, named: bool
) -> None:
    n = len(classes)
    share = rows["share"].to_numpy().reshape(n, n)
    between = min(0.8, 7.2 * side_in / n)  # of many classes lines would hide the cells
    ax.pcolormesh(share, cmap=_SHADES, vmin=0, vmax=1, edgecolors="white", linewidth=between)
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
