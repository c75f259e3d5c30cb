"""Cut the images of one shard into patches, and write its part of the index."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from patchbench import grid
from patchbench.cost import Work
from patchbench.errors import UserError
from patchbench.io import ArrayWriter, provenance, read_array, read_table, write_table
from patchbench.patchset import shard_name
from patchbench.progress import progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--images", type=Path, required=True, help="images.npy of the dataset")
    parser.add_argument("--patch-size-px", type=int, required=True, help="side of a patch")
    parser.add_argument("--stride-px", type=int, required=True, help="step between neighbours")
    parser.add_argument("--edge", choices=grid.EDGES, required=True, help="what happens at borders")
    parser.add_argument("--shard", required=True, help="which of how many: 00000-of-00002")
    parser.add_argument("--out", type=Path, required=True, help="folder for the shard's files")


def run(args: argparse.Namespace) -> Work:
    """Cut, then write pixels first and the index part last."""
    shard, n_shards = (int(number) for number in args.shard.split("-of-"))
    images, masks = read_array(args.images), read_array(args.images.with_name("masks.npy"))
    table = read_table(args.images.with_suffix(".parquet"), "images")
    rows = grid.image_range(shard, n_shards, len(table))
    if not rows:
        raise UserError(f"{n_shards} shards for {len(table)} images; lower the setting shards")
    try:
        ys, xs = (
            grid.starts(side, args.patch_size_px, args.stride_px, args.edge)
            for side in images.shape[1:3]
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    origin = provenance("cut", args.code, _settings(args))
    name = shard_name(shard, n_shards)
    per_image = len(ys) * len(xs)
    shape = (len(rows) * per_image, args.patch_size_px, args.patch_size_px, 3)
    foreground = np.full(shape[0], np.nan)
    with ArrayWriter(args.out / f"{name}.npy", shape, np.uint8, origin) as pixels:
        for i, row in enumerate(progress(rows, f"cutting {name}", "image")):
            here = slice(i * per_image, (i + 1) * per_image)
            pixels[here] = grid.cut(images[row], ys, xs, args.patch_size_px)
            if len(masks):
                covered = grid.cut(masks[row], ys, xs, args.patch_size_px)
                foreground[here] = covered.mean(axis=(1, 2))
    index = index_rows(table, rows, ys, xs, args.patch_size_px, shard)
    index["foreground"] = foreground
    write_table(args.out / f"{name}.parquet", index, "patches", origin)
    return Work(len(rows), "image")


def _settings(args: argparse.Namespace) -> dict[str, object]:
    """The settings that decide where patches lie."""
    return {key: getattr(args, key) for key in ("patch_size_px", "stride_px", "edge")}


def index_rows(
    table: pd.DataFrame, rows: range, ys: np.ndarray, xs: np.ndarray, patch_size_px: int, shard: int
) -> pd.DataFrame:
    """Index of a shard's patches, image by image, row by row."""
    per_image = len(ys) * len(xs)
    of_image = table.iloc[np.repeat(np.arange(rows.start, rows.stop), per_image)]
    row = np.tile(np.repeat(np.arange(len(ys)), len(xs)), len(rows))
    col = np.tile(np.arange(len(xs)), len(rows) * len(ys))
    places = [f"{r:03d}-{c:03d}" for r, c in zip(row[:per_image], col[:per_image], strict=True)]
    return pd.DataFrame(
        {
            "image_id": of_image["image_id"].to_numpy(),
            "patch_id": [
                f"{image}/{place}"
                for image in table["image_id"].iloc[list(rows)]
                for place in places
            ],
            "image_row": np.repeat(np.arange(rows.start, rows.stop), per_image),
            "row": row,
            "col": col,
            "y_px": ys[row],
            "x_px": xs[col],
            "height_px": patch_size_px,
            "width_px": patch_size_px,
            "label": of_image["label"].to_numpy(),
            "split": of_image["split"].to_numpy(),
            "shard": shard,
            "offset": np.arange(len(row)),
        }
    )
