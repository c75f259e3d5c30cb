"""`kill -9` at random moments, again and again in one folder until nothing is left to do.

Each kill comes at a random time after the run has taken the folder's lock, and the next run goes on
from what it left, up to the page. A run that is through before its kill is compared and begun anew
from an empty folder, so that kills fall on every stage. PATCHBENCH_KILLS says how many, and
PATCHBENCH_KILLS_SEED which moments. The last stages, which few kills reach, get one each besides.
"""

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import copy_project
from small_study import (
    ENCODER,
    PAGE,
    Running,
    kill_all,
    leftovers,
    results,
    run,
    start,
    tried,
    unlock,
)

import faults

N_KILLS = int(os.environ.get("PATCHBENCH_KILLS", "20"))
N_FEWER = -(-N_KILLS // 4)
SEED = int(os.environ.get("PATCHBENCH_KILLS_SEED", "0"))
STUDY = Path(PAGE).parent
ONE_SHARD = ("--config", "patches={p32s16: {shards: 1}}")  # some of its jobs do two stages
# a stage, and what it has written when it is killed
LAST = {"collect": "*.parquet", "draw": "figures/scenes/*.svg", "report": "report.log"}


def latest_s(whole: Path) -> float:
    """The latest moment of a kill: in less than half an undisturbed run, jobs get through."""
    times = [path.stat().st_mtime for path in (whole / "results").rglob("*.*")]
    return 0.4 * (max(times) - min(times))


def ended(process: Running, after_s: float) -> bool:
    """Whether a run is through within a time."""
    try:
        assert process.wait(after_s) == 0
    except subprocess.TimeoutExpired:
        return False
    return True


def kill_snakemake(project: Path, process: Running) -> None:
    """Its jobs live on, and write what they write while the next run does."""
    process.kill()
    process.wait()


def compare(project: Path, expected: dict[str, object]) -> None:
    """What stands under its name is whole, and what it is in an undisturbed run."""
    for name, content in results(project).items():
        assert content == expected[name], name


@pytest.mark.parametrize(
    ("fault", "kill", "n_kills", "settings"),
    [
        ("kill -9 of Snakemake and all its jobs", kill_all, N_KILLS, ()),
        ("kill -9 of Snakemake alone, jobs live on", kill_snakemake, N_FEWER, ()),
        ("kill -9 of Snakemake alone, jobs of two stages", kill_snakemake, N_FEWER, ONE_SHARD),
    ],
)
def test_a_killed_run_goes_on_to_the_same_bytes(
    to_the_page: Path,
    tmp_path: Path,
    fault: str,
    kill: Callable[[Path, Running], None],
    n_kills: int,
    settings: tuple[str, ...],
) -> None:
    whole = to_the_page
    if settings:
        whole = copy_project(tmp_path / "whole")
        run(whole, *settings, target=PAGE)
    expected, moments = results(whole), random.Random(SEED)
    latest = latest_s(whole)
    project, n_done = copy_project(tmp_path / "project"), 0
    while n_done < n_kills:
        process = start(project, *settings, target=PAGE)
        if ended(process, moments.uniform(0, latest)):
            assert results(project) == expected
            shutil.rmtree(project / "results")
            shutil.rmtree(project / ".snakemake")
            continue
        with tried(fault):
            kill(project, process)
            n_done += 1
            compare(project, expected)
            unlock(project)
    run(project, *settings, target=PAGE)
    assert results(project) == expected
    assert not leftovers(project)


def test_a_run_killed_in_each_of_its_last_stages_goes_on_to_the_same_page(
    to_the_page: Path, finished: Path
) -> None:
    expected = results(to_the_page)
    shutil.rmtree(finished / STUDY)
    for stage, written in LAST.items():
        process = start(finished, target=PAGE)

        def in_it(stage: str = stage, written: str = written) -> bool:
            began = faults.processes(finished, stage)
            return bool(began) and any((finished / STUDY).glob(written))

        with tried("kill -9 while tables, figures or page are written"):
            faults.until(in_it, f"{stage} writes", process)
            kill_all(finished, process)
            compare(finished, expected)
            unlock(finished)
    run(finished, target=PAGE)
    assert results(finished) == expected
    assert not leftovers(finished)


def test_a_job_killed_between_its_two_stages_is_done_anew(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    run(project, *ONE_SHARD)
    expected = results(project)
    encoder = project / ENCODER
    shutil.rmtree(encoder.parent)
    second = project / "src/patchbench/stages/encode.py"
    text = second.read_text()
    kill = "def run(args):\n    import os, signal\n\n    os.killpg(0, signal.SIGKILL)\n"
    second.write_text(f"{text}\n\n{kill}")
    with tried("kill -9 between the two stages of a job"):
        assert start(project, *ONE_SHARD).wait() == -signal.SIGKILL
        assert encoder.is_file() and not list((encoder.parent / "embeddings").iterdir())
        second.write_text(text)
        unlock(project)
        run(project, *ONE_SHARD)
        assert results(project) == expected
