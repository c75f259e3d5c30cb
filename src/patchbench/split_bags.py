"""The bags of one split: patch logits gathered from shards, image after image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from patchbench import grid
from patchbench.bags import Bags
from patchbench.patchset import gather


@dataclass(frozen=True)
class SplitBags:
    """The bags of one split, and its images (image_id, split, label) in the same order."""

    bags: Bags
    images: pd.DataFrame

    @property
    def labels(self) -> np.ndarray:
        """True class of each image: int array, (n_images,)."""
        labels: np.ndarray = self.images["label"].to_numpy()
        return labels


def split_bags(
    index: pd.DataFrame, logits: Sequence[np.ndarray], split: str, side_px: int
) -> SplitBags:
    """Collect the patch logits of one split, image after image."""
    chosen = index[index["split"] == split]
    first = ~chosen["image_row"].duplicated().to_numpy()
    sizes = np.diff(np.append(np.flatnonzero(first), len(chosen)))
    images = chosen.loc[first, ["image_id", "split", "label"]].reset_index(drop=True)
    return SplitBags(Bags(gather(logits, chosen), sizes, centers_of(chosen, side_px)), images)


def centers_of(patches: pd.DataFrame, side_px: int) -> np.ndarray:
    """Centres of rows of table "patches" in their image, -1 to 1: float (n, 2)."""
    return grid.relative_centers(
        patches["y_px"].to_numpy(),
        patches["x_px"].to_numpy(),
        int(patches["height_px"].iloc[0]),
        side_px,
    )
