"""Prepared images and the patches cut from them, opened for reading.

A dataset folder holds ``images.parquet`` + ``images.npy`` (+ ``masks.npy``); a patches folder
below it holds ``index.parquet`` and ``pixels/`` shards. Everything large is memory-mapped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from patchbench.io import read_array, read_table

_PLACE = ("image_row", "row", "col", "y_px", "x_px", "shard", "offset")


def shard_name(shard: int, n_shards: int) -> str:
    """File name of a shard, its total included: ``00003-of-00016``."""
    return f"{shard:05d}-of-{n_shards:05d}"


def gather(shards: Sequence[np.ndarray], index: pd.DataFrame) -> np.ndarray:
    """Rows of the shards that the patch index names, in its order: (n_patches, ...), a copy.

    ``index`` is sorted by shard, as the whole index and every selection from it are.
    """
    parts = [
        shards[shard][index.loc[index["shard"] == shard, "offset"].to_numpy()]
        for shard in range(len(shards))
    ]
    return np.concatenate(parts)


@dataclass(frozen=True)
class TrainingData:
    """What an encoder may learn from: train images, val images to choose the best epoch.

    Attributes
    ----------
    images : uint8 array, (n_images, height_px, width_px, 3)
        All prepared images, RGB, memory-mapped; use only the rows below.
    train_rows, val_rows : int array
        Rows of ``images`` in each split.
    train_labels, val_labels : int array or None
        Labels of those rows; None for an encoder that does not declare ``supervised``.
    n_classes : int
        Classes of the dataset; 0 where labels are withheld.
    pixels : list of uint8 arrays, (n_patches, patch_size_px, patch_size_px, 3)
        Shards of all patches, memory-mapped.
    train_patches : DataFrame
        Where the patches of the train split lie: ``image_row``, ``row``, ``col``, ``y_px``,
        ``x_px``, ``shard``, ``offset``. Names and masks stay outside, since they tell labels.
    """

    images: np.ndarray
    train_rows: np.ndarray
    val_rows: np.ndarray
    train_labels: np.ndarray | None
    val_labels: np.ndarray | None
    n_classes: int
    pixels: Sequence[np.ndarray]
    train_patches: pd.DataFrame

    def sample_patches(self, n_patches: int, seed: int) -> np.ndarray:
        """At most ``n_patches`` train patches drawn without replacement, as a copy."""
        rng = np.random.default_rng(seed)
        n_patches = min(n_patches, len(self.train_patches))
        rows = np.sort(rng.choice(len(self.train_patches), n_patches, replace=False))
        chosen = self.train_patches.iloc[rows]
        return gather(self.pixels, chosen)


def training_data(
    images_path: Path, index_path: Path, pixel_paths: Sequence[Path], *, supervised: bool
) -> TrainingData:
    """Open what ``fit`` of an encoder gets; labels stay outside unless ``supervised``."""
    table = read_table(images_path.with_suffix(".parquet"), "images")
    index = read_table(index_path, "patches")
    train, val = (np.flatnonzero(table["split"] == split) for split in ("train", "val"))
    labels = table["label"].to_numpy()
    return TrainingData(
        images=read_array(images_path),
        train_rows=train,
        val_rows=val,
        train_labels=labels[train] if supervised else None,
        val_labels=labels[val] if supervised else None,
        n_classes=int(labels.max()) + 1 if supervised else 0,
        pixels=[read_array(path) for path in pixel_paths],
        train_patches=index.loc[index["split"] == "train", list(_PLACE)],
    )
