"""Write the report of a study: one HTML file that opens from disk without a network."""

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd

from patchbench.cost import Work
from patchbench.cost_rows import cost_rows
from patchbench.errors import UserError
from patchbench.io import replacing
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
    # these ran after the table was made; what this page takes, nobody can tell it
    later = [args.study / "collect.cost.json", args.figures / "draw.cost.json"]
    ran = cost_rows(path for path in later if path.is_file())
    page = render(replace(study, costs=pd.concat([study.costs, ran])), args.figures)
    with replacing(args.out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return Work(1, "report")
