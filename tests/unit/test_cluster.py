"""A run is refused while jobs of an earlier one live, on a cluster that is made up."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from patchbench import cluster
from patchbench.cluster import has_submitted, leftovers, refuse_beside_leftovers
from patchbench.errors import UserError

PROFILE = Path(__file__).parents[2] / "workflow/profiles/slurm/config.yaml"


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests do not run in a job themselves."""
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a made-up ``squeue`` on the path, which is the line of shell given."""

    def make(line: str) -> None:
        path = tmp_path / "bin/squeue"
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(path.parent))

    return make


@pytest.fixture
def queue(tmp_path: Path, squeue: Callable[[str], None]) -> Path:
    """A file whose lines ``squeue`` prints: job number, job name and folder."""
    squeue(f"/bin/cat '{tmp_path / 'queue'}'")
    return tmp_path / "queue"


def test_jobs_are_counted_by_run_of_this_folder_alone(queue: Path) -> None:
    queue.write_text(
        "1 patchbench_a /data/it's here\n2 patchbench_a /data/it's here\n"
        "3 patchbench_b /elsewhere\n4 training /data/it's here\n5 odd /a\nbroken/name\n"
    )
    assert leftovers(Path("/data/it's here")) == {"patchbench_a": 2}


def test_the_refusal_holds_the_command_that_cancels(queue: Path) -> None:
    queue.write_text("7 patchbench_b /data\n8 patchbench_a /data\n9 patchbench_a /data\n")
    told = r"3 SLURM jobs.*`scancel --name=patchbench_a,patchbench_b`"
    with pytest.raises(UserError, match=told):
        refuse_beside_leftovers(Path("/data"))


def test_a_job_that_starts_a_run_is_not_in_its_own_way(
    queue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.write_text("7 patchbench_mine /data\n8 patchbench_a /data\n")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert leftovers(Path("/data")) == {"patchbench_a": 1}


def test_a_folder_that_sent_jobs_to_a_cluster_is_known_by_their_logs(tmp_path: Path) -> None:
    assert not has_submitted(tmp_path)
    (tmp_path / "results/slurm-logs").mkdir(parents=True)
    assert has_submitted(tmp_path)


def test_jobs_and_logs_are_named_as_in_the_profile() -> None:
    profile = yaml.safe_load(PROFILE.read_text())
    assert profile["slurm-jobname-prefix"] == cluster.JOB_PREFIX
    assert profile["slurm-logdir"] == str(cluster.LOGS)


def test_an_empty_queue_lets_a_run_start(queue: Path) -> None:
    queue.write_text("")
    refuse_beside_leftovers(Path("/data"))


def test_so_does_a_machine_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    refuse_beside_leftovers(Path("/data"))


def test_an_answer_that_is_none_is_not_taken_for_no_jobs(squeue: Callable[[str], None]) -> None:
    squeue("echo 'slurm_load_jobs error: Socket timed out' >&2; exit 1")
    with pytest.raises(UserError, match=r"are left \(slurm_load_jobs .* timed out\).*start again"):
        refuse_beside_leftovers(Path("/data"))


def test_nor_is_silence(
    squeue: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "silence")  # nobody writes into it
    squeue(f"exec /bin/cat '{tmp_path / 'silence'}'")
    monkeypatch.setattr(cluster, "_PATIENCE_S", 0.2)
    with pytest.raises(UserError, match=r"no answer within 0\.2 s"):
        refuse_beside_leftovers(Path("/data"))
