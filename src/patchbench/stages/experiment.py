"""Put one fitted method to experiments: take parts of test images away, or move them.

A patch method is its fitted encoder and patch classifier; a CNN is a network by itself. Only what
the chosen experiments need is opened. Writes ``experiments.parquet``.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench import asking, plugins, tables
from patchbench.cost import Stopwatch, Work
from patchbench.devices import resolve
from patchbench.evaluation import run_columns
from patchbench.io import provenance, read_array, read_json, read_state, read_table, write_table
from patchbench.networks.whole_image import open_cnn
from patchbench.patchset import gather, groups_of_rows, refuse_holes
from patchbench.progress import progress
from patchbench.sampling import draw
from patchbench.seeds import derive
from patchbench.split_bags import centers_of
from patchbench.study import NONE
from patchbench.subject import MEAN_LOGIT, MEAN_PROBABILITY, Channels, Subject

# images whose patch embeddings are in memory at once
_CHUNK_IMAGES = 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument(
        "--experiments", type=json.loads, required=True, help="JSON: entry to settings"
    )
    parser.add_argument("--images", type=Path, required=True, help="images.npy of the dataset")
    parser.add_argument("--limit", type=int, default=400, help="at most so many test images")
    cnn = parser.add_argument_group("a whole-image CNN")
    cnn.add_argument("--cnn", help="entry of the config's cnns")
    cnn.add_argument("--cnn-spec", type=json.loads, default={}, help="JSON: settings of the entry")
    cnn.add_argument("--cnn-state", type=Path, help="cnn.npz, trained")
    own = parser.add_argument_group("a patch method")
    for what in ("encoder", "classifier"):
        own.add_argument(f"--{what}", help=f"entry of the config's {what}s")
        own.add_argument(
            f"--{what}-spec", type=json.loads, default={}, help="JSON: settings of the entry"
        )
        own.add_argument(f"--{what}-state", type=Path, help=f"{what}.npz, fitted")
    own.add_argument("--index", type=Path, help="index.parquet of the patches")
    own.add_argument("--embeddings", type=Path, nargs="+", help="all shards")
    own.add_argument("--patch-logits", type=Path, nargs="+", help="all shards")
    parser.add_argument("--out", type=Path, required=True, help="experiments.parquet to write")


def run(args: argparse.Namespace) -> Work:
    """Open the method, do every experiment, write."""
    todo = {
        name: plugins.build("experiments", name, spec, seed=derive(args.seed, "experiments"))
        for name, spec in args.experiments.items()
    }
    needs = {experiment.needs for experiment in todo.values()}
    subject = open_whole(args, needs) if args.cnn else open_patches(args, needs)
    if subject.ask is not None and subject.images is not None:
        subject.ask(subject.images[:1])  # imports what it needs, which is no part of the work
    parts, watch = [tables.empty("experiments")], Stopwatch()
    columns = {k: v for k, v in run_columns(args.about).items() if k != "fusion"}
    for name, experiment in progress(list(todo.items()), "experimenting", "experiment"):
        with watch:
            rows = list(experiment.rows(subject))
        frame = pd.DataFrame(rows).assign(**columns, experiment=name)
        parts.append(frame.astype({"rescaled": object}))
    found = pd.concat(parts[1:] or parts, ignore_index=True)
    write_table(
        args.out, found, "experiments", provenance("experiment", args.code, args.experiments)
    )
    return Work(len(found), "result", resolve(args.device), watch.elapsed_s)


def _table(args: argparse.Namespace) -> Path:
    path: Path = args.images.with_suffix(".parquet")
    return path


def open_whole(args: argparse.Namespace, needs: set[str]) -> Subject:
    """A CNN, restored."""
    fixed = {"seed": args.seed, "device": resolve(args.device), "threads": args.threads}
    cnn = open_cnn(args.cnn, args.cnn_spec, **fixed)
    cnn.restore(read_state(args.cnn_state))
    images = read_array(args.images)
    table = read_table(_table(args), "images")
    rows = np.flatnonzero(table["split"] == "test")
    labels = table["label"].to_numpy()
    rows = rows[draw(labels[rows], args.limit, derive(args.seed, "experiment"))]
    channels = None
    if "channels" in needs:
        from patchbench.networks.last_layer import channels_of

        channels = channels_of(cnn, images, rows)
    model: dict[str, Any] = {"images": images[rows], "ask": asking.whole_image_cnn(cnn)}
    own = {"labels": labels[rows], "group_of": groups_of_rows(_table(args), rows)}
    return Subject(**own, fusions=(NONE,), channels=channels, **model)


def open_patches(args: argparse.Namespace, needs: set[str]) -> Subject:
    """An encoder and a patch classifier, restored, and what they said of the test patches."""
    index = read_table(args.index, "patches")
    test = index[index["split"] == "test"]
    firsts = test[~test["image_row"].duplicated()]
    chosen = draw(firsts["label"].to_numpy(), args.limit, derive(args.seed, "experiment"))
    rows = firsts["image_row"].to_numpy()[chosen]
    patches = test[test["image_row"].isin(rows)]
    of_one = patches.iloc[: len(patches) // len(rows)]
    side_px = read_json(args.index.with_name("extraction.json"))["image_size_px"]
    found: dict[str, Any] = {
        "labels": firsts["label"].to_numpy()[chosen],
        "group_of": groups_of_rows(_table(args), rows),
        "fusions": (MEAN_PROBABILITY, MEAN_LOGIT),
        "centers": centers_of(of_one, side_px),
        "cells": of_one[["row", "col"]].to_numpy(),
    }
    classifier = plugins.build(
        "classifiers", args.classifier, args.classifier_spec, seed=args.seed, threads=args.threads
    )
    classifier.restore(read_state(args.classifier_state))
    if "votes" in needs:
        logits = gather([read_array(path) for path in args.patch_logits], patches)
        found["votes"] = logits.reshape(len(rows), len(of_one), -1)
    if "channels" in needs:
        found["channels"] = channels_of(classifier, args.embeddings, patches, len(of_one))
    if "model" in needs:
        found["images"] = read_array(args.images)[rows]
        ys, xs = (of_one[edge].unique() for edge in ("y_px", "x_px"))
        size_px, encoder = int(of_one["height_px"].iloc[0]), open_encoder(args, of_one)
        found["ask"] = asking.patch_method(encoder, classifier, ys, xs, size_px)
    return Subject(**found)


def open_encoder(args: argparse.Namespace, patches: pd.DataFrame) -> Any:
    """The encoder, restored."""
    encoder = plugins.build(
        "encoders",
        args.encoder,
        args.encoder_spec,
        patch_size_px=int(patches["height_px"].iloc[0]),
        seed=args.seed,
        device=resolve(args.device),
        threads=args.threads,
    )
    encoder.restore(read_state(args.encoder_state))
    return encoder


def channels_of(
    classifier: Any, shards: list[Path], patches: pd.DataFrame, per_image: int
) -> Channels:
    """The linear step of a patch classifier, its features averaged over the patches of an image.

    The mean of the logits of patches is linear in that mean, with the same weights.
    """
    opened, parts = [read_array(path) for path in shards], []
    for start in range(0, len(patches), _CHUNK_IMAGES * per_image):
        some = patches.iloc[start : start + _CHUNK_IMAGES * per_image]
        embeddings = gather(opened, some)
        refuse_holes(embeddings, "the test patches")
        features, weights, bias = classifier.linear(embeddings)
        parts.append(features.reshape(-1, per_image, features.shape[1]).mean(axis=1))
    return Channels(np.concatenate(parts), weights, bias)
