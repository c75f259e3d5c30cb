"""Measure what one way to look at images takes in memory and time, for images of growing sides.

Each side is measured in a process of its own (`patchbench.measuring`), under a limit of memory and
of time. A side that is over a limit is a result; larger sides are not tried then, and say so.
Writes table ``scaling``.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from patchbench import tables
from patchbench.apart import DONE, FAILED, MEMORY, TIME, Ended, Limits, apart
from patchbench.cost import Stopwatch, Work
from patchbench.io import provenance, write_table
from patchbench.machine import commit, host
from patchbench.measuring import NOT_TRIED, TASKS, Point, measure
from patchbench.progress import progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--way", required=True, help="entry of the config's ways")
    parser.add_argument("--spec", type=json.loads, default={}, help="JSON: settings of the entry")
    parser.add_argument("--task", required=True, choices=TASKS)
    parser.add_argument("--sides-px", type=int, nargs="+", required=True, help="growing, px")
    parser.add_argument("--max-memory-gib", type=float, required=True, help="of one process, GiB")
    parser.add_argument("--max-time-s", type=float, required=True, help="of one look, s")
    parser.add_argument("--out", type=Path, required=True, help="table to write")


def run(args: argparse.Namespace) -> Work:
    """Measure side after side, write the table."""
    watch = Stopwatch()
    with watch:
        rows = list(points(args))
    frame = pd.DataFrame(rows, columns=list(tables.COLUMNS["scaling"]))
    settings = {"way": args.way, "spec": args.spec, "task": args.task}
    write_table(args.out, frame, "scaling", provenance("scale", args.code, settings))
    n_measured = int((frame["status"] == DONE).sum())
    # this process only waits, on no device; what the others took is in the table
    return Work(n_measured, "image side", work_s=watch.elapsed_s)


def points(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row of the table for each side.

    Raises
    ------
    RuntimeError
        If the smallest side fails by an error, so that a larger one would as well.
    """
    limits, stopped = Limits(1024 * args.max_memory_gib, args.max_time_s), ""
    common = {name: getattr(args, name) for name in ("way", "task", "max_memory_gib", "max_time_s")}
    common |= {"threads": args.threads, "host": host(), "commit": commit(), "device": args.device}
    for side_px in progress(args.sides_px, f"{args.way}, {args.task}", "side"):
        row = common | {"side_px": side_px, "image_mib": 3 * side_px**2 / 2**20}
        row |= dict.fromkeys(("n_repeats", "n_pieces", "piece_px"), 0) | {"redundant": None}
        if stopped:
            yield row | {"status": NOT_TRIED, "reason": f"not tried: {stopped}"}
            continue
        device, threads, seed = args.device, args.threads, args.seed
        fixed = device, threads, seed, limits.memory_mib
        point = Point(args.way, args.spec, args.task, side_px, *fixed)
        ended = apart(measure, (point,), limits)
        at_once = ended.status == FAILED and not ended.by_signal
        if at_once and side_px == args.sides_px[0]:
            raise RuntimeError(f"{args.way}, {args.task}, {side_px} px: {ended.reason}")
        reason = told(ended, args)
        yield row | ended.told | {"status": ended.status, "reason": reason}
        stopped = f"at {side_px:,} px {reason}" if reason else ""


def told(ended: Ended, args: argparse.Namespace) -> str:
    """Why a point has no measurement; empty where it has."""
    if ended.status == MEMORY and ended.reason:
        return f"out of memory below {args.max_memory_gib:g} GiB: {ended.reason}"
    return {
        DONE: "",
        MEMORY: f"out of memory at {args.max_memory_gib:g} GiB",
        TIME: f"longer than {args.max_time_s:g} s",
        FAILED: f"failed: {ended.reason}",
    }[ended.status]
