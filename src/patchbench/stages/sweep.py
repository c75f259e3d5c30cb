"""Ignore the patches that detectors find noisy, more and more of them, and see what it does.

Each detector drops the noisiest share of patches, or weighs patches by how clean they are: in
training only, in test only, in both. Train patches are ranked together, those of a test image by
themselves, so that every detector drops as many. Decisions are made by the mean of probabilities,
and by the fusion rule that is best on val with all patches. Every result is compared on the same
test images with keeping everything, and with dropping as many at random, averaged over several
draws of the lot. Writes ``sweep.parquet``.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench import plugins
from patchbench.cost import Work
from patchbench.evaluation import run_columns
from patchbench.io import provenance, read_array, read_json, read_state, read_table, write_table
from patchbench.metrics import estimate
from patchbench.paired import Difference, difference
from patchbench.patchset import groups_of_rows
from patchbench.progress import progress
from patchbench.reasons import NOT_COMPARED, joined
from patchbench.sampling import row_limits, sample
from patchbench.split_bags import centers_of, split_bags
from patchbench.study import NONE
from patchbench.sweeping import FILTER, Bench, Outcome, Step, best_on_val

RANDOM = "random"
_KEEP_ALL = Step(FILTER, "both", 0.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--classifier", required=True, help="entry of the config's classifiers")
    parser.add_argument("--spec", type=json.loads, default={}, help="JSON: settings of the entry")
    parser.add_argument("--state", type=Path, required=True, help="classifier.npz, fitted")
    parser.add_argument("--index", type=Path, required=True, help="index.parquet of the patches")
    parser.add_argument("--table", type=Path, required=True, help="images.parquet of the dataset")
    parser.add_argument("--embeddings", type=Path, nargs="+", required=True, help="all shards")
    parser.add_argument("--patch-logits", type=Path, nargs="+", required=True, help="all shards")
    parser.add_argument("--fusions", type=json.loads, required=True, help="JSON: entry to settings")
    parser.add_argument("--scores", type=Path, required=True, help="scores.npz, by stage detect")
    parser.add_argument("--fractions", type=float, nargs="+", required=True, help="shares to drop")
    parser.add_argument("--max-fit-mib", type=int, default=1024, help="most memory of a fit")
    parser.add_argument("--out", type=Path, required=True, help="sweep.parquet to write")


def run(args: argparse.Namespace) -> Work:
    """Fit and score once for every detector, share and place; random first, to compare with."""
    scores = read_state(args.scores)
    bench = open_bench(args)
    names = sorted({name.partition("/")[2] for name in scores}, key=lambda name: name != RANDOM)
    plain = bench.outcome(bench.plain, np.ones(bench.n_test))
    at_random = dict[tuple[str, str, float], Outcome]()
    rows = [_row(args.about, NONE, _KEEP_ALL, plain, level, None, None) for level in plain.draws]
    for name in progress(names, "sweeping", "detector"):
        train, test = scores[f"train/{name}"], scores.get(f"test/{name}")
        steps = bench.at_random if name == RANDOM else bench.steps
        for step, outcome in steps(train, test, args.fractions):
            if name == RANDOM:
                at_random[step.key] = outcome
            rival = at_random.get(step.key)
            rows += [
                _row(args.about, name, step, outcome, level, plain, rival)
                for level in outcome.draws
            ]
    origin = provenance("sweep", args.code, args.spec)
    write_table(args.out, pd.DataFrame(rows), "sweep", origin)
    return Work(len(rows), "result", work_s=bench.watch.elapsed_s)


def open_bench(args: argparse.Namespace) -> Bench:
    """Gather what memory has room for."""
    classifier = plugins.build(
        "classifiers", args.classifier, args.spec, seed=args.seed, threads=args.threads
    )
    classifier.restore(read_state(args.state))
    plugins.preload(type(classifier).__module__)
    index = read_table(args.index, "patches")
    train, test = (
        index[index["split"] == split].reset_index(drop=True) for split in ("train", "test")
    )
    dim = read_array(args.embeddings[0]).shape[1]
    # the fit works on a copy of what stays here
    limit = row_limits(args.max_fit_mib, dim, classifier.bytes_per_value + 4, 0)[0]
    chosen = sample(train, limit, args.seed)
    side_px = read_json(args.index.with_name("extraction.json"))["image_size_px"]
    logits = [read_array(path) for path in args.patch_logits]
    rule = best_on_val(args.fusions, split_bags(index, logits, "val", side_px))
    parts = chosen.reset_index(drop=True), test, args.embeddings, centers_of(test, side_px)
    group_of = groups_of_rows(args.table, np.unique(test["image_row"]))
    return Bench(classifier, *parts, rule, args.seed, chosen.index.to_numpy(), group_of)


def _row(
    about: dict[str, Any],
    detector: str,
    step: Step,
    outcome: Outcome,
    level: str,
    plain: Outcome | None,
    at_random: Outcome | None,
) -> dict[str, Any]:
    """One row of table ``sweep``: a level by itself, and less what it is compared with."""
    named = {k: v for k, v in run_columns(about).items() if k != "fusion"}
    found = estimate(outcome.draws[level])
    less, less_random = (_against(outcome, rival, level) for rival in (plain, at_random))
    reasons = {"value": found.reason, "difference": less.reason}
    return (
        named
        | {"detector": detector, "level": level, "fusion": outcome.fusions[level]}
        | vars(step)
        | {"fit_s": outcome.fit_s, "n_images": outcome.n_images}
        | found.numbers
        | _columns("", less)
        | _columns("random_", less_random)
        | {"reason": joined(reasons | {"random_difference": less_random.reason})}
    )


def _against(outcome: Outcome, rival: Outcome | None, level: str) -> Difference:
    if rival is None:
        return Difference(reason=NOT_COMPARED)
    return difference(outcome.draws[level], rival.draws[level])


def _columns(prefix: str, found: Difference) -> dict[str, float]:
    names = ("difference", "difference_low", "difference_high", "p")
    values = (found.value, found.low, found.high, found.p)
    return {f"{prefix}{name}": value for name, value in zip(names, values, strict=True)}
