"""Fit the rules that decide from embeddings: on train images, their settings chosen on val."""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from patchbench import plugins
from patchbench.cost import Stopwatch, Work
from patchbench.devices import resolve
from patchbench.io import provenance, read_array, read_json, read_table, write_state
from patchbench.sampling import draw
from patchbench.seeds import derive
from patchbench.split_bags import embedded_bags

# what a rule holds for each train patch, at most: its embedding reduced, twice
_BYTES_PER_PATCH = 2 * 4 * 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--fusions", type=json.loads, required=True, help="JSON: entry to settings")
    parser.add_argument("--index", type=Path, required=True, help="index.parquet of the patches")
    parser.add_argument("--embeddings", type=Path, nargs="+", required=True, help="all shards")
    parser.add_argument(
        "--max-fit-mib", type=int, default=1024, help="most memory for the patches of a fit"
    )
    parser.add_argument("--out", type=Path, required=True, help="pooling.npz to write")


def run(args: argparse.Namespace) -> Work:
    """Fit one rule after the other, write what they learned."""
    index = read_table(args.index, "patches")
    side_px = read_json(args.index.with_name("extraction.json"))["image_size_px"]
    n_classes = int(index["label"].max()) + 1
    index = _within(index, args.max_fit_mib, args.seed)
    dim = read_array(args.embeddings[0]).shape[1]
    train, val = (
        embedded_bags(index, args.embeddings, dim, split, side_px) for split in ("train", "val")
    )
    state, total, parts_s = dict[str, np.ndarray](), Stopwatch(), dict[str, float]()
    device = resolve(args.device)
    for name, spec in args.fusions.items():
        fixed = {"seed": args.seed, "device": device, "threads": args.threads}
        rule = plugins.build("fusions", name, spec, **fixed)
        plugins.preload(type(rule).__module__)
        watch = Stopwatch()
        with watch, total:
            rule.fit(train.bags, train.labels, val.bags, val.labels, n_classes)
        parts_s[name] = watch.elapsed_s
        state |= {f"{name}/{key}": value for key, value in rule.state().items()}
    write_state(args.out, state, provenance("fit_pooling", args.code, args.fusions))
    n_images = len(args.fusions) * len(train.labels)
    return Work(n_images, "image", device, total.elapsed_s, parts_s=parts_s)


def _within(index: pd.DataFrame, max_mib: int, seed: int) -> pd.DataFrame:
    """The index without the train images that there is no memory for, drawn at random."""
    train = index[index["split"] == "train"]
    images = train.drop_duplicates("image_row")
    limit = int(max_mib * 2**20 / _BYTES_PER_PATCH / (len(train) / max(1, len(images))))
    if len(images) <= limit:
        return index
    print(
        f"train: using {limit} of {len(images)} images, drawn at random, because of max_fit_mib",
        file=sys.stderr,
    )
    rows = draw(images["label"].to_numpy(), limit, derive(seed, "fit_pooling"))
    kept = index["image_row"].isin(images["image_row"].iloc[rows])
    return index[kept | (index["split"] != "train")]
