"""Fuse the patch logits of each image into decisions, by every rule, and score them."""

import argparse
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench import plugins
from patchbench.bags import softmax
from patchbench.calibration import (
    NO_CALIBRATION,
    SETTINGS,
    TEMPERATURE,
    divided,
    reliability_rows,
    temperature,
)
from patchbench.cost import Stopwatch, Work
from patchbench.cross_fit import decide
from patchbench.evaluation import fusion_test_rows, metric_rows, prediction_rows, roc_rows
from patchbench.io import (
    provenance,
    read_array,
    read_json,
    read_state,
    read_table,
    write_json,
    write_table,
)
from patchbench.split_bags import split_bags
from patchbench.study import NONE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--fusions", type=json.loads, required=True, help="JSON: entry to settings")
    parser.add_argument("--index", type=Path, required=True, help="index.parquet of the patches")
    parser.add_argument("--patch-logits", type=Path, nargs="+", required=True, help="all shards")
    parser.add_argument("--noise", type=Path, help="scores.npz, by stage detect")
    parser.add_argument(
        "--calibration", choices=SETTINGS, default=NO_CALIBRATION, help="of the patch logits"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")


def run(args: argparse.Namespace) -> Work:
    """Bag val and test patches, fit each rule on val, decide and score on test.

    Decisions on val, by which rules are chosen, are by rules that were fitted on other folds of it.
    How reliable probabilities are is measured before and after calibration, whichever is used.
    """
    index = read_table(args.index, "patches")
    side_px = read_json(args.index.with_name("extraction.json"))["image_size_px"]
    logits = [read_array(path) for path in args.patch_logits]
    noise = read_state(args.noise) if args.noise else None
    val, test = (split_bags(index, logits, split, side_px, noise) for split in ("val", "test"))
    scale = temperature(val.bags.patch_logits, np.repeat(val.labels, val.bags.bag_sizes))
    reliability = [reliability_rows(args.about, test.bags, test.labels, scale)]
    if args.calibration == TEMPERATURE:
        val, test = (replace(part, bags=divided(part.bags, scale)) for part in (val, test))
    build = {
        name: partial(plugins.build, "fusions", name, spec) for name, spec in args.fusions.items()
    }
    rules = {name: new().fit(val.bags, val.labels) for name, new in build.items()}
    image_of = np.repeat(np.arange(len(test.labels)), test.bags.bag_sizes)
    votes, vote_labels = softmax(test.bags.patch_logits), test.labels[image_of]
    metrics = [metric_rows(args.about, "patch", NONE, vote_labels, votes, image_of)]
    roc = [roc_rows("patch", NONE, vote_labels, votes)]
    predictions, decisions, watch = [], dict[str, np.ndarray](), Stopwatch()
    for name, rule in rules.items():
        on_val = decide(build[name], val.bags, val.labels)
        with watch:
            probabilities = rule.fuse(test.bags)
        predictions.append(prediction_rows(val.images, name, on_val))
        predictions.append(prediction_rows(test.images, name, probabilities))
        decisions[name], each = probabilities, np.arange(len(probabilities))
        metrics.append(metric_rows(args.about, "image", name, test.labels, probabilities, each))
        roc.append(roc_rows("image", name, test.labels, probabilities))
    tests = [fusion_test_rows(args.about, test.labels, decisions)]
    parts = {"predictions": predictions, "roc": roc, "fusion_tests": tests, "metrics": metrics}
    _write(args, rules, scale, parts | {"reliability": reliability})
    return Work(len(rules) * len(test.labels), "image decision", work_s=watch.elapsed_s)


def _write(
    args: argparse.Namespace,
    rules: dict[str, Any],
    scale: float,
    parts: dict[str, list[pd.DataFrame]],
) -> None:
    spec = {"fusions": args.fusions, "calibration": args.calibration}
    origin = provenance("fuse", args.code, spec)
    chosen = {name: getattr(rule, "chosen", {}) for name, rule in rules.items()}
    found = {"chosen": chosen, "calibration": args.calibration, "temperature": scale}
    write_json(args.out / "fusions.json", found, origin)
    for name, tables in parts.items():
        write_table(
            args.out / f"{name}.parquet", pd.concat(tables, ignore_index=True), name, origin
        )
