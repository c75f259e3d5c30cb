"""Train a whole-image CNN on the train split: the yardstick of every patch method.

With ``--fold K --folds N``, train images of fold K are left out, so that they can be explained
by a network that never saw them. A training that was killed goes on after its last epoch.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from patchbench import plugins
from patchbench.cost import Work
from patchbench.devices import resolve
from patchbench.errors import UserError
from patchbench.io import provenance, read_array, read_table, write_state, write_table
from patchbench.networks.whole_image import open_cnn
from patchbench.splits import assign_folds

_NO_FOLD = -1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--cnn", required=True, help="entry of the config's cnns")
    parser.add_argument("--spec", type=json.loads, default={}, help="JSON: settings of the entry")
    parser.add_argument("--images", type=Path, required=True, help="images.npy of the dataset")
    parser.add_argument("--weights", type=Path, help="checkpoint to start from, if any")
    parser.add_argument("--fold", type=int, help="fold of train images to leave out, from 0")
    parser.add_argument("--folds", type=int, help="how many folds there are; with --fold")
    parser.add_argument("--out", type=Path, required=True, help="cnn.npz to write")


def run(args: argparse.Namespace) -> Work:
    """Open the images, train, write folds and history and then the network."""
    from patchbench.networks.course import Checkpoint

    table = read_table(args.images.with_suffix(".parquet"), "images")
    folds = _folds(table, args.fold, args.folds, args.seed)
    left_out = np.zeros(len(table), bool) if folds is None else folds == args.fold
    train, val = (np.flatnonzero((table["split"] == s) & ~left_out) for s in ("train", "val"))
    labels = table["label"].to_numpy()
    fixed = {"seed": args.seed, "device": resolve(args.device), "threads": args.threads}
    cnn = open_cnn(args.cnn, args.spec, **fixed)
    plugins.preload(type(cnn).__module__)
    images, n_classes = read_array(args.images), int(labels.max()) + 1
    data = (images, train, labels[train], val, labels[val], n_classes)
    # no output of the rule: Snakemake deletes the outputs of a job that failed
    checkpoint = Checkpoint(args.out.with_suffix(".checkpoint.npz"), args.code)
    history = cnn.fit(*data, weights=args.weights, checkpoint=checkpoint)
    work_s = checkpoint.effort.work_s
    origin = provenance("cnn", args.code, args.spec)
    if folds is not None:
        frame = pd.DataFrame({"image_row": np.arange(len(table)), "fold": folds})
        write_table(args.out.with_name("folds.parquet"), frame, "folds", origin)
    write_table(args.out.with_name("history.parquet"), history, "history", origin)
    write_state(args.out, cnn.state(), origin)
    checkpoint.remove()
    n_epochs = int(history["epoch"].max())
    return Work(n_epochs * len(train), "image epoch", cnn.device, work_s)


def _folds(
    table: pd.DataFrame, fold: int | None, n_folds: int | None, seed: int
) -> np.ndarray | None:
    """Fold of every image, -1 outside train; None where none is to be left out."""
    if fold is None and n_folds is None:
        return None
    if fold is None or n_folds is None or not 0 <= fold < n_folds:
        raise UserError(
            f"--fold is {fold} and --folds is {n_folds}; give both, or none to train on all of "
            "train, and count folds from 0"
        )
    found = np.full(len(table), _NO_FOLD)
    train = table[table["split"] == "train"]
    labels, groups = train["label"].to_numpy(), train["group"].tolist()
    classes = dict(zip(labels.tolist(), train["class_name"], strict=True))
    found[train.index] = assign_folds(labels, groups, n_folds, seed, classes)
    return found
