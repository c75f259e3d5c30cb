"""The bags of one split, votes or embeddings, gathered from shards image after image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import pandas as pd

from patchbench import grid
from patchbench.bags import Bags
from patchbench.embedded import EmbeddedBags
from patchbench.errors import UserError
from patchbench.patchset import gather, refuse_holes

Kind = TypeVar("Kind", Bags, EmbeddedBags)


@dataclass(frozen=True)
class SplitBags(Generic[Kind]):
    """The bags of one split, and its images in the same order.

    Columns image_id, image_row, split and label; and group, once :meth:`with_groups` added it.
    """

    bags: Kind
    images: pd.DataFrame

    @property
    def labels(self) -> np.ndarray:
        """True class of each image: int array, (n_images,)."""
        labels: np.ndarray = self.images["label"].to_numpy()
        return labels

    def with_groups(self, table: pd.DataFrame) -> "SplitBags[Kind]":
        """Add what table ``images`` of the dataset says of each image: its group."""
        groups = table["group"].to_numpy()[self.images["image_row"]]
        return replace(self, images=self.images.assign(group=groups))


def split_bags(
    index: pd.DataFrame,
    logits: Sequence[np.ndarray],
    split: str,
    side_px: int,
    noise: Mapping[str, np.ndarray] | None = None,
) -> SplitBags[Bags]:
    """Collect the patch logits of one split, image after image.

    ``noise`` is what stage ``detect`` left: scores (n_patches,) of a split under ``split/entry``.
    """
    chosen, images, sizes = _laid_out(index, split)
    start = f"{split}/"
    own = {k.removeprefix(start): v for k, v in (noise or {}).items() if k.startswith(start)}
    bags = Bags(gather(logits, chosen), sizes, centers_of(chosen, side_px), own)
    return SplitBags(bags, images)


def embedded_bags(
    index: pd.DataFrame, shards: Sequence[Path], dim: int, split: str, side_px: int
) -> SplitBags[EmbeddedBags]:
    """Lay out the embeddings (n_patches, dim) of one split; they are read when asked for."""
    chosen, images, sizes = _laid_out(index, split)

    def read(rows: slice) -> np.ndarray:
        found = gather(shards, chosen.iloc[rows])
        refuse_holes(found, f"the {split} patches")
        return found

    return SplitBags(EmbeddedBags(read, dim, sizes, centers_of(chosen, side_px)), images)


def _laid_out(index: pd.DataFrame, split: str) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Patches of a split, its images, and patches per image.

    Raises
    ------
    UserError
        If patches of an image do not follow one another: two images may have one id.
    """
    chosen = index[index["split"] == split]
    first = (chosen["image_row"] != chosen["image_row"].shift()).to_numpy()
    sizes = np.diff(np.append(np.flatnonzero(first), len(chosen)))
    images = chosen.loc[first, ["image_id", "image_row", "split", "label"]].reset_index(drop=True)
    twice = images["image_id"][images["image_id"].duplicated()]
    if len(twice):
        raise UserError(
            f"the patch index holds image {twice.iloc[0]!r} more than once in {split}; image ids "
            "must be unique and the patches of an image stand together, so make the index again"
        )
    return chosen, images, sizes


def centers_of(patches: pd.DataFrame, side_px: int) -> np.ndarray:
    """Centres of rows of table "patches" in their image, -1 to 1: float (n, 2)."""
    return grid.relative_centers(
        patches["y_px"].to_numpy(),
        patches["x_px"].to_numpy(),
        int(patches["height_px"].iloc[0]),
        side_px,
    )
