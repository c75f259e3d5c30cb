"""Mask parts of an image one by one, then together, to see whether they act on their own.

Brendel & Bethge, "Approximating CNNs with Bag-of-local-Features models works surprisingly well
on ImageNet", ICLR 2019, arXiv:1904.00760, section 4.3. Where evidence is a sum over places, what
the logit loses by masking all parts is the sum of what it loses by masking each: over images, the
two correlate with r = 1. What parts say only together pulls r down. The places of the parts are
fixed; only their side changes. The logit is that of the class decided on, of a patch method the
mean over patches. What stands in for a part matters to networks, so there are two fills.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any, ClassVar

import numpy as np

from patchbench.bootstrap import draw_groups, numbered
from patchbench.evaluation import BOOTSTRAP_SEED
from patchbench.experiments._checks import check_count
from patchbench.sampling import draw
from patchbench.seeds import derive
from patchbench.study import NONE
from patchbench.subject import MEAN_LOGIT, Subject
from patchbench.trials import Score, row

FILLS = ("mean_color", "grey")
_GREY = 128


@dataclass(kw_only=True)
class Experiment:
    """Parts masked one by one and together.

    Parameters
    ----------
    sides_px : list of int
        Sides of the square parts.
    parts_per_side : int
        The parts stand in the middles of as many cells across and down the image.
    max_images : int
        At most so many test images.
    """

    sides_px: list[int] = field(default_factory=lambda: [8, 16, 24, 32])
    parts_per_side: int = 2
    max_images: int = 60
    seed: int = 0

    needs: ClassVar[str] = "model"
    summary: ClassVar[str] = "parts masked one by one and together: is the joint effect the sum?"
    source: ClassVar[str] = "Brendel & Bethge, ICLR 2019, arXiv:1904.00760"

    def __post_init__(self) -> None:
        check_count(parts_per_side=self.parts_per_side, max_images=self.max_images)
        if not self.sides_px or min(self.sides_px) < 1:
            raise ValueError(f"sides_px is {self.sides_px}; give at least one, each 1 px or more")

    def check_image(self, side_px: int) -> None:
        """Refuse parts that would touch in an image of this side."""
        largest, apart_px = max(self.sides_px), side_px // self.parts_per_side
        if largest >= apart_px:
            raise ValueError(
                f"sides_px goes up to {largest}, but with parts_per_side {self.parts_per_side} the "
                f"parts of a {side_px} px image are {apart_px} px apart and would touch; "
                "use smaller or fewer parts"
            )

    def rows(self, subject: Subject) -> Iterator[dict[str, Any]]:
        """Rows of table "experiments": ``amount`` is the side of the parts, px."""
        images = subject.images
        if images is None:
            raise ValueError("interaction needs images to mask; give images and a model")
        self.check_image(min(images.shape[1:3]))
        chosen = draw(subject.labels, self.max_images, derive(self.seed, "experiment", "parts"))
        full = logits(subject, chosen, [], FILLS[0])
        own = np.arange(len(chosen)), full.argmax(axis=1)
        weights = draw_groups(numbered(subject.group_of[chosen]), BOOTSTRAP_SEED)
        fusion = NONE if subject.fusions == (NONE,) else MEAN_LOGIT
        for fill, side_px in product(FILLS, self.sides_px):
            height_px, width_px = images.shape[1:3]
            parts = boxes(height_px, width_px, side_px, self.parts_per_side)
            left = [
                logits(subject, chosen, some, fill)[own] for some in [*([p] for p in parts), parts]
            ]
            drops = full[own] - np.stack(left)
            place: dict[str, Any] = {"policy": fill, "fusion": fusion, "rescaled": None}
            place |= {"amount": float(side_px), "n_images": len(chosen)}
            for measure, score in _measures(drops[:-1].sum(axis=0), drops[-1], weights).items():
                yield place | {"measure": measure} | row(score)


def logits(
    subject: Subject, chosen: np.ndarray, parts: list[tuple[slice, slice]], fill: str
) -> np.ndarray:
    """Image logits with some parts masked: float64 array, (n_chosen, n_classes)."""
    votes = subject.asked(lambda images, _: mask(images, parts, fill), chosen)
    mean: np.ndarray = votes.mean(axis=1, dtype=np.float64)
    return mean


def boxes(height_px: int, width_px: int, side_px: int, per_side: int) -> list[tuple[slice, slice]]:
    """Rows and columns of the parts, in the middles of equal cells.

    >>> [(rows.start, cols.start) for rows, cols in boxes(8, 8, 2, 2)]
    [(1, 1), (1, 5), (5, 1), (5, 5)]
    """
    tops, lefts = (
        [int((i + 0.5) * length / per_side - side_px / 2) for i in range(per_side)]
        for length in (height_px, width_px)
    )
    return [(slice(y, y + side_px), slice(x, x + side_px)) for y in tops for x in lefts]


def mask(images: np.ndarray, parts: list[tuple[slice, slice]], fill: str) -> np.ndarray:
    """Images, uint8 (n, height_px, width_px, 3), with parts painted over."""
    color = images.mean(axis=(1, 2), keepdims=True).round() if fill == FILLS[0] else _GREY
    found = images.copy()
    for rows, cols in parts:
        found[:, rows, cols] = color
    return found


def _measures(apart: np.ndarray, joint: np.ndarray, weights: np.ndarray) -> dict[str, Score]:
    """Correlation of the summed single drops with the joint drop, (n_images,) each; both means."""
    total = weights.sum(axis=1)
    found = {
        "pearson_r": pearson(apart, joint, weights),
        "sum_of_drops": weights @ apart / total,
        "joint_drop": weights @ joint / total,
    }
    return {name: Score(draws, draws[:1]) for name, draws in found.items()}


def pearson(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Correlation for each row of image weights: float64 array, (n_draws,).

    NaN where one of the two does not vary.
    """
    weights = weights.astype(np.float64) / weights.sum(axis=1, keepdims=True)
    x, y = x - x.mean(), y - y.mean()
    mean_x, mean_y = weights @ x, weights @ y
    spread = (weights @ x**2 - mean_x**2) * (weights @ y**2 - mean_y**2)
    shared = weights @ (x * y) - mean_x * mean_y
    varies = spread > 1e-24 * max(1e-300, float(np.var(x) * np.var(y)))
    nothing = np.full(len(weights), np.nan)
    found: np.ndarray = np.divide(shared, np.sqrt(np.maximum(spread, 0)), out=nothing, where=varies)
    return found.clip(-1, 1)
