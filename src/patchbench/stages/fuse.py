"""Fuse the patch logits of each image into decisions, by every rule, and score them."""

import argparse
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from patchbench import plugins
from patchbench.bags import softmax
from patchbench.bootstrap import numbered
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
from patchbench.deciding import decide_timed
from patchbench.evaluation import DecisionTables, fusion_test_rows
from patchbench.io import (
    provenance,
    read_array,
    read_json,
    read_state,
    read_table,
    write_json,
    write_tables,
)
from patchbench.split_bags import split_bags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--fusions", type=json.loads, required=True, help="JSON: entry to settings")
    parser.add_argument("--index", type=Path, required=True, help="index.parquet of the patches")
    parser.add_argument("--table", type=Path, required=True, help="images.parquet of the dataset")
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
    test = test.with_groups(read_table(args.table, "images"))
    group_of = numbered(test.images["group"])
    scale = temperature(val.bags.patch_logits, np.repeat(val.labels, val.bags.bag_sizes))
    reliability = reliability_rows(args.about, test.bags, test.labels, group_of, scale)
    if args.calibration == TEMPERATURE:
        val, test = (replace(part, bags=divided(part.bags, scale)) for part in (val, test))
    build = {
        name: partial(plugins.build, "fusions", name, spec) for name, spec in args.fusions.items()
    }
    rules = {name: new().fit(val.bags, val.labels) for name, new in build.items()}
    found, watch = DecisionTables(args.about, val.images, test.images), Stopwatch()
    image_of = np.repeat(np.arange(len(test.labels)), test.bags.bag_sizes)
    found.add_votes(softmax(test.bags.patch_logits), image_of)
    decided = decide_timed(rules, test.bags, watch)
    for name in rules:
        found.add(name, decide(build[name], val.bags, val.labels), decided[name])
    tests = fusion_test_rows(args.about, test.labels, found.decisions, group_of)
    tables = found.tables() | {"fusion_tests": tests, "reliability": reliability}
    origin = provenance(
        "fuse", args.code, {"fusions": args.fusions, "calibration": args.calibration}
    )
    chosen = {name: getattr(rule, "chosen", {}) for name, rule in rules.items()}
    fitted = {"chosen": chosen, "calibration": args.calibration, "temperature": scale}
    write_json(args.out / "fusions.json", fitted, origin)
    write_tables(args.out, tables, origin)
    return Work(found.n_decisions, "image decision", work_s=watch.elapsed_s, laps=watch.laps)
