"""Decide on val and test images with a trained whole-image CNN, and score it."""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from patchbench import plugins
from patchbench.bags import softmax
from patchbench.cost import Stopwatch, Work
from patchbench.devices import resolve
from patchbench.evaluation import metric_rows, prediction_rows, roc_rows
from patchbench.io import provenance, read_array, read_state, read_table, write_table
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
    for split in ("val", "test"):
        rows = np.flatnonzero(table["split"] == split)
        with watch:
            logits = cnn.predict_logits(images, rows)
        decided[split] = (table.iloc[rows], softmax(logits))
    predictions = [prediction_rows(rows, NONE, each) for rows, each in decided.values()]
    test, probabilities = decided["test"]
    labels = test["label"].to_numpy()
    own = np.arange(len(labels))
    tables = {
        "predictions": pd.concat(predictions, ignore_index=True),
        "metrics": metric_rows(args.about, "image", NONE, labels, probabilities, own),
        "roc": roc_rows("image", NONE, labels, probabilities),
    }
    origin = provenance("cnn_predict", args.code, args.spec)
    for name, frame in tables.items():
        write_table(args.out / f"{name}.parquet", frame, name, origin)
    return Work(len(predictions[0]) + len(predictions[1]), "image", cnn.device, watch.elapsed_s)
