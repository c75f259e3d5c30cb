"""Turn the patches of one shard into embeddings with a fitted encoder."""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench import plugins
from patchbench.cost import Stopwatch, Work
from patchbench.io import ArrayWriter, provenance, read_array, read_state, read_table
from patchbench.progress import progress

# patches handed to an encoder at once and timed together: bounds memory, large enough to keep it
# busy, small enough that a shard holds several. Always as many, the last one repeated where a shard
# ends: sums over another number of rows may round otherwise, and no patch may know its shard.
CHUNK_PATCHES = 512

Piece = tuple[slice, Callable[[], np.ndarray]]
"""Rows of the embeddings, and how to compute them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--encoder", required=True, help="entry of the config's encoders")
    parser.add_argument("--spec", type=json.loads, default={}, help="JSON: settings of the entry")
    parser.add_argument("--state", type=Path, required=True, help="encoder.npz, fitted")
    parser.add_argument("--images", type=Path, required=True, help="images.npy of the dataset")
    parser.add_argument(
        "--pixels", type=Path, required=True, help="pixel shard, its part of the index beside it"
    )
    parser.add_argument("--out", type=Path, required=True, help="embeddings shard to write")


def run(args: argparse.Namespace) -> Work:
    """Restore the encoder, encode piece by piece straight to disk."""
    pixels = read_array(args.pixels)
    encoder = plugins.build(
        "encoders",
        args.encoder,
        args.spec,
        patch_size_px=pixels.shape[1],
        seed=args.seed,
        device=args.device,
        threads=args.threads,
    )
    encoder.restore(read_state(args.state))
    origin = provenance("encode", args.code, args.spec)
    encoder.encode(pixels[:1])  # imports what it needs, which is no part of the work
    part = read_table(args.pixels.with_suffix(".parquet"), "patches")
    todo, watch = pieces(encoder, pixels, read_array(args.images), part), Stopwatch()
    with ArrayWriter(args.out, (len(pixels), encoder.dim), np.float32, origin) as embeddings:
        for rows, encode in progress(todo, f"encoding {args.out.stem}", "chunk"):
            with watch.lap(rows.stop - rows.start):
                embeddings[rows] = encode()
    return Work(len(pixels), "patch", encoder.device, watch.elapsed_s, watch.laps)


def pieces(encoder: Any, pixels: np.ndarray, images: np.ndarray, part: pd.DataFrame) -> list[Piece]:
    """Split the work: whole images where the encoder can read the patch grid off them.

    Parameters
    ----------
    encoder : Encoder
        Fitted.
    pixels : uint8 array, (n_patches, side, side, 3)
        The shard.
    images : uint8 array, (n_images, height_px, width_px, 3)
        All images of the dataset.
    part : DataFrame
        Rows of table "patches" for ``pixels``.
    """
    image_rows = part["image_row"].unique()
    per_image = len(part) // len(image_rows)
    ys, xs = (part[side].iloc[:per_image].unique() for side in ("y_px", "x_px"))
    if not (hasattr(encoder, "takes_grid") and encoder.takes_grid(ys, xs, *images.shape[1:3])):
        return [
            (rows, partial(_patch_by_patch, encoder, pixels, rows))
            for rows in chunks(len(pixels), CHUNK_PATCHES)
        ]
    n_each = max(1, CHUNK_PATCHES // per_image)
    return [
        (
            slice(rows.start * per_image, rows.stop * per_image),
            partial(_whole, encoder, images, image_rows, rows, n_each, (ys, xs)),
        )
        for rows in chunks(len(image_rows), n_each)
    ]


def chunks(n_rows: int, n_each: int) -> list[slice]:
    """Rows in turn, as many each but for the last.

    >>> chunks(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    starts = range(0, n_rows, n_each)
    return [slice(start, min(start + n_each, n_rows)) for start in starts]


def filled(values: np.ndarray, rows: slice, n: int) -> np.ndarray:
    """These rows and, up to a number of ``n``, the last of them again.

    >>> filled(np.array([7, 8, 9]), slice(1, 3), 3)
    array([8, 9, 9])
    """
    found: np.ndarray = values[np.arange(rows.start, rows.start + n).clip(max=rows.stop - 1)]
    return found


def _patch_by_patch(encoder: Any, pixels: np.ndarray, rows: slice) -> np.ndarray:
    embeddings: np.ndarray = encoder.encode(filled(pixels, rows, CHUNK_PATCHES))
    return embeddings[: rows.stop - rows.start]


def _whole(
    encoder: Any,
    images: np.ndarray,
    image_rows: np.ndarray,
    rows: slice,
    n_each: int,
    grid: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    chosen = filled(image_rows, rows, n_each)
    embeddings: np.ndarray = encoder.encode_grid(images[chosen], *grid)
    return embeddings[: len(embeddings) // n_each * (rows.stop - rows.start)]
