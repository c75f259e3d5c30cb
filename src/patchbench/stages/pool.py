"""Decide on images from the embeddings of their patches, by every fitted rule, and score them.

No patch classifier votes here. Rules are compared with the mean of the probabilities that the
votes of one come to, on the same test images.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench import plugins
from patchbench.bootstrap import numbered
from patchbench.cost import Stopwatch, Work
from patchbench.deciding import decide_timed
from patchbench.devices import resolve
from patchbench.evaluation import DecisionTables, fusion_test_rows, preferred_fusion
from patchbench.io import (
    provenance,
    read_array,
    read_json,
    read_state,
    read_table,
    write_json,
    write_state,
    write_tables,
)
from patchbench.split_bags import embedded_bags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--fusions", type=json.loads, required=True, help="JSON: entry to settings")
    parser.add_argument("--state", type=Path, required=True, help="pooling.npz, fitted")
    parser.add_argument("--index", type=Path, required=True, help="index.parquet of the patches")
    parser.add_argument("--table", type=Path, required=True, help="images.parquet of the dataset")
    parser.add_argument("--embeddings", type=Path, nargs="+", required=True, help="all shards")
    parser.add_argument("--rival", type=Path, help="predictions.parquet of votes to compare with")
    parser.add_argument("--rival-classifier", default="", help="the classifier that voted there")
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")


def run(args: argparse.Namespace) -> Work:
    """Restore each rule, decide on val and test, score on test, keep what was attended to."""
    index = read_table(args.index, "patches")
    side_px = read_json(args.index.with_name("extraction.json"))["image_size_px"]
    dim = read_array(args.embeddings[0]).shape[1]
    val, test = (
        embedded_bags(index, args.embeddings, dim, split, side_px) for split in ("val", "test")
    )
    test = test.with_groups(read_table(args.table, "images"))
    device, state = resolve(args.device), read_state(args.state)
    found, watch = DecisionTables(args.about, val.images, test.images), Stopwatch()
    rules, attention, chosen = dict[str, Any](), dict[str, np.ndarray](), {}
    for name, spec in args.fusions.items():
        fixed = {"seed": args.seed, "device": device, "threads": args.threads}
        rules[name] = plugins.build("fusions", name, spec, **fixed)
        plugins.preload(type(rules[name]).__module__)
        rules[name].restore(_of(state, name))
    decided = decide_timed(rules, test.bags, watch)
    for name, rule in rules.items():
        found.add(name, rule.fuse(val.bags), decided[name])
        chosen[name] = rule.chosen
        if hasattr(rule, "attention"):
            attention[name] = rule.attention(test.bags)
    tests = _tests(args, test.images, found.decisions)
    origin = provenance("pool", args.code, args.fusions)
    write_state(args.out / "attention.npz", attention, origin)
    write_json(args.out / "fusions.json", {"chosen": chosen}, origin)
    write_tables(args.out, found.tables() | {"fusion_tests": tests}, origin)
    return Work(found.n_decisions, "image decision", device, watch.elapsed_s, watch.laps)


def _of(state: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """What one rule learned."""
    start = f"{name}/"
    return {k.removeprefix(start): value for k, value in state.items() if k.startswith(start)}


def _tests(
    args: argparse.Namespace, images: pd.DataFrame, decisions: dict[str, np.ndarray]
) -> pd.DataFrame:
    """Rules against the mean of probabilities of votes, or their first rule, on the same images."""
    labels, group_of = images["label"].to_numpy(), numbered(images["group"])
    if args.rival is None:
        return fusion_test_rows(args.about, labels, decisions, group_of)
    votes: Any = read_table(args.rival, "predictions")
    name = preferred_fusion(votes["fusion"])
    votes = votes[(votes["fusion"] == name) & (votes["split"] == "test")]
    votes = votes.set_index("image_id").loc[images["image_id"]]
    both = {name: np.stack(list(votes["probabilities"]))} | decisions
    rows = fusion_test_rows(args.about, labels, both, group_of, name, args.rival_classifier)
    return rows[rows["fusion"] != name]
