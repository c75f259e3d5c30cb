"""What a pipeline is, and what it says of an image."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from patchbench.records import Preparation
from patchbench.study import NONE
from patchbench.windows import Windows


@dataclass(frozen=True)
class Grid:
    """Where the patches of an image lie.

    Attributes
    ----------
    ys, xs : int array, (n_rows,) and (n_cols,)
        Top and left edges, px.
    patch_size_px : int
        Side of a patch.
    """

    ys: np.ndarray
    xs: np.ndarray
    patch_size_px: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.ys), len(self.xs)


@dataclass(frozen=True)
class Answer:
    """What was decided on an image.

    Attributes
    ----------
    probabilities : float64 array, (n_classes,)
        Of the image.
    grid : Grid or None
        Of its patches; None where nothing is cut.
    evidence : float32 array, (n_rows, n_cols, n_classes), or None
        Probabilities of each patch, calibrated as those of the image; None where none votes.
    """

    probabilities: np.ndarray
    grid: Grid | None = None
    evidence: np.ndarray | None = None


@dataclass(frozen=True)
class Pipeline:
    """A run, restored.

    Attributes
    ----------
    classes : list of str
        Names of the classes, in label order.
    preparation : Preparation
        How the images that it learned from were brought to their size.
    decide : callable
        From an image, with what to call it while the work is under way, to an `Answer`.
    fusion : str
        Rule that decides; "none" for a CNN.
    votes : bool
        Whether single patches vote, so that there is evidence.
    calibration : mapping
        What patch logits were divided by: ``method`` ("none" or "temperature"), ``temperature``.
    """

    classes: list[str]
    preparation: Preparation
    decide: Callable[[Windows, str], Answer]
    fusion: str = NONE
    votes: bool = False
    calibration: Mapping[str, Any] = field(default_factory=lambda: {"method": "none"})
