"""A run is refused while jobs of an earlier one live, on a cluster that is made up."""

from pathlib import Path

import pytest

from patchbench.cluster import leftovers, refuse_to_submit_twice
from patchbench.errors import UserError


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose lines the made-up ``squeue`` prints: job name and folder."""
    listed, squeue = tmp_path / "queue", tmp_path / "bin/squeue"
    squeue.parent.mkdir()
    squeue.write_text(f"#!/bin/sh\n/bin/cat '{listed}'\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(squeue.parent))
    return listed


def test_jobs_are_counted_by_run_of_this_folder_alone(queue: Path) -> None:
    queue.write_text(
        "patchbench_a /data/it's here\npatchbench_a /data/it's here\npatchbench_b /elsewhere\n"
        "training /data/it's here\n"
    )
    assert leftovers(Path("/data/it's here")) == {"patchbench_a": 2}


def test_the_refusal_holds_the_command_that_cancels(queue: Path) -> None:
    queue.write_text("patchbench_b /data\npatchbench_a /data\npatchbench_a /data\n")
    told = r"3 SLURM jobs.*`scancel --name=patchbench_a,patchbench_b`"
    with pytest.raises(UserError, match=told):
        refuse_to_submit_twice(Path("/data"))


def test_an_empty_queue_lets_a_run_start(queue: Path) -> None:
    queue.write_text("")
    refuse_to_submit_twice(Path("/data"))


def test_so_does_a_machine_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    refuse_to_submit_twice(Path("/data"))
