"""Decide on val and test images with a trained whole-image CNN, and score it."""

import argparse
import json
from pathlib import Path

import numpy as np

from patchbench import plugins
from patchbench.bags import softmax
from patchbench.cost import Stopwatch, Work
from patchbench.devices import resolve
from patchbench.evaluation import DecisionTables
from patchbench.io import provenance, read_array, read_state, read_table, write_tables
from patchbench.networks.whole_image import WholeImageCnn, open_cnn
from patchbench.study import NONE

# images asked at once and timed together: whole batches of the network, so that none is split
CHUNK_IMAGES = 32


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
    watch = Stopwatch()
    val, test = (table[table["split"] == split] for split in ("val", "test"))
    found = DecisionTables(args.about, val, test)
    on_val, on_test = (_decide(cnn, images, part.index.to_numpy(), watch) for part in (val, test))
    found.add(NONE, on_val, on_test)
    write_tables(args.out, found.tables(), provenance("cnn_predict", args.code, args.spec))
    return Work(len(val) + len(test), "image", cnn.device, watch.elapsed_s, watch.laps)


def _decide(
    cnn: WholeImageCnn, images: np.ndarray, rows: np.ndarray, watch: Stopwatch
) -> np.ndarray:
    """Probabilities of some rows of ``images``: float64 array, (n_rows, n_classes)."""
    parts = []
    for start in range(0, len(rows), CHUNK_IMAGES):
        chunk = rows[start : start + CHUNK_IMAGES]
        with watch.lap(len(chunk)):
            parts.append(softmax(cnn.predict_logits(images, chunk)))
    return np.concatenate(parts)
