"""Fit a patch classifier on the embeddings of the train split; settings are chosen on val."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench import plugins
from patchbench.cost import Stopwatch, Work
from patchbench.errors import UserError
from patchbench.io import provenance, read_array, read_state, read_table, write_state
from patchbench.patchset import gather, refuse_holes
from patchbench.sampling import row_limits, sample


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--classifier", required=True, help="entry of the config's classifiers")
    parser.add_argument("--spec", type=json.loads, default={}, help="JSON: settings of the entry")
    parser.add_argument("--index", type=Path, required=True, help="index.parquet of the patches")
    parser.add_argument("--embeddings", type=Path, nargs="+", required=True, help="all shards")
    parser.add_argument("--encoder-state", type=Path, help="encoder.npz, fitted")
    parser.add_argument(
        "--head", type=json.loads, help="JSON: names of weights and bias of a head in that file"
    )
    parser.add_argument(
        "--max-fit-mib", type=int, default=1024, help="most memory for the matrices of a fit"
    )
    parser.add_argument("--out", type=Path, required=True, help="classifier.npz to write")


def run(args: argparse.Namespace) -> Work:
    """Hand the classifier what it works on, write what it made of that."""
    classifier = plugins.build(
        "classifiers", args.classifier, args.spec, seed=args.seed, threads=args.threads
    )
    work = adopt(classifier, args) if classifier.uses == "head" else fit(classifier, args)
    write_state(args.out, classifier.state(), provenance("fit_classifier", args.code, args.spec))
    return work


def adopt(classifier: Any, args: argparse.Namespace) -> Work:
    """Give the head of the fitted encoder to the classifier."""
    if not args.head or not args.encoder_state:
        raise UserError(
            f"classifiers.{args.classifier} takes over the encoder's own head, but this encoder "
            "has none; combine it with one that has, for example bagnet"
        )
    state, watch = read_state(args.encoder_state), Stopwatch()
    weights, bias = (state[name] for name in args.head)
    n_classes = int(read_table(args.index, "patches")["label"].max()) + 1
    if len(bias) != n_classes:
        raise UserError(
            f"the encoder's own head tells {len(bias)} classes apart, but the dataset has "
            f"{n_classes}; train the encoder on this dataset or take another classifier than "
            f"{args.classifier}"
        )
    with watch:
        classifier.adopt(weights, bias)
    return Work(1, "head", work_s=watch.elapsed_s)


def fit(classifier: Any, args: argparse.Namespace) -> Work:
    """Gather train and val rows from the shards, one shard at a time, and fit."""
    index = read_table(args.index, "patches")[["split", "label", "shard", "offset"]]
    n_classes = int(index["label"].max()) + 1
    train, val = (index[index["split"] == split] for split in ("train", "val"))
    if classifier.uses == "nothing":
        train_rows, val_rows = np.empty((len(train), 0)), np.empty((len(val), 0))
    else:
        dim = read_array(args.embeddings[0]).shape[1]
        limits = row_limits(args.max_fit_mib, dim, classifier.bytes_per_value, len(val))
        train = sample(train, max(limits[0], n_classes), args.seed)
        val = sample(val, max(limits[1], n_classes), args.seed)
        rows = gather(args.embeddings, pd.concat([train, val]))
        refuse_holes(rows, "the train and val patches")
        train_rows, val_rows = rows[: len(train)], rows[len(train) :]
        if train["label"].nunique() < 2:
            raise UserError(
                "the train patches are all of one class; a patch classifier tells at least two "
                "apart, so look at the labels and splits of the dataset"
            )
    plugins.preload(type(classifier).__module__)
    watch = Stopwatch()
    with watch:
        train_labels, val_labels = train["label"].to_numpy(), val["label"].to_numpy()
        classifier.fit(train_rows, train_labels, val_rows, val_labels, n_classes)
    return Work(len(train), "patch", work_s=watch.elapsed_s)
