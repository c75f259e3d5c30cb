"""The smallest study, what a run of it leaves, and a tally of what befell it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import harness

import faults
from patchbench.disks import PART
from patchbench.io import read_json

OVERLAY = harness.ROOT / "tests/data/cluster.yaml"
IMAGES = "results/scenes/images.npy"
ENCODER = "results/scenes/p32s16/seed0/fixed/encoder.npz"
TARGET = "results/studies/cluster/metrics.parquet"
PAGE = "results/studies/cluster/report.html"
Running = subprocess.Popen[bytes]
TALLY: dict[str, list[int]] = {}
"""By fault: how often it was done, and how often all that was promised held."""


@contextmanager
def tried(fault: str) -> Iterator[None]:
    """Count a fault; it is survived if the block ends well."""
    count = TALLY.setdefault(fault, [0, 0])
    count[0] += 1
    yield
    count[1] += 1


def run(project: Path, *arguments: str, target: str = TARGET) -> str:
    """Run the study, to its tables or another target; what Snakemake says."""
    return harness.snakemake(project, target, *arguments, overlay=OVERLAY)


def refused(project: Path, *arguments: str, target: str = TARGET) -> str:
    """The same, of a run that must fail, and without a traceback."""
    done = harness.attempt(project, target, *arguments, overlay=OVERLAY)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout


def due(project: Path, *arguments: str) -> dict[str, int]:
    """How many jobs of which rule a run would do."""
    return harness.due(project, TARGET, *arguments, overlay=OVERLAY)


def start(project: Path, *arguments: str, target: str = TARGET, overlay: Path = OVERLAY) -> Running:
    """A run in the background, in a process group of its own, once it holds the folder's lock."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", target, *arguments]
    with (project / "run.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--configfile", str(overlay)],
            cwd=project,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    locks = project / ".snakemake/locks"
    while process.poll() is None and not (locks.is_dir() and any(locks.iterdir())):
        time.sleep(0.02)
    return process


def kill_all(project: Path, process: Running) -> None:
    """`kill -9` of a run and all its jobs."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    faults.until(lambda: not alive(project), "killed processes are gone", None)


def alive(project: Path) -> list[str]:
    """Processes that work in a project."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == project:
                found.append((process / "cmdline").read_text())
        except OSError:  # it has ended, or is ending
            continue
    return found


def unlock(project: Path) -> None:
    """The one command that a killed run asks for."""
    harness.snakemake(project, "--unlock", overlay=OVERLAY)


def results(project: Path) -> dict[str, object]:
    """Every result by its path, but not what it cost or what was said on the way.

    Raises
    ------
    DamagedFileError
        If a cost file is not whole.
    """
    found = {}
    for path in sorted((project / "results").rglob("*")):
        if not path.is_file() or path.name.endswith((".log", PART)):
            continue
        if path.name.endswith(".cost.json"):
            read_json(path)
        elif path.name != "README.md":
            found[str(path.relative_to(project))] = harness.lasting(path)
    return found


def leftovers(project: Path) -> list[Path]:
    """Unfinished files."""
    return list((project / "results").rglob(f".*{PART}"))
