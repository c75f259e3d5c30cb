"""A run in which one job may not have the memory that it needs."""

import re
import shutil
from pathlib import Path

import pytest
from harness import copy_project
from small_study import ENCODER, Running, leftovers, refused, results, run, start, tried

import faults

# 98 MB of numbers, which are made of twice as many more
WIDE = ("--config", "encoders={fixed: {dim: 4000}}")
LESS_KIB = 150 * 1024


def most_kib(process: Running, project: Path, stage: str) -> int:
    """The most address space that a stage took, seen again and again until the run ends."""
    most = 0

    def ended() -> bool:
        nonlocal most
        for pid in faults.processes(project, stage):
            try:
                told = Path(f"/proc/{pid}/status").read_text()
            except OSError:  # it has ended
                continue
            if found := re.search(r"VmPeak:\s+(\d+) kB", told):
                most = max(most, int(found[1]))
        return process.poll() is not None

    faults.until(ended, "the run ends", None)
    return most


def test_a_job_out_of_memory_says_so_and_with_more_the_run_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, bound = copy_project(tmp_path / "free"), tmp_path / "bound"
    undisturbed = start(free, *WIDE, target=ENCODER)
    limit = most_kib(undisturbed, free, "fit_encoder") - LESS_KIB
    assert undisturbed.returncode == 0, (free / "run.log").read_text()

    shutil.copytree(free, bound)
    shutil.rmtree((bound / ENCODER).parent)
    # read by the shell of each job before its command
    script = tmp_path / "limit.sh"
    script.write_text(
        f'case "$BASH_EXECUTION_STRING" in *"patchbench fit_encoder"*) ulimit -v {limit};; esac\n'
    )
    with tried("one job out of memory"):
        with monkeypatch.context() as patch:
            patch.setenv("BASH_ENV", str(script))
            told = refused(bound, *WIDE, target=ENCODER)
        sentence = r"patchbench fit_encoder: out of memory after holding [\d,]+ MiB \(Unable to "
        assert re.search(sentence, told), told
        assert not leftovers(bound)
        assert results(bound).items() < results(free).items()
        run(bound, *WIDE, target=ENCODER)
        assert results(bound) == results(free)
