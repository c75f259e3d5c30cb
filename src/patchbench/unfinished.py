"""What a study that did not get to its end lacks, and what its failed jobs said."""

import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from patchbench import plan, plan_files
from patchbench.doctor import ROOT
from patchbench.errors import UserError

_LAST_CHARS = 400  # of a log that are told


def due(files: Sequence[Path]) -> dict[str, bool]:
    """Files that a run would make, and whether they are there from before, as Snakemake has it.

    Raises
    ------
    UserError
        If Snakemake refuses.
    """
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--summary", "--nolock", "--cores", "1"]
    command += ["--configfile", *map(str, files)] if files else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"Snakemake refuses this study: {done.stderr.strip()}")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return {row[0]: row[-2] != "missing" for row in rows if row[-1] == "update pending"}


def without_absent(config: Mapping[str, Any], due: Mapping[str, bool]) -> dict[str, Any]:
    """The config of what is there: ``unfinished`` names what is not, and says why.

    Raises
    ------
    UserError
        If nothing is missing, or everything is.
    """
    results = plan_files.results(config)
    absent = [path for path, files in results.items() if not due.keys().isdisjoint(files)]
    lists = config["benchmark"]
    here = [name for name in lists["datasets"] if plan.DATASET.format(dataset=name) not in absent]
    found = {**config, "benchmark": {**lists, "datasets": here}, "unfinished": {"absent": absent}}
    runs, n_asked = plan.runs(found) if here else [], len(plan.runs(config))
    if not absent:
        raise UserError(
            f"nothing that the study {config['study']} compares is missing; run snakemake, which "
            "makes its report"
        )
    if not runs:
        raise UserError(
            f"none of the {n_asked} runs of the study {config['study']} is done; "
            f"{'; '.join(_failed(config, due)) or 'start it with snakemake'}"
        )
    absent += [path for path in plan_files.costs(found) if path in due]
    found["unfinished"] |= {
        "summary": f"{len(runs)} of {n_asked} runs are here",
        "why": [*_failed(config, due), *_not_made(results, absent)],
    }
    return found


def _failed(config: Mapping[str, Any], due: Mapping[str, bool]) -> list[str]:
    """What jobs said that left no files: of a job that never began there is no log."""
    told_before = plan_files.second_stages(config)  # in the log of the job's first stage
    missing = [path for path, is_there in due.items() if not is_there]
    logs = {_log(path) for path in missing if path not in told_before}
    return [
        f"a job failed or was stopped, and its log {log} ends: {_end(log)}"
        for log in sorted(log for log in logs if log.is_file())
    ]


def _log(path: str) -> Path:
    """The log of the job that makes a file, if the file is what its cost or its download is in."""
    if path.endswith(".cost.json"):
        return Path(path.removesuffix("cost.json") + "log")
    return (
        Path(path).with_name("download.log")
        if path.endswith("complete.json")
        else Path(f"{path}.log")
    )


def _end(log: Path) -> str:
    """The last line of a log that says something."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8 * _LAST_CHARS))
        lines = file.read().decode("utf-8", errors="replace").split("\n")
    said = [line.rsplit("\r", 1)[-1].strip() for line in lines]
    return next((line for line in reversed(said) if line), "(empty)")[-_LAST_CHARS:]


def _not_made(results: Collection[str], absent: Sequence[str]) -> list[str]:
    """Missing results, without those that lie in the folder of another."""
    own = [path for path in results if path in absent]
    told = [path for path in own if not any(path.startswith(f"{other}/") for other in own)]
    return [f"{path} is missing: a job that it needs failed or has not run" for path in told]
