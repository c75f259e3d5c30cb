"""Labels beside points that collide with nothing, by trying places and keeping the best."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from patchbench.figures._style import (
    CONTROL_COLOR,
    INK,
    MUTED,
    SMALL_PT,
    Mark,
    fit,
    page,
    text_width_in,
)

LEADER_IN, NAME_IN = 0.27, 0.135  # from a panel to its names; between names
HEAD_LINE_IN = 0.12  # between the lines of a heading


def in_lines(name: str, width_in: float, most: int = 2, *, brackets: bool = True) -> list[str]:
    """A method's name in at most so many lines, two or more, broken where its parts or words end.

    A part behind starts a line of its own; ``brackets`` keeps those around it. Only what still is
    wider than ``width_in`` inches is shortened.

    >>> in_lines("color_histogram (control)", 0.6, 3)
    ['color_', 'histogram', '(control)']
    """
    first, between, rest = name.partition(" (" if name.endswith(")") else " · ")
    if rest:
        rest = between.strip(" ·") + rest if brackets else rest.removesuffix(")")
    n_first = len(_broken(first, width_in, most - bool(rest)))
    return _broken(first, width_in, n_first) + (
        _broken(rest, width_in, most - n_first) if rest else []
    )


def _broken(text: str, width_in: float, most: int) -> list[str]:
    """Words in at most so many lines; the last holds what is left, shortened to the width."""
    lines = [""]
    for word in re.split(r"(?<=[-_ ])", text):
        wide = text_width_in((lines[-1] + word).strip()) > width_in
        if lines[-1] and wide and len(lines) < most:
            lines.append(word)
        else:
            lines[-1] += word
    return [fit(line.strip(), width_in) for line in lines]


def spread(
    ax: Axes,
    points: np.ndarray,
    names: list[str],
    marks: Sequence[Mark],
    keep_off: np.ndarray,
) -> None:
    """Label points so that labels overlap neither each other, nor marks, nor the frame.

    A label has the colour of its point, darkened, so that it is told whose it is where points
    lie close together.

    Every label tries places around its point, near before far, and takes the one that
    collides least; labels far from their point get a thin line to it. A few rounds let
    early labels make way for later ones.

    Parameters
    ----------
    ax : Axes
        With final limits.
    points : float array, (n, 2)
        In data coordinates.
    names : list of str
        One per point; an empty one is not drawn.
    marks : sequence of Mark
        How the points are drawn.
    keep_off : float array, (m, 4)
        Boxes to leave free, left, bottom, right, top, in pixels.
    """
    pixels = np.asarray(ax.transData.transform(points)).reshape(-1, 2)
    scale = page(ax).dpi / 72
    sizes = [(72 * text_width_in(name) * scale + 4, (SMALL_PT + 1.5) * scale) for name in names]
    frame = np.array(ax.get_window_extent().extents)
    boxes: dict[int, np.ndarray] = {}
    todo = [i for i in np.lexsort((pixels[:, 0], -pixels[:, 1])) if names[i]]
    for _ in range(4):
        for i in todo:
            others = [box for j, box in boxes.items() if j != i]
            taken = np.vstack([keep_off.reshape(-1, 4), *others])
            boxes[i] = _best_box(pixels[i], sizes[i], taken, frame, scale)
    for i in todo:
        _draw_label(ax, names[i], marks[i].ink, boxes[i], pixels[i], scale)


def without_bars(frame: pd.DataFrame, value: str = "value") -> list[str]:
    """What a footer says of values without an interval; empty where all have one."""
    blank = frame[value].notna() & frame[["low", "high"]].isna().any(axis=1)
    return ["a point without a bar has no interval"] if blank.any() else []


def spread_out(wanted: np.ndarray, apart: float, low: float, high: float) -> np.ndarray:
    """Heights near the wanted ones (ascending), ``apart`` from each other, above ``low``.

    Neighbours that would touch form a block around the mean of their wishes; only where there
    is no room do heights pass ``high``.

    >>> spread_out(np.array([1.0, 1.0, 5.0]), 1.0, 0.0, 9.0)
    array([0.5, 1.5, 5. ])
    """
    blocks: list[list[float]] = []
    for wish in wanted:
        blocks.append([float(wish)])
        while True:
            starts = [_start(block, apart, low, high) for block in blocks[-2:]]
            if len(blocks) < 2 or starts[0] + apart * len(blocks[-2]) <= starts[1]:
                break
            last = blocks.pop()
            blocks[-1] += last
    places = [_start(b, apart, low, high) + apart * i for b in blocks for i in range(len(b))]
    return np.array(places)


def names_beside(
    ax: Axes,
    marks: Mapping[Any, Mark],
    ends: Mapping[str, tuple[float, float]],
    names_in: float,
) -> None:
    """Marks and names right of a panel, by value, none nearer to the next than a line.

    Parameters
    ----------
    ax : Axes
        With final limits, and ``LEADER_IN + names_in`` inches free on its right.
    marks : mapping
        How each line is drawn.
    ends : mapping
        Where each line ends: fraction of the axes' width, value. One that ends at 1 is shown by
        its dashes, others by their point.
    names_in : float
        Room for a name, inches.
    """
    low, high = ax.get_ylim()
    box, dpi = ax.get_window_extent(), page(ax).dpi
    width, height = box.width / dpi, box.height / dpi
    free: dict[str, Any] = {"transform": ax.transAxes, "clip_on": False}
    names = sorted(ends, key=lambda name: (ends[name][1], name))
    wanted = np.array([(ends[name][1] - low) / (high - low) * height for name in names])
    for name, y in zip(names, spread_out(wanted, NAME_IN, 0.0, height) / height, strict=True):
        start, value = ends[name]
        at, bend, mark = (value - low) / (high - low), 1 + 0.03 / width, 1 + 0.17 / width
        ax.plot([start, bend, mark], [at, at, y], color="#c4c4c4", linewidth=0.5, zorder=1.4,
                **free)  # fmt: skip
        look = marks[name]
        if start < 1:
            ax.plot(mark + 0.04 / width, y, **look.point(3.4), **free)
        else:
            ax.plot([mark, mark + 0.08 / width], [y, y], color=look.color, linestyle=look.dash,
                    linewidth=1.0, **free)  # fmt: skip
        grey = look.color in (CONTROL_COLOR, MUTED)
        ax.text(1 + LEADER_IN / width, y, fit(name, names_in), va="center", fontsize=SMALL_PT,
                color=MUTED if grey else INK, transform=ax.transAxes)  # fmt: skip


def _best_box(
    point: np.ndarray, size: tuple[float, float], taken: np.ndarray, frame: np.ndarray, scale: float
) -> np.ndarray:
    """Find the box (left, bottom, right, top) near ``point`` that collides least."""
    radii = np.array([5.5, 8, 11, 15, 20, 26, 33, 41, 50, 60, 75, 90]) * scale
    angles = np.radians(np.arange(0, 360, 15))
    r, a = (grid.ravel() for grid in np.meshgrid(radii, angles, indexing="ij"))
    x, y = point[0] + r * np.cos(a), point[1] + r * np.sin(a)
    # the side of the box that faces the point touches the candidate place
    left = x - size[0] * (1 - np.cos(a)) / 2
    bottom = y - size[1] * (1 - np.sin(a)) / 2
    boxes = np.stack([left, bottom, left + size[0], bottom + size[1]], axis=1)
    outside = np.maximum(frame[:2] - boxes[:, :2], 0).sum(1)
    outside += np.maximum(boxes[:, 2:] - frame[2:], 0).sum(1)
    low = np.maximum(boxes[:, None, :2], taken[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], taken[None, :, 2:])
    overlap = np.prod(np.maximum(high - low, 0), axis=2).sum(1)
    cost = 50 * overlap + 500 * outside + r + 2 * scale * np.abs(np.sin(a))
    return np.asarray(boxes[int(np.argmin(cost))])


def _draw_label(
    ax: Axes, name: str, color: str, box: np.ndarray, point: np.ndarray, scale: float
) -> None:
    to_data = ax.transData.inverted()
    left, middle = to_data.transform((box[0] + 1, (box[1] + box[3]) / 2))
    ax.text(left, middle, name, fontsize=SMALL_PT, color=color, va="center", zorder=6)
    nearest = np.clip(point, box[:2], box[2:])
    if np.hypot(*(nearest - point)) > 9 * scale:
        x, y = zip(to_data.transform(nearest), to_data.transform(point), strict=True)
        ax.plot(x, y, color="#b0b0b0", linewidth=0.5, zorder=2.4)


def _start(wishes: list[float], apart: float, low: float, high: float) -> float:
    """Lowest place of a block."""
    length = apart * (len(wishes) - 1)
    return max(low, min(sum(wishes) / len(wishes) - length / 2, high - length))
