"""Join the index parts of all shards; that the index is there means that all patches are."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from patchbench.cost import Work
from patchbench.io import provenance, read_array, read_table, write_json, write_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument(
        "--parts", type=Path, nargs="+", required=True, help="index parts, in order"
    )
    parser.add_argument("--images", type=Path, required=True, help="images.npy of the dataset")
    parser.add_argument("--spec", default="{}", help="JSON: the entry in the config's patches")
    parser.add_argument("--out", type=Path, required=True, help="index.parquet to write")


def run(args: argparse.Namespace) -> Work:
    """Concatenate, report, write the index last."""
    index = pd.concat([read_table(part, "patches") for part in args.parts], ignore_index=True)
    origin = provenance("index", args.code, {"spec": args.spec})
    side_px = read_array(args.images).shape[1]
    write_json(args.out.with_name("extraction.json"), extraction_report(index, side_px), origin)
    write_table(args.out, index, "patches", origin)
    return Work(len(index), "patch")


def extraction_report(index: pd.DataFrame, side_px: int) -> dict[str, object]:
    """How many images and patches there are, and what of the images no patch covers."""
    first = index[index["image_row"] == index["image_row"].iloc[0]]
    covered = np.zeros((side_px, side_px), dtype=bool)
    for patch in first.itertuples():
        covered[
            patch.y_px : patch.y_px + patch.height_px, patch.x_px : patch.x_px + patch.width_px
        ] = True
    known = index["foreground"].dropna()
    return {
        "n_images": int(index["image_row"].nunique()),
        "n_patches": len(index),
        "patches_per_image": len(first),
        "grid": [int(first["row"].max()) + 1, int(first["col"].max()) + 1],
        "patch_size_px": int(index["height_px"].iloc[0]),
        "image_size_px": side_px,
        "share_of_image_covered": float(covered.mean()),
        "share_of_patches_all_background": float((known == 0).mean()) if len(known) else None,
    }
