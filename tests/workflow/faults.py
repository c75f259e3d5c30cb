"""What can happen to jobs on a cluster, done to the real processes of a project's stages."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

SCRIPT = Path(__file__).with_name("slurm-local.sh")
PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


def slurm_local(*arguments: str) -> None:
    """Start the local cluster, crash a node of it, or purge it."""
    subprocess.run([str(SCRIPT), *arguments], check=True)


def queue() -> pd.DataFrame:
    """All jobs that the cluster knows, ended ones too, in the order of their submission."""
    columns = {"job": "%A", "what": "%k", "state": "%T", "node": "%N", "mem": "%m", "limit": "%l"}
    columns |= {"start": "%S", "end": "%e"}
    listed = subprocess.run(
        ["squeue", "--states=all", "--noheader", f"--format={'|'.join(columns.values())}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    rows = [line.split("|") for line in listed.splitlines()]
    jobs = pd.DataFrame(rows, columns=list(columns)).astype({"job": int})
    return jobs.sort_values("job", ignore_index=True)


def processes(project: Path, stage: str, *words: str) -> list[int]:
    """Processes that run a stage in a project, whose command line holds all words."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text().split("\0")
            here = (folder / "cwd").readlink() == project
        except OSError:  # it has ended, or is ending
            continue
        if here and command[1:4] == ["-m", "patchbench", stage]:
            text = " ".join(command)
            found += [int(folder.name)] if all(word in text for word in words) else []
    return found


def resident_mib(pid: int) -> float:
    """Memory that a process holds."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_MIB
    except OSError:
        return 0.0


def until(done: Callable[[], bool], what: str, process: "subprocess.Popen[str] | None") -> None:
    """Look again and again until something is so, while a process lives."""
    end = time.monotonic() + 900
    while not done():
        assert time.monotonic() < end, f"in vain waited for this: {what}"
        assert process is None or process.poll() is None, f"Snakemake ended before this: {what}"
        time.sleep(0.05)


@dataclass
class Fault:
    """Something that befalls the first process that runs a stage, no later one.

    ``words`` must stand in its command line, and it must have taken ``from_mib`` of memory.
    Nothing is done if ``too_late`` says that the first one has come and gone already.
    """

    stage: str
    words: tuple[str, ...] = ()
    sends: signal.Signals = signal.SIGSTOP
    from_mib: float = 0.0
    then: Callable[[], None] = field(default=lambda: None)
    too_late: Callable[[], bool] = field(default=lambda: False)
    victim: int = 0
    done: bool = False

    def strike(self, project: Path) -> None:
        """Look for the process, and act if it is there."""
        if self.done:
            return
        if not self.victim:
            self.victim = next(iter(processes(project, self.stage, *self.words)), 0)
            self.done = bool(self.victim) and self.too_late()
        if self.done or not self.victim or 0 < resident_mib(self.victim) < self.from_mib:
            return
        self.done = True
        if resident_mib(self.victim):  # or SLURM was quicker to find that it takes too much
            os.kill(self.victim, self.sends)
            self.then()
