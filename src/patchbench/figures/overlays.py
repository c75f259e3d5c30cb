"""Where networks look, and which patches detectors keep: test images under maps and veils."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from patchbench.faithfulness import resized
from patchbench.figures import _style as style
from patchbench.figures._labels import HEAD_LINE_IN, in_lines
from patchbench.study import Study

NEEDS = {"benchmark.detectors": 1}
CAPTION = (
    "One test image in each row, drawn at random, under what was seen in it. Maps are those of "
    "the class that the network decides on, each scaled to its own largest value: warm colours "
    "speak for the class, cold ones (evidence only) against it; under the name of a fusion rule, "
    "how much attention it pays to the patches over a pixel. Kept patches, by detector: half of "
    "the patches of each image are dropped; a pixel is the paler the more of the patches on it "
    "are dropped. The line is the true outline of the object, where it is known."
)
_TOP_IN, _GAP_IN, _NAMES_IN, _MAX_SIDE_IN = 0.56, 0.05, 0.92, 1.15
_VEIL, _HEAT = 0.88, 0.62  # how much of a picture the white of dropped patches, or a map, hides


def data(study: Study, dataset: str) -> pd.DataFrame:
    """One row per image and column of the figure: how much of the object is in it.

    Columns ``image``, ``true``, ``predicted``, ``column``, and ``object_share``: of the positive
    part of a map, or of what is kept, the share inside the true outline; NaN without masks.
    """
    shown, rows = _arrays(study, dataset), []
    masks = shown.get("masks")
    for i in range(len(shown.get("images", ()))):
        true, predicted = _names(study, dataset, shown, i)
        for column in _columns(shown):
            share = np.nan
            if masks is not None:
                heat = np.clip(np.nan_to_num(_heat(shown, column, i)), 0, None)
                share = float((heat * masks[i]).sum() / heat.sum()) if heat.sum() else np.nan
            rows.append((i, true, predicted, column, share))
    return pd.DataFrame(rows, columns=["image", "true", "predicted", "column", "object_share"])


def draw(study: Study, dataset: str) -> Figure:
    """A row per image: itself, its maps, and what each detector keeps of it."""
    shown = _arrays(study, dataset)
    n_images, columns = len(shown.get("images", ())), _columns(shown)
    room = style.WIDTH_IN - _NAMES_IN - 0.1
    side = min(_MAX_SIDE_IN, room / (len(columns) + 1) - _GAP_IN)
    footer = _facts(study, dataset, n_images)
    heads = [_head(column, side) for column in ["image", *columns]]
    top_in = _TOP_IN + HEAD_LINE_IN * (max(map(len, heads)) - 2)
    height = top_in + max(1, n_images) * (side + _GAP_IN) + 0.06 + style.footer_in(footer)
    fig = style.figure(height)
    style.title(fig, f"{dataset}: where networks look, and which patches are kept")
    style.footer(fig, footer)
    if not n_images:
        ax = style.panel(fig, 0.3, top_in, style.WIDTH_IN - 0.6, side)
        style.blank(ax, "No patches of this dataset were judged by detectors.")
        return fig
    for j, lines in enumerate(heads):
        for line, (text, colour) in enumerate(lines):
            place = _NAMES_IN + j * (side + _GAP_IN), _TOP_IN - 0.19 + HEAD_LINE_IN * line
            style.write(fig, *place, text, color=colour)
    for i in range(n_images):
        top = top_in + i * (side + _GAP_IN)
        true, predicted = _names(study, dataset, shown, i)
        style.write(fig, 0.1, top + side / 2 - 0.07, style.fit(true, _NAMES_IN - 0.14))
        told = {"": "", true: "recognised"}.get(predicted, f"said: {predicted}")
        style.write(fig, 0.1, top + side / 2 + 0.07, style.fit(told, _NAMES_IN - 0.14),
                    color=style.MUTED)  # fmt: skip
        for j, column in enumerate(["image", *columns]):
            ax = style.panel(fig, _NAMES_IN + j * (side + _GAP_IN), top, side, side)
            _picture(ax, shown, column, i)
    return fig


def _arrays(study: Study, dataset: str) -> dict[str, np.ndarray]:
    own = {name: array for name, array in study.overlays.items() if name.startswith(f"{dataset}/")}
    return {name.removeprefix(f"{dataset}/"): array for name, array in own.items()}


def _columns(shown: Mapping[str, np.ndarray]) -> list[str]:
    """Names of maps and detectors, in the order they were collected."""
    return [name for name in shown if name.startswith(("maps/", "kept/"))]


def _names(study: Study, dataset: str, shown: Mapping[str, np.ndarray], i: int) -> tuple[str, str]:
    """True and predicted class of an image; the latter empty where no network was asked."""
    classes = study.datasets[dataset]["classes"]
    predicted = shown.get("predicted")
    return classes[shown["labels"][i]], "" if predicted is None else classes[predicted[i]]


def _facts(study: Study, dataset: str, n_images: int) -> str:
    seed = study.metrics.loc[study.metrics["dataset"] == dataset, "seed"].min()
    return style.signed(study, f"n = {n_images} of the test images of {dataset}, seed {seed}")


def _head(column: str, side: float) -> list[tuple[str, str]]:
    """Two to four lines over a column, each with its colour: what was seen, and by whom."""
    kind, _, name = column.partition("/")
    first, _, second = name.partition("/")
    parts = {"maps": (first, second), "kept": ("kept by", first)}.get(kind, (kind, ""))
    colours = (style.INK, style.MUTED)[:: -1 if kind == "kept" else 1]
    return [
        (line, colour)
        for part, colour in zip(parts, colours, strict=True)
        for line in in_lines(part, side)
    ]


def _heat(shown: Mapping[str, np.ndarray], column: str, i: int) -> np.ndarray:
    """What a column shows of an image, at the image's size."""
    found = shown[column][i]
    if column.startswith("kept/"):
        return found
    return resized(np.nan_to_num(found)[None], *shown["images"].shape[1:3])[0]


def _picture(ax: Axes, shown: Mapping[str, np.ndarray], column: str, i: int) -> None:
    image = shown["images"][i].astype(np.float64) / 255
    if column.startswith("kept/"):
        hidden = _VEIL * (1 - np.nan_to_num(_heat(shown, column, i)))[..., None]
        image = image * (1 - hidden) + hidden
    elif column.startswith("maps/"):
        image = _under_map(image, _heat(shown, column, i))
    ax.imshow(image, interpolation="antialiased")
    if "masks" in shown and shown["masks"][i].any():
        line: dict[str, Any] = {"levels": [0.5], "linewidths": 0.8}
        outline = "black" if column.startswith("kept/") else "white"
        ax.contour(shown["masks"][i].astype(float), colors=outline, **line)
    ax.set_axis_off()


def _under_map(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The image in grey under a map: nothing at 0, warm above, cold below."""
    largest = np.abs(heat).max()
    strength = heat / largest if largest > 0 else heat
    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    colour = colormaps["PuOr_r"](0.5 + 0.5 * strength)[..., :3]
    share = _HEAT * np.sqrt(np.abs(strength))[..., None]
    mixed: np.ndarray = grey * (1 - share) + colour * share
    return np.clip(mixed, 0, 1)
