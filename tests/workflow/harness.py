"""A copy of the project that tests may run and edit."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from patchbench.__main__ import main
from patchbench.io import read_json, read_table

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests/data/tiny.yaml"
NAMES = ("Snakefile", "config.yaml", "workflow", "profiles", "src", "envs")
# what shows times and memory, and so differs from run to run: the page, a table, two figures
TELL_COSTS = ("report", "costs", "costs_of_runs", "auc_against_runtime")
_JOB = ["stage", "dataset", "patches", "encoder", "classifier", "seed"]
# a picture is inlined as SVG or as PNG, whichever is smaller, and that turns on what it shows
_NUMBERS_AND_PICTURES = re.compile(r"""data:image/[a-z+]+;base64,[^"']+|[\d.,]+(e[-+]?\d+)?""")


def copy_project(folder: Path) -> Path:
    """The parts of the project that a run needs, copied."""
    for name in NAMES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / name)
    return folder


def snakemake(project: Path, *arguments: str, overlay: Path | None = TINY) -> str:
    """Run Snakemake in a project; its output.

    Raises
    ------
    AssertionError
        With the whole output, if it failed.
    """
    done = attempt(project, *arguments, overlay=overlay)
    assert done.returncode == 0, done.stdout
    return done.stdout


def attempt(
    project: Path, *arguments: str, overlay: Path | None = TINY
) -> "subprocess.CompletedProcess[str]":
    """Run Snakemake in a project, whatever comes of it."""
    configfile = [] if overlay is None else ["--configfile", str(overlay)]
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments, *configfile]
    return subprocess.run(
        command,
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def due(project: Path, *arguments: str, overlay: Path | None = TINY) -> dict[str, int]:
    """How many jobs of which rule a run would do."""
    return planned(project, *arguments, overlay=overlay)[0]


def planned(
    project: Path, *arguments: str, overlay: Path | None = TINY
) -> tuple[dict[str, int], list[str]]:
    """How many jobs of which rule a run would do, and what each says of itself."""
    output = snakemake(project, "--dry-run", *arguments, overlay=overlay)
    if "Nothing to be done" in output:
        return {}, []
    jobs: dict[str, int] = {}
    table = output.split("Job stats:\n", 1)[1].split("\n\n")[0].splitlines()[2:]
    for line in table:
        name, count = line.split()
        jobs[name] = int(count)
    jobs.pop("total", None)
    jobs.pop("all", None)
    return jobs, re.findall(r"^Job \d+: (.*)", output, re.MULTILINE)


def stage(name: str, **options: object) -> None:
    """Run a stage in this process, as a job does."""
    argv = [name, "--cost", str(options["out"]) + ".cost.json"]
    for key, value in options.items():
        values = value if isinstance(value, list) else [value]
        argv += [f"--{key.replace('_', '-')}", *map(str, values)]
    assert main(argv) == 0


def lasting(path: Path) -> object:
    """What every run must write into a file: its bytes, where these hold no times.

    Of ``run.json`` it is all but the day and what jobs took, of tables of costs the jobs, of the
    page its words; figures of times need only be there.
    """
    if path.name == "run.json":
        told = read_json(path)
        del told["date"]
        for stage in told["commands"]:
            del stage["wall_s"], stage["cpu_s"]
        return told
    if path.name in ("costs.parquet", "costs_of_runs.parquet"):
        return sorted(read_table(path, "costs")[_JOB].astype(str).itertuples(index=False))
    if path.name == "report.html":
        return _NUMBERS_AND_PICTURES.sub("", path.read_text(encoding="utf-8"))
    return bool(path.stat().st_size) if path.stem in TELL_COSTS else path.read_bytes()
