"""What an encoder takes for alike: a map of patch embeddings, with the patches on it."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from patchbench import results_table as results
from patchbench.figures import _style as style
from patchbench.study import WHOLE_IMAGE, Study

CAPTION = (
    "Maps of the embeddings of test patches, the same patches for every encoder of one patch "
    "size: t-distributed stochastic neighbour embedding (t-SNE, van der Maaten & Hinton, JMLR "
    "2008) of the first 50 principal components of the standardised embeddings. Every dot is a "
    "patch in the colour of its image's class; some patches are shown themselves, framed in that "
    "colour. Near neighbours on a map are alike for the encoder; distances between far clusters, "
    "sizes of clusters and directions mean nothing. Labels took no part in laying them out. Best "
    "area under the receiver operating characteristic (ROC) curve of image decisions (AUC) first; "
    "titles in grey: controls."
)
_MAX_PANELS, _MAX_PICTURES, _MAX_COLORS = 6, 300, len(style.COLORS)
_PICTURE_PT = 32 * 72 / style.RC["savefig.dpi"]  # a patch of 32 px as it is in the PNG
_WIDTH_IN, _GAP_IN, _TITLE_IN, _TOP_IN = 6.8, 0.12, 0.2, 0.3
_OTHERS = "#9a9a9a"
_PANEL = ["patches", "encoder"]


def data(study: Study, dataset: str) -> pd.DataFrame:
    """Every point of every map, also of those not drawn; best encoder first."""
    rows = study.embedding_map[study.embedding_map["dataset"] == dataset].drop(columns="dataset")
    rows = rows.merge(_image_aucs(study, dataset), on=_PANEL, how="left")
    names = dict(enumerate(study.datasets.get(dataset, {}).get("classes", [])))
    rows.insert(4, "class_name", rows["label"].map(names))
    order = ["image_auc", *_PANEL]
    return rows.sort_values(order, ascending=[False, True, True], kind="stable", ignore_index=True)


def _image_aucs(study: Study, dataset: str) -> pd.DataFrame:
    """Image AUC of every encoder with the classifier that served it best, seeds averaged."""
    frame = results.with_one_fusion(results.scores(study, dataset, "image"))
    # the class frequencies run with one encoder and say nothing of it
    control = [results.is_control(study, "classifiers", name) for name in frame["classifier"]]
    frame = frame[~np.array(control, dtype=bool)]
    best = frame[frame["patches"] != WHOLE_IMAGE].groupby(_PANEL)["value"].max()
    return best.rename("image_auc").reset_index()


def draw(study: Study, dataset: str) -> Figure:
    """One panel per encoder, best first, under one line that names the classes' colours."""
    frame = data(study, dataset)
    maps = [(str(p), str(e)) for p, e in frame.drop_duplicates("encoder")[_PANEL].to_numpy()]
    shown, footer = maps[:_MAX_PANELS], _facts(study, frame, maps)
    classes = frame[["label", "class_name"]].drop_duplicates().sort_values("label")
    names = [str(name) for name in classes["class_name"]]
    colors = dict(zip(classes["label"], _colors(len(names)), strict=True))
    key = _places(names)
    columns = max(1, {4: 2}.get(len(shown), min(3, len(shown))))
    width = (_WIDTH_IN - _GAP_IN * (columns - 1)) / columns
    height = min(width, 2.7)
    top = _TOP_IN + 0.14 * (1 + max((line for line, _ in key), default=0)) + 0.1
    step = height + _TITLE_IN + 0.08
    n_rows = max(1, -(-len(shown) // columns))
    fig = style.figure(top + n_rows * step + style.footer_in(footer))
    fig.suppressComposite = True  # pictures keep their own size in SVG and PDF
    style.title(fig, f"{dataset}: maps of patch embeddings")
    style.footer(fig, footer)
    _name_colors(fig, names, list(colors.values()), key)
    if not shown:
        style.blank(style.panel(fig, 0.5, top, 6, 1), "No embeddings were mapped on this dataset.")
    for i, (patches, encoder) in enumerate(shown):
        left, above = 0.1 + i % columns * (width + _GAP_IN), top + i // columns * step
        rows = frame[(frame["patches"] == patches) & (frame["encoder"] == encoder)]
        several = frame["patches"].nunique() > 1
        title = _title(rows, f"{encoder} · {patches}" if several else encoder, width)
        color = style.MUTED if results.is_control(study, "encoders", encoder) else style.INK
        style.write(fig, left, above + _TITLE_IN / 2, title, color=color)
        ax = style.panel(fig, left, above + _TITLE_IN, width, height)
        pictures = study.patch_thumbnails.get(f"{dataset}/{patches}")
        _panel(ax, rows, colors, pictures, _MAX_PICTURES // len(shown))
    return fig


def _facts(study: Study, frame: pd.DataFrame, maps: list[tuple[str, str]]) -> str:
    samples = frame.drop_duplicates(["patches", "patch_id"]).groupby("patches")
    told = {str(patches): _about_sample(rows) for patches, rows in samples}
    if len(set(told.values())) > 1:
        text = "; ".join(f"{patches}: {sample}" for patches, sample in told.items())
    else:
        text = next(iter(told.values()), "n = 0 test patches")
    seeds = ", ".join(str(seed) for seed in sorted(set(frame["seed"])))
    text += f", drawn at random (seed {seeds})" if seeds else ""
    if len(told) > 1:
        text += ". Of several patch sizes, every encoder is shown at its best by image AUC"
    if hidden := [encoder for _, encoder in maps[_MAX_PANELS:]]:
        text += ". Not drawn, for their lower image AUC: "
        text += ", ".join(style.shorten(encoder, 30) for encoder in hidden[:6])
        text += f" and {len(hidden) - 6} more" if len(hidden) > 6 else ""
    return style.signed(study, text)


def _about_sample(rows: pd.DataFrame) -> str:
    counts = rows["label"].value_counts()
    n_each = f"{counts.min()}" + (f" to {counts.max()}" if counts.max() > counts.min() else "")
    n_images = rows["patch_id"].str.rpartition("/")[0].nunique()
    return f"n = {len(rows)} test patches of {n_images} images, {n_each} of each class"


def _colors(n_classes: int) -> list[str]:
    """One colour per class; where there are more classes than colours, the last are grey."""
    n_own = n_classes if n_classes <= _MAX_COLORS else _MAX_COLORS - 1
    return [style.COLORS[i] if i < n_own else _OTHERS for i in range(n_classes)]


def _places(names: list[str]) -> list[tuple[int, float]]:
    """Line and left end, in inches, of each class named in the colour key."""
    places, line, left = [], 0, 0.1
    for text in _key_texts(names):
        width = 0.32 + style.text_width_in(text)
        if left + width > style.WIDTH_IN and left > 0.1:
            line, left = line + 1, 0.1
        places.append((line, left))
        left += width
    return places


def _key_texts(names: list[str]) -> list[str]:
    if len(names) > _MAX_COLORS:
        n_own = _MAX_COLORS - 1
        names = [*names[:n_own], f"{len(names) - n_own} other classes"]
    return [style.shorten(name, 26) for name in names]


def _name_colors(
    fig: Figure, names: list[str], colors: list[str], key: list[tuple[int, float]]
) -> None:
    full_width, full_height = fig.get_size_inches()
    side = 0.075
    for text, color, (line, left) in zip(_key_texts(names), colors, key, strict=False):
        top = _TOP_IN + 0.14 * (line + 0.5)
        corner = left / full_width, 1 - (top + side / 2) / full_height
        square = Rectangle(corner, side / full_width, side / full_height, facecolor=color,
                           edgecolor="none", transform=fig.transFigure)  # fmt: skip
        fig.add_artist(square)
        style.write(fig, left + 0.12, top, text)


def _title(rows: pd.DataFrame, name: str, width_in: float) -> str:
    auc = float(rows["image_auc"].iloc[0])
    end = "   image AUC " + ("not defined" if np.isnan(auc) else style.number(auc))
    return style.fit(name, width_in - style.text_width_in(end) - 0.05) + end


def _panel(
    ax: Axes,
    rows: pd.DataFrame,
    colors: dict[Any, str],
    pictures: np.ndarray | None,
    n_pictures: int,
) -> None:
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set(visible=True, color=style.GRID)
    points = rows[["x", "y"]].to_numpy(float)
    own = [colors[label] for label in rows["label"]]
    per_pt = _limits(ax, points)
    ax.scatter(points[:, 0], points[:, 1], s=5, c=own, linewidths=0, zorder=2, rasterized=True)
    if not np.ptp(points):
        ax.text(0.5, 0.44, "all embeddings are alike", transform=ax.transAxes, ha="center",
                va="top", fontsize=style.SMALL_PT, color=style.MUTED)  # fmt: skip
    if pictures is None or len(pictures) != len(rows):
        return
    side = _PICTURE_PT * per_pt
    frames = []
    for i in well_spread(points, 1.3 * side, n_pictures):
        x, y = points[i] - side / 2
        ax.imshow(pictures[i], extent=(x, x + side, y, y + side), interpolation="none",
                  aspect="auto", zorder=3)  # fmt: skip
        frames.append(Rectangle((x, y), side, side, edgecolor=own[i]))
    collection = PatchCollection(frames, match_original=True, zorder=4)
    collection.set(facecolor="none", linewidth=1.1)
    ax.add_collection(collection, autolim=False)


def _limits(ax: Axes, points: np.ndarray) -> float:
    """Set limits with one scale for both axes and room for pictures; data units per point."""
    box = ax.get_position()
    full_width, full_height = style.page(ax).get_size_inches()
    sides_pt = 72 * np.array([box.width * full_width, box.height * full_height])
    low, high = points.min(axis=0), points.max(axis=0)
    per_pt = float(((high - low) / (sides_pt - _PICTURE_PT - 6)).max()) or 1.0
    (left, bottom), (right, top) = (
        (low + high) / 2 + sign * per_pt * sides_pt / 2 for sign in (-1, 1)
    )
    ax.set(xlim=(left, right), ylim=(bottom, top))
    return per_pt


def well_spread(points: np.ndarray, side: float, n_points: int) -> list[int]:
    """Choose points greedily, each as far as can be from those chosen before.

    Stops at ``n_points``, or when a square of ``side`` around the next point would overlap the
    square around another; distances are the larger of those along the two axes.

    >>> well_spread(np.array([[0.0, 0.0], [0.1, 0.0], [5.0, 0.0], [2.0, 0.0]]), 1.0, 9)
    [0, 2, 3]
    """
    chosen: list[int] = []
    nearest = np.full(len(points), np.inf)
    while len(chosen) < n_points and nearest.size and nearest.max() >= side:
        best = int(nearest.argmax())
        chosen.append(best)
        nearest = np.minimum(nearest, np.abs(points - points[best]).max(axis=1))
    return chosen
