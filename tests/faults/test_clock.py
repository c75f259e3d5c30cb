"""Clocks that jump, so that files come from the past or from the future."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from small_study import due, refused, results, run, tried

DAY_S = 86_400
EMBEDDINGS = "results/scenes/p32s16/seed0/fixed/embeddings"
NO_CHECKSUMS = ("--max-checksum-file-size", "0")  # as for files of more than 1 MB


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
        mend = 'find results -newermt now -exec touch -d "@$(date +%s)" {} +'
        subprocess.run(mend, shell=True, cwd=finished, check=True)
        run(finished)
        assert results(finished) == results(undisturbed)
