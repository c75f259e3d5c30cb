"""Decide on val and test images with a trained whole-image CNN, and score it."""

import argparse
import json
from pathlib import Path

from patchbench import plugins
from patchbench.bags import softmax
from patchbench.cost import Stopwatch, Work
from patchbench.devices import resolve
from patchbench.evaluation import DecisionTables
from patchbench.io import provenance, read_array, read_state, read_table, write_tables
from patchbench.networks.whole_image import open_cnn
from patchbench.study import NONE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--cnn", required=True, help="entry of the config's cnns")
    parser.add_argument("--spec", type=json.loads, default={}, help="JSON: settings of the entry")
    parser.add_argument("--state", type=Path, required=True, help="cnn.npz, trained")
    parser.add_argument("--images", type=Path, required=True, help="images.npy of the dataset")
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")


def run(args: argparse.Namespace) -> Work:
    """Restore the network, predict, score on test, write."""
    fixed = {"seed": args.seed, "device": resolve(args.device), "threads": args.threads}
    cnn = open_cnn(args.cnn, args.spec, **fixed)
    plugins.preload(type(cnn).__module__)
    cnn.restore(read_state(args.state))
    images = read_array(args.images)
    table = read_table(args.images.with_suffix(".parquet"), "images")
    decided, watch = {}, Stopwatch()
    val, test = (table[table["split"] == split] for split in ("val", "test"))
    for split, part in (("val", val), ("test", test)):
        with watch:
            decided[split] = softmax(cnn.predict_logits(images, part.index.to_numpy()))
    found = DecisionTables(args.about, val, test)
    found.add(NONE, decided["val"], decided["test"])
    write_tables(args.out, found.tables(), provenance("cnn_predict", args.code, args.spec))
    return Work(len(val) + len(test), "image", cnn.device, watch.elapsed_s)
