"""The data at a glance: images of every class, and how many are in each split."""

from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from patchbench.figures import _style as style
from patchbench.study import Study
from patchbench.tables import SPLITS

CAPTION = (
    "Example images of every class, and the number of images in each split. Splits are made by "
    "image, or by group of images where the dataset names groups, never by patch."
)
_MAX_CLASSES, _TOP_IN, _GAP_IN, _BLOCK_GAP_IN = 40, 0.58, 0.03, 0.3


@dataclass(frozen=True)
class _Block:
    """A column of class lines; lengths in inches."""

    left: float
    width: float
    line_in: float
    n_pictures: int
    name: float
    count: float

    def count_right(self, i: int) -> float:
        """Right end of the count of split ``i``."""
        return self.left + self.width - self.count * (len(SPLITS) - 1 - i)


def data(study: Study, dataset: str) -> pd.DataFrame:
    """Images per class and split; columns ``class_name, split, n_images``."""
    about = study.datasets.get(dataset, {})
    counts = about.get("n_images", {})
    rows = [
        (name, split, counts[split].get(name, 0))
        for name in about.get("classes", [])
        for split in SPLITS
        if split in counts
    ]
    return pd.DataFrame(rows, columns=["class_name", "split", "n_images"])


def draw(study: Study, dataset: str) -> Figure:
    """One line per class: its name, example images, a bar and a count for each split."""
    long = data(study, dataset)
    classes = list(dict.fromkeys(long["class_name"]))
    shown = classes[:_MAX_CLASSES]
    n_blocks = 1 if len(shown) <= 10 else 2
    n_lines = max(1, -(-len(shown) // n_blocks))
    line_in = 0.5 if n_blocks == 1 and n_lines <= 8 else 0.36
    footer = _facts(study, dataset, len(classes) - len(shown))
    fig = style.figure(_TOP_IN + n_lines * line_in + 0.1 + style.footer_in(footer))
    style.title(fig, f"{dataset}: images per class and split")
    style.footer(fig, footer)
    if not shown:
        style.blank(style.panel(fig, 0.5, 0.4, 6, 0.5), "No images are counted for this dataset.")
        return fig
    counts = long.pivot(index="class_name", columns="split", values="n_images").reindex(shown)
    width = (style.WIDTH_IN - 0.2 - _BLOCK_GAP_IN * (n_blocks - 1)) / n_blocks
    images = study.thumbnails.get(dataset, np.zeros((0, 1, 1, 3), np.uint8))
    n_pictures = len(images) // len(classes)
    widest = max(style.text_width_in(name, 7) for name in shown)
    name_in = min(widest + 0.2, 1.25 if n_blocks == 1 else 0.98)
    for i, name in enumerate(shown):
        left = 0.1 + (i // n_lines) * (width + _BLOCK_GAP_IN)
        sizes = (5, 0.42) if n_blocks == 1 else (2, 0.35)
        block = _Block(left, width, line_in, min(sizes[0], n_pictures), name_in, sizes[1])
        if i % n_lines == 0:
            _header(fig, block)
        pictures = images[i :: len(classes)][: block.n_pictures]
        top = _TOP_IN + (i % n_lines) * line_in
        _line(fig, block, top, name, pictures)
        _counts(fig, block, top, counts.loc[name], float(counts.sum(axis=1).max()))
    return fig


def _facts(study: Study, dataset: str, n_hidden: int) -> str:
    about = study.datasets.get(dataset, {})
    totals = {split: sum(by.values()) for split, by in about.get("n_images", {}).items()}
    parts = [f"n = {sum(totals.values()):,} images"]
    parts += [f"{totals[split]:,} {split}" for split in SPLITS if split in totals]
    text = ", ".join(parts) + f"; {len(about.get('left_out', []))} left out"
    if n_hidden > 0:
        text += f"; {n_hidden} more classes are in the table behind this figure"
    return style.signed(study, text)


def _header(fig: Figure, block: _Block) -> None:
    for i, split in enumerate(SPLITS):
        right = block.count_right(i)
        style.write(fig, right, _TOP_IN - 0.1, split, ha="right", color=style.MUTED)
        ax = style.panel(fig, right - 0.24, _TOP_IN - 0.03, 0.24, 0.025)
        ax.set_axis_off()
        ax.barh(0, 1, 1, color=style.SPLIT_COLORS[split])
        ax.set(xlim=(0, 1), ylim=(-0.5, 0.5))


def _line(fig: Figure, block: _Block, top: float, name: str, pictures: np.ndarray) -> None:
    """Name and pictures of one class."""
    middle, side = top + block.line_in / 2, block.line_in - _GAP_IN
    n_chars = int(block.name / 0.064)
    text = "\n".join(style.shorten(part, n_chars) for part in wrap(name, n_chars)[:2])
    style.write(fig, block.left, middle, text, fontsize=7, linespacing=1.0)
    for j, pixels in enumerate(pictures):
        left = block.left + block.name + j * block.line_in
        ax = style.panel(fig, left, top + _GAP_IN / 2, side, side)
        ax.imshow(pixels, interpolation="antialiased")
        ax.set_axis_off()


def _counts(
    fig: Figure, block: _Block, top: float, counts: "pd.Series[Any]", largest: float
) -> None:
    """Bar and numbers of one class."""
    left = block.left + block.name + block.n_pictures * block.line_in + 0.1
    right = block.count_right(0) - block.count
    ax = style.panel(fig, left, top + 0.1, right - left, block.line_in - 0.2)
    ax.set_axis_off()
    start = 0.0
    for i, split in enumerate(SPLITS):
        value = float(counts[split]) if split in counts.index else np.nan
        known = not np.isnan(value)
        text = f"{value:,.0f}" if known else style.BLANK
        middle = top + block.line_in / 2
        style.write(fig, block.count_right(i), middle, text, ha="right")
        if known:
            ax.barh(0, value, 1, left=start, color=style.SPLIT_COLORS[split])
            start += value
    ax.set(xlim=(0, max(1.0, largest)), ylim=(-0.5, 0.5))
