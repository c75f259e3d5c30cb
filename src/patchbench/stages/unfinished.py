"""Report what is there of a study that did not get to its end; say what is missing and why."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from patchbench import doctor_study, plan
from patchbench.config import check
from patchbench.errors import UserError
from patchbench.unfinished import due, without_absent


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this command."""
    parser.add_argument(
        "--configfile",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="the study's files, as for snakemake; without any, the default study",
    )


def answer(args: argparse.Namespace) -> int:
    """Write the tables, figures and page of what is there beside the study's own; 0."""
    config = doctor_study.load(args.configfile)
    check(config, doctor_study.SCHEMA)
    there = without_absent(config, due(args.configfile))
    out = f"{plan.STUDY.format(study=config['study'])}/unfinished"
    _stage("collect", out, "--config", json.dumps(there, sort_keys=True))
    _stage("draw", f"{out}/figures", "--study", out)
    _stage("report", f"{out}/report.html", "--study", out, "--figures", f"{out}/figures")
    print(f"{out}/report.html: {there['unfinished']['summary']}")
    print("\n".join(there["unfinished"]["why"]))
    return 0


def _stage(name: str, out: str, *options: str) -> None:
    command = [sys.executable, "-m", "patchbench", name, *options, "--out", out]
    if subprocess.run(command, check=False).returncode:
        raise UserError(f"the stage {name} failed on what is there; its words stand above")
