"""`kill -9` at random moments, again and again in one folder until nothing is left to do.

Each kill comes at a random time after the run has taken the folder's lock, and the next run goes on
from what it left. A run that is through before its kill is compared and begun anew from an
empty folder, so that kills fall on every stage. PATCHBENCH_KILLS says how many, and
PATCHBENCH_KILLS_SEED which moments.
"""

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import copy_project, snakemake
from small_study import leftovers, results, run, start, tried

import faults

N_KILLS = int(os.environ.get("PATCHBENCH_KILLS", "20"))
SEED = int(os.environ.get("PATCHBENCH_KILLS_SEED", "0"))
Running = subprocess.Popen[bytes]


def latest_s(undisturbed: Path) -> float:
    """The latest moment of a kill: in less than half an undisturbed run, jobs get through."""
    times = [path.stat().st_mtime for path in (undisturbed / "results").rglob("*.*")]
    return 0.4 * (max(times) - min(times))


def ended(process: Running, after_s: float) -> bool:
    """Whether a run is through within a time."""
    try:
        assert process.wait(after_s) == 0
    except subprocess.TimeoutExpired:
        return False
    return True


def kill_group(process: Running) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def kill_snakemake(process: Running) -> None:
    """Its jobs live on, and write what they write while the next run does."""
    process.kill()
    process.wait()


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


def compare(project: Path, expected: dict[str, object]) -> None:
    """What stands under its name is whole, and what it is in an undisturbed run."""
    for name, content in results(project).items():
        assert content == expected[name], name


@pytest.mark.parametrize(
    ("fault", "kill", "n_kills"),
    [
        ("kill -9 of Snakemake and all its jobs", kill_group, N_KILLS),
        ("kill -9 of Snakemake alone, jobs live on", kill_snakemake, -(-N_KILLS // 4)),
    ],
)
def test_a_killed_run_goes_on_to_the_same_bytes(
    undisturbed: Path, tmp_path: Path, fault: str, kill: Callable[[Running], None], n_kills: int
) -> None:
    expected, moments = results(undisturbed), random.Random(SEED)
    latest = latest_s(undisturbed)
    project, n_done = copy_project(tmp_path / "project"), 0
    while n_done < n_kills:
        process = start(project)
        if ended(process, moments.uniform(0, latest)):
            assert results(project) == expected
            shutil.rmtree(project / "results")
            shutil.rmtree(project / ".snakemake")
            continue
        with tried(fault):
            kill(process)
            n_done += 1
            if kill is kill_group:
                faults.until(lambda: not alive(project), "killed processes are gone", None)
            compare(project, expected)
            snakemake(project, "--unlock", overlay=None)
    run(project)
    assert results(project) == expected
    assert not leftovers(project)
