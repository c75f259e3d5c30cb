"""A study that did not get to its end is reported as far as it got, and says so."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
from harness import TINY, snakemake

STUDY = "results/studies/tiny"


def unfinished(project: Path) -> "subprocess.CompletedProcess[str]":
    """Ask for the page of what is there."""
    command = [sys.executable, "-m", "patchbench", "unfinished", "--configfile", str(TINY)]
    return subprocess.run(
        command,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_what_is_there_is_reported_and_what_is_missing_is_named(
    finished: Path, tmp_path: Path
) -> None:
    metrics = (finished / STUDY / "metrics.parquet").read_bytes()
    encoder = finished / "results/scenes/p16s16/seed0/sift"
    encoder.rename(tmp_path / "sift")
    encoder.mkdir()
    (encoder / "encoder.log").write_text("Fitting\npatchbench: no room for <these> features\n")
    try:
        done = unfinished(finished)
    finally:
        shutil.rmtree(encoder)
        (tmp_path / "sift").rename(encoder)
    assert done.returncode == 0, done.stdout
    assert "no room for <these> features" in done.stdout
    page = (finished / STUDY / "unfinished/report.html").read_text(encoding="utf-8")
    assert "This study is not finished: 4 of 7 runs are here." in page
    assert "no room for &lt;these&gt; features" in page
    told = pd.read_parquet(finished / STUDY / "unfinished/metrics.parquet")
    assert set(told["encoder"]) == {"bagnet9", "small"}
    assert (finished / STUDY / "metrics.parquet").read_bytes() == metrics
    assert "Nothing to be done" in snakemake(finished)


def test_a_finished_study_needs_no_such_page(finished: Path) -> None:
    done = unfinished(finished)
    assert done.returncode == 2
    assert "nothing that the study tiny compares is missing; run snakemake" in done.stdout
