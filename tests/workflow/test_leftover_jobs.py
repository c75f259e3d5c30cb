"""A run on this machine is refused where jobs of a killed run live on a cluster that is made up."""

from pathlib import Path

import pytest
from harness import ROOT, attempt

DONE = "resources/digits/complete.json"


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose lines ``squeue`` prints."""
    squeue = tmp_path / "bin/squeue"
    squeue.parent.mkdir()
    squeue.write_text(f"#!/bin/sh\necho asked >> '{tmp_path}/asked'\ncat '{tmp_path}/queue'\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(squeue.parent), prepend=":")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return tmp_path / "queue"


def run(folder: Path) -> tuple[int, str]:
    """Download the digits, which takes no network; exit status and output."""
    config = folder / "mine.yaml"
    config.write_text("{study: mine, datasets: {digits: {image_size_px: 32}}}")
    done = attempt(ROOT, "--directory", str(folder), "--nolock", DONE, overlay=config)
    return done.returncode, done.stdout


def test_a_run_beside_living_jobs_is_refused_and_none_are_asked_for_where_none_were_submitted(
    queue: Path, tmp_path: Path
) -> None:
    logs = tmp_path / "results/slurm-logs"
    logs.mkdir(parents=True)
    queue.write_text(f"7 patchbench_a {tmp_path}\n8 patchbench_a {tmp_path}\n")
    status, output = run(tmp_path)
    assert status == 1 and "2 SLURM jobs" in output and "scancel --name=patchbench_a" in output
    assert "Traceback" not in output and not (tmp_path / DONE).exists()
    logs.rmdir()
    asked = (tmp_path / "asked").read_text()
    status, output = run(tmp_path)
    assert status == 0, output
    assert (tmp_path / DONE).exists() and (tmp_path / "asked").read_text() == asked
