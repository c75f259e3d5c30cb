"""Fit a patch classifier on the embeddings of the train split; settings are chosen on val."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench import plugins
from patchbench.cost import Stopwatch, Work
from patchbench.errors import UserError
from patchbench.io import provenance, read_array, read_state, read_table, write_state
from patchbench.patchset import gather, refuse_holes
from patchbench.sampling import draw
from patchbench.seeds import derive

# share of the memory that val patches may take: they only choose between a few settings
VAL_SHARE = 0.25
_BYTES = 4  # of a float32


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


def row_limits(max_mib: int, dim: int, bytes_per_value: int, n_val: int) -> tuple[int, int]:
    """Most train and val rows whose matrices fit together into ``max_mib`` MiB.

    Parameters
    ----------
    max_mib : int
        Memory for both matrices and every copy that a fit makes of the train matrix.
    dim : int
        Values in a row.
    bytes_per_value : int
        What a fit holds for each value of the train matrix.
    n_val : int
        Val rows that there are; what they leave of their share goes to train.

    >>> row_limits(1024, 512, 4, n_val=20_000)
    (504288, 20000)
    >>> row_limits(1024, 512, 28, n_val=1_000_000)
    (56173, 131072)
    """
    budget = max_mib * 2**20
    val = min(n_val, int(VAL_SHARE * budget) // (_BYTES * dim))
    return (budget - val * _BYTES * dim) // (bytes_per_value * dim), val


def sample(index: pd.DataFrame, limit: int, seed: int) -> pd.DataFrame:
    """At most ``limit`` rows of one split, in their old order; says so if fewer.

    A plain random draw without replacement, except that every class keeps a row.
    """
    if len(index) <= limit:
        return index
    split = index["split"].iloc[0]
    print(
        f"{split}: using {limit} of {len(index)} patches, drawn at random, because of max_fit_mib",
        file=sys.stderr,
    )
    rows = draw(index["label"].to_numpy(), limit, derive(seed, "fit_classifier", split))
    return index.iloc[rows]
