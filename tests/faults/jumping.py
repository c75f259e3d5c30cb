"""A clock that jumps, for a run and all its jobs: libfaketime tells each of them the time.

It reads from a file how far off the clock is, at every look, so writing that file is the jump.
Dates of files come from the kernel, whose clock is true, and are seen as they are (NO_FAKE_STAT).
It is as on a machine whose own clock jumps all the same: when a job is through, Snakemake sets the
dates of all that it made to now, and libfaketime answers that call, too. Only what no job has
finished keeps a true date, and that is never compared with others. Clocks that only count on, by
which programs wait, stay true, as the kernel's do.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_SLURM = {"scontrol", "squeue", "sinfo", "sacct", "sbatch", "scancel", "srun"}


@dataclass
class Clock:
    """How far off it is stands in a file."""

    path: Path

    def jump_to(self, days: int) -> None:
        """Let it be so many days off from now on; 0 is the true time."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f"{days:+}d\n")
        fresh.replace(self.path)

    @property
    def environment(self) -> dict[str, str]:
        """What a process must be told to go by it."""
        asked = ["faketime", "-m", "-f", "+0", "printenv", "LD_PRELOAD"]
        library = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
        return {
            "LD_PRELOAD": library.strip(),
            "FAKETIME_TIMESTAMP_FILE": str(self.path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of all that a test starts; true at first."""
    if shutil.which("faketime") is None:
        pytest.skip("no libfaketime to let a clock jump: apt-get install faketime")
    made = Clock(tmp_path / "clock")
    made.jump_to(0)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", str(without_slurm(tmp_path / "bin")))
    return made


def without_slurm(folder: Path) -> Path:
    """All commands of this machine but SLURM's.

    Snakemake asks ``scontrol`` with a time limit, and libfaketime breaks the waiting for that.
    """
    folder.mkdir()
    for place in filter(Path.is_dir, map(Path, os.environ["PATH"].split(os.pathsep))):
        for command in place.iterdir():
            link = folder / command.name
            if command.name not in _SLURM and not link.is_symlink():
                link.symlink_to(command)
    return folder
