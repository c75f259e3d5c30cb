"""Say whether a study can run here: machine, versions, devices, and what is missing."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from patchbench import doctor
from patchbench.doctor_findings import MISSING, Finding, text


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
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def answer(args: argparse.Namespace) -> int:
    """Print what was found; 0 if the study can run here, 1 if something it needs is missing."""
    name, findings = examine(args.configfile)
    missing = {finding.way_out for finding in findings if finding.level == MISSING}
    verdict = f"{name} can run here."
    if missing:
        things = "1 thing is" if len(missing) == 1 else f"{len(missing)} things are"
        verdict = f"{name} cannot run here yet: {things} missing."
    if args.json:
        found = [asdict(finding) for finding in findings]
        told = {"can_run": not missing, "verdict": verdict, "findings": found}
        print(json.dumps(told, indent=1))
    else:
        print(text(verdict, findings))
    return 1 if missing else 0


def examine(files: list[Path]) -> tuple[str, list[Finding]]:
    """The study's name in words, and all findings."""
    packages = doctor.packages(doctor.REQUIREMENTS)
    if doctor.lacks_packages(packages):  # then its config cannot be read either
        return "A study", doctor.examine("auto")
    from patchbench import doctor_study

    config: dict[str, Any] = doctor_study.load(files)
    findings = doctor.examine(str(config.get("device", "auto")))
    if not doctor.lacks_packages(findings):
        findings += doctor_study.examine(config)
    return f"The study {config.get('study')}", findings
