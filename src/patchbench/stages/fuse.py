"""Fuse the patch logits of each image into decisions, by every rule, and score them."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench import plugins
from patchbench.bags import softmax
from patchbench.cost import Stopwatch, Work
from patchbench.evaluation import fusion_test_rows, metric_rows, prediction_rows, roc_rows
from patchbench.io import provenance, read_array, read_json, read_table, write_json, write_table
from patchbench.split_bags import split_bags
from patchbench.study import NONE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--fusions", type=json.loads, required=True, help="JSON: entry to settings")
    parser.add_argument("--index", type=Path, required=True, help="index.parquet of the patches")
    parser.add_argument("--patch-logits", type=Path, nargs="+", required=True, help="all shards")
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")


def run(args: argparse.Namespace) -> Work:
    """Bag val and test patches, fit each rule on val, decide and score on test."""
    index = read_table(args.index, "patches")
    side_px = read_json(args.index.with_name("extraction.json"))["image_size_px"]
    logits = [read_array(path) for path in args.patch_logits]
    val, test = (split_bags(index, logits, split, side_px) for split in ("val", "test"))
    rules = {
        name: plugins.build("fusions", name, spec).fit(val.bags, val.labels)
        for name, spec in args.fusions.items()
    }
    image_of = np.repeat(np.arange(len(test.labels)), test.bags.bag_sizes)
    votes, vote_labels = softmax(test.bags.patch_logits), test.labels[image_of]
    metrics = [metric_rows(args.about, "patch", NONE, vote_labels, votes, image_of)]
    roc = [roc_rows("patch", NONE, vote_labels, votes)]
    predictions, decisions, watch = [], dict[str, np.ndarray](), Stopwatch()
    for name, rule in rules.items():
        for part in (val, test):
            with watch:
                probabilities = rule.fuse(part.bags)
            predictions.append(prediction_rows(part.images, name, probabilities))
        # the last of the two is test
        decisions[name], each = probabilities, np.arange(len(probabilities))
        metrics.append(metric_rows(args.about, "image", name, test.labels, probabilities, each))
        roc.append(roc_rows("image", name, test.labels, probabilities))
    tests = [fusion_test_rows(args.about, test.labels, decisions)]
    parts = {"predictions": predictions, "roc": roc, "fusion_tests": tests, "metrics": metrics}
    _write(args, rules, parts)
    n_decisions = len(rules) * (len(val.labels) + len(test.labels))
    return Work(n_decisions, "image decision", work_s=watch.elapsed_s)


def _write(
    args: argparse.Namespace, rules: dict[str, Any], parts: dict[str, list[pd.DataFrame]]
) -> None:
    origin = provenance("fuse", args.code, args.fusions)
    chosen = {name: getattr(rule, "chosen", {}) for name, rule in rules.items()}
    write_json(args.out / "fusions.json", {"chosen": chosen}, origin)
    for name, tables in parts.items():
        write_table(
            args.out / f"{name}.parquet", pd.concat(tables, ignore_index=True), name, origin
        )
