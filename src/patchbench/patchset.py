"""Prepared images and the patches cut from them, opened for reading.

A dataset folder holds ``images.parquet`` + ``images.npy`` (+ ``masks.npy``); a patches folder
below it holds ``index.parquet`` and ``pixels/`` shards. Everything large is memory-mapped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from patchbench.bootstrap import numbered
from patchbench.errors import UserError
from patchbench.io import read_array, read_table

_PLACE = ("image_row", "row", "col", "y_px", "x_px", "shard", "offset")
_CHUNK_ROWS = 8192


def shard_name(shard: int, n_shards: int) -> str:
    """File name of a shard, its total included: ``00003-of-00016``."""
    return f"{shard:05d}-of-{n_shards:05d}"


def gather(shards: Sequence[np.ndarray | Path], index: pd.DataFrame) -> np.ndarray:
    """Rows of the shards that a patch index names, in its order, whatever that is: a copy.

    Parameters
    ----------
    shards : list of arrays, (n_patches_in_shard, ...), or of their files
        All shards, in order. A file is opened when its turn comes and closed after it, so that
        never more than one is in memory: pages of a mapped file count as memory of the process.
    index : DataFrame
        Columns ``shard`` and ``offset``.

    Returns
    -------
    array, (n_patches, ...)
    """
    found, offsets = np.empty(0), index["offset"].to_numpy()
    for number, shard in enumerate(shards):
        rows = read_array(shard) if isinstance(shard, Path) else shard
        if number == 0:
            found = np.empty((len(index), *rows.shape[1:]), rows.dtype)
        places = np.flatnonzero(index["shard"].to_numpy() == number)
        for start in range(0, len(places), _CHUNK_ROWS):
            part = places[start : start + _CHUNK_ROWS]
            found[part] = rows[offsets[part]]
        del rows  # before the next is opened
    return found


def refuse_holes(embeddings: np.ndarray, where: str) -> None:
    """Refuse embeddings (n_patches, dim) with a value that is NaN or infinite.

    Raises
    ------
    UserError
        Naming how many rows, ``where`` they are, and what to look at.
    """
    n_bad = sum(
        int((~np.isfinite(embeddings[start : start + _CHUNK_ROWS]).all(axis=1)).sum())
        for start in range(0, len(embeddings), _CHUNK_ROWS)
    )
    if n_bad:
        raise UserError(
            f"{n_bad} of {len(embeddings)} embeddings ({where}) hold NaN or infinite values; "
            "look at the loss curves and settings of the encoder that made them"
        )


def groups_of_rows(images: Path, image_rows: np.ndarray) -> np.ndarray:
    """Group of images of a dataset, numbered from 0 as they come, for draws of whole groups.

    Parameters
    ----------
    images : Path
        ``images.parquet`` of the dataset.
    image_rows : int array, (n_images,)

    Returns
    -------
    int array, (n_images,)
    """
    return numbered(read_table(images, "images")["group"].to_numpy()[image_rows])


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
    weights : Path or None
        Checkpoint to start from, for an encoder that asks for one.
    """

    images: np.ndarray
    train_rows: np.ndarray
    val_rows: np.ndarray
    train_labels: np.ndarray | None
    val_labels: np.ndarray | None
    n_classes: int
    pixels: Sequence[np.ndarray]
    train_patches: pd.DataFrame
    weights: Path | None = None

    def sample_patches(self, n_patches: int, seed: int) -> np.ndarray:
        """At most ``n_patches`` train patches drawn without replacement, as a copy."""
        rng = np.random.default_rng(seed)
        n_patches = min(n_patches, len(self.train_patches))
        rows = np.sort(rng.choice(len(self.train_patches), n_patches, replace=False))
        chosen = self.train_patches.iloc[rows]
        return gather(self.pixels, chosen)


def training_data(
    images_path: Path,
    index_path: Path,
    pixel_paths: Sequence[Path],
    *,
    supervised: bool,
    weights: Path | None = None,
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
        weights=weights,
    )


def checked(pixels: np.ndarray, patch_size_px: int) -> np.ndarray:
    """``pixels``, if they are patches as an encoder takes them: uint8 (n, side, side, 3).

    Raises
    ------
    UserError
        If type or shape is another; NaN pixels, for example, can only be of another type.
    """
    shape = (patch_size_px, patch_size_px, 3)
    if pixels.dtype != np.uint8:
        holes = " with NaN among them" if np.isnan(np.sum(pixels, dtype=float)) else ""
        raise UserError(
            f"pixels are {pixels.dtype}{holes}; encoders take uint8 RGB, 0 to 255, so scale, "
            "round and convert them first"
        )
    if pixels.ndim != 4 or pixels.shape[1:] != shape:
        raise UserError(
            f"pixels have shape {pixels.shape}; expected (n, {', '.join(map(str, shape))})"
        )
    return pixels
