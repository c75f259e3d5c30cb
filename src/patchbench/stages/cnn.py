"""Train a whole-image CNN on the train split: the yardstick of every patch method."""

import argparse
import json
from pathlib import Path

import numpy as np

from patchbench import plugins
from patchbench.cost import Stopwatch, Work
from patchbench.devices import resolve
from patchbench.io import provenance, read_array, read_table, write_state, write_table
from patchbench.networks.whole_image import open_cnn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--cnn", required=True, help="entry of the config's cnns")
    parser.add_argument("--spec", type=json.loads, default={}, help="JSON: settings of the entry")
    parser.add_argument("--images", type=Path, required=True, help="images.npy of the dataset")
    parser.add_argument("--out", type=Path, required=True, help="cnn.npz to write")


def run(args: argparse.Namespace) -> Work:
    """Open the images, train, write the history and then the network."""
    table = read_table(args.images.with_suffix(".parquet"), "images")
    train, val = (np.flatnonzero(table["split"] == split) for split in ("train", "val"))
    labels = table["label"].to_numpy()
    fixed = {"seed": args.seed, "device": resolve(args.device), "threads": args.threads}
    cnn = open_cnn(args.cnn, args.spec, **fixed)
    plugins.preload(type(cnn).__module__)
    images, n_classes, watch = read_array(args.images), int(labels.max()) + 1, Stopwatch()
    with watch:
        history = cnn.fit(images, train, labels[train], val, labels[val], n_classes)
    origin = provenance("cnn", args.code, args.spec)
    write_table(args.out.with_name("history.parquet"), history, "history", origin)
    write_state(args.out, cnn.state(), origin)
    n_epochs = int(history["epoch"].max())
    return Work(n_epochs * len(train), "image epoch", cnn.device, watch.elapsed_s)
