"""Clocks that jump: while a run works, between two runs, or as files from another time tell."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from harness import copy_project
from jumping import Clock
from small_study import Running, due, kill_all, refused, results, run, start, tried, unlock

import faults

DAY_S = 86_400
EMBEDDINGS = "results/scenes/p32s16/seed0/fixed/embeddings"
NO_CHECKSUMS = ("--max-checksum-file-size", "0")  # as for files of more than 1 MB


MEND = 'find results -newermt now -exec touch -d "@$(date +%s)" {} +'


def mend(project: Path) -> None:
    """The line of docs/running.md."""
    subprocess.run(MEND, shell=True, cwd=project, check=True)


def date(folder: Path, days: float) -> None:
    """Let all files of a folder have been written then, seen from now."""
    then = time.time() + days * DAY_S
    for path in folder.rglob("*"):
        os.utime(path, (then, then))


@pytest.mark.parametrize("days", [-5_000, 5_000])
def test_a_clock_set_anew_after_a_run_reruns_nothing(finished: Path, days: float) -> None:
    with tried("clock set anew after a run"):
        date(finished / "results", days)
        assert not due(finished)
        assert not due(finished, *NO_CHECKSUMS)


def test_newer_dates_of_some_files_rerun_their_readers_at_most(finished: Path) -> None:
    with tried("newer dates of some files"):
        date(finished / EMBEDDINGS, 5_000)
        assert not due(finished)  # small files are known by their checksums
        readers = {"fit_classifier", "classify", "fit_pooling", "pool", "map_embeddings"}
        assert due(finished, *NO_CHECKSUMS).keys() == readers | {"fuse", "collect"}


def test_a_clock_set_back_within_a_run_is_told_and_one_line_mends_it(
    undisturbed: Path, finished: Path
) -> None:
    with tried("clock set back within a run"):
        for folder in ("scenes/p32s16/seed0/fixed/logistic", "studies"):
            shutil.rmtree(finished / "results" / folder)
        date(finished / EMBEDDINGS, 5_000)
        assert "clock skew" in refused(finished)
        mend(finished)
        run(finished)
        assert results(finished) == results(undisturbed)


def jumped(project: Path, clock: Clock, days: int) -> Running:
    """A run whose clock jumps when patches are cut."""
    process = start(project)
    cut = project / "results/scenes/p32s16/index.parquet"
    faults.until(cut.is_file, "patches are cut", process)
    clock.jump_to(days)
    return process


def test_a_clock_that_jumps_back_while_jobs_run_is_told_and_the_line_mends_it(
    undisturbed: Path, tmp_path: Path, clock: Clock
) -> None:
    project = copy_project(tmp_path / "project")
    with tried("clock jumps back while jobs run"):
        assert jumped(project, clock, -5_000).wait() == 1
        assert "clock skew" in (project / "run.log").read_text()
        mend(project)
        run(project)
        assert results(project) == results(undisturbed)
        clock.jump_to(0)
        assert not due(project)
        assert not due(project, *NO_CHECKSUMS)


def test_a_clock_that_jumps_ahead_harms_nothing_until_it_is_set_right(
    undisturbed: Path, tmp_path: Path, clock: Clock
) -> None:
    project = copy_project(tmp_path / "project")
    with tried("clock jumps ahead while jobs run, set right after a kill"):
        process = jumped(project, clock, 5_000)
        classified = project / "results/scenes/p32s16/seed0/fixed/logistic/classifier.npz"
        faults.until(classified.is_file, "a classifier is fitted", process)
        kill_all(project, process)
        clock.jump_to(0)
        unlock(project)
        assert "clock skew" in refused(project)
        mend(project)
        run(project)
        assert results(project) == results(undisturbed)
