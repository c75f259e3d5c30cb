"""Fit a patch classifier on the embeddings of the train split; settings are chosen on val."""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from patchbench import plugins
from patchbench.cost import Stopwatch, Work
from patchbench.io import provenance, read_array, read_table, write_state
from patchbench.patchset import gather


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--classifier", required=True, help="entry of the config's classifiers")
    parser.add_argument("--spec", type=json.loads, default={}, help="JSON: settings of the entry")
    parser.add_argument("--index", type=Path, required=True, help="index.parquet of the patches")
    parser.add_argument("--embeddings", type=Path, nargs="+", required=True, help="all shards")
    parser.add_argument("--max-fit-mib", type=int, default=1024, help="largest matrix to fit on")
    parser.add_argument("--out", type=Path, required=True, help="classifier.npz to write")


def run(args: argparse.Namespace) -> Work:
    """Gather train and val rows from the shards, fit, write."""
    classifier = plugins.build("classifiers", args.classifier, args.spec, seed=args.seed)
    index = read_table(args.index, "patches")
    shards = [read_array(path) for path in args.embeddings]
    limit = max(1, args.max_fit_mib * 2**20 // (4 * shards[0].shape[1]))
    train, val = (
        sample(index[index["split"] == split], limit, args.seed) for split in ("train", "val")
    )
    train_rows, val_rows = gather(shards, train), gather(shards, val)
    train_labels, val_labels = train["label"].to_numpy(), val["label"].to_numpy()
    n_classes = int(index["label"].max()) + 1
    plugins.preload(type(classifier).__module__)
    watch = Stopwatch()
    with watch:
        classifier.fit(train_rows, train_labels, val_rows, val_labels, n_classes)
    write_state(args.out, classifier.state(), provenance("fit_classifier", args.code, args.spec))
    return Work(len(train), "patch", work_s=watch.elapsed_s)


def sample(index: pd.DataFrame, limit: int, seed: int) -> pd.DataFrame:
    """At most ``limit`` rows, drawn without replacement, in their old order; says so if fewer."""
    if len(index) <= limit:
        return index
    print(
        f"fitting on {limit} of {len(index)} patches drawn at random (max_fit_mib)", file=sys.stderr
    )
    rows = np.random.default_rng(seed).choice(len(index), limit, replace=False)
    return index.iloc[np.sort(rows)]
