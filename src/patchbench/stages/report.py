"""Write the report of a study: one HTML file that opens from disk without a network.

Once it is written, and its own cost is known, ``costs.parquet`` is completed beside the tables.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd

from patchbench.cost import Work
from patchbench.cost_rows import cost_rows
from patchbench.errors import UserError
from patchbench.io import provenance, read_table, replacing, write_table
from patchbench.report.page import render
from patchbench.study import open_study


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the stage."""
    parser.add_argument("--study", type=Path, required=True, help="folder of the study's tables")
    parser.add_argument("--figures", type=Path, required=True, help="what the draw stage wrote")
    parser.add_argument("--out", type=Path, required=True, help="the HTML file to write")


def run(args: argparse.Namespace) -> Work:
    """Render the page and put it in place whole."""
    if not args.figures.is_dir():
        raise UserError(f"--figures {args.figures} is not a folder; run the draw stage first")
    study = open_study(args.study)
    # what this page takes, nobody can tell it
    page = render(replace(study, costs=_completed(study.costs, _later(args))), args.figures)
    with replacing(args.out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return Work(1, "report")


def afterwards(args: argparse.Namespace) -> None:
    """Write the costs of every job of the study, this one the last."""
    before = read_table(args.study / "costs_of_runs.parquet", "costs")
    own = [args.cost] if args.cost else []
    every, origin = _completed(before, _later(args) + own), provenance("report", args.code, {})
    write_table(args.study / "costs.parquet", every, "costs", origin)


def _later(args: argparse.Namespace) -> list[Path]:
    """Where the jobs told their costs that ran after the table of those before was made."""
    return [args.study / "collect.cost.json", args.figures / "draw.cost.json"]


def _completed(costs: pd.DataFrame, later: list[Path]) -> pd.DataFrame:
    ran = cost_rows(path for path in later if path.is_file())
    return pd.concat([costs, ran], ignore_index=True)
