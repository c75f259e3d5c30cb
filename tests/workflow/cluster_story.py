"""Everything that can happen to a run on a cluster, in one story told once.

A run starts; its Snakemake is killed; the documented way back is taken; then a job is killed, one
takes too much memory, one hangs, one loses its node. Beside it the same study runs undisturbed,
without the cluster, and then asks the cluster for one job on a GPU.
"""

import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml
from harness import ROOT, copy_project, snakemake

from faults import Fault, processes, queue, slurm_local, until

OVERLAY = ROOT / "tests/data/cluster.yaml"
PROFILE = "workflow/profiles/slurm"
IMPATIENT = Path(__file__).with_name("impatient.py")
PAGE = "results/studies/cluster/report.html"
ENCODER = "results/scenes/p32s16/seed0/{}/encoder.npz"
TARGETS = (PAGE, ENCODER.format("color_histogram"))
# what the job that is to exceed its memory asks for: more than it and the Snakemake around it
# hold when it starts, less than they hold when it is stopped
TOO_LITTLE_MB, STOPPED_AT_MIB = 230, 100
FIRST, SECOND = "00000-of-00002", "00001-of-00002"


@dataclass
class Story:
    """What the runs left behind."""

    local: Path
    project: Path
    refused: str
    output: str
    jobs: pd.DataFrame

    def of(self, what: str) -> pd.DataFrame:
        """Jobs of a rule, as they were submitted; ``what`` is how their comment starts."""
        return self.jobs[self.jobs["what"].str.startswith(f"rule_{what}")]

    def states(self, what: str, wildcard: str = "") -> list[str]:
        """How they ended."""
        jobs = self.of(what)
        return jobs.loc[jobs["what"].str.contains(wildcard, regex=False), "state"].tolist()


def tell(folder: Path) -> Story:
    """Bring up the cluster, and let everything happen."""
    local, project = (copy_project(folder / name) for name in ("local", "it's a cluster"))
    for copy in (local, project):
        hurry(copy)
    slurm_local("start")
    with ThreadPoolExecutor(1) as beside:
        undisturbed = beside.submit(run_undisturbed, local)
        refused = kill_and_come_back(project)
        output = run_through_faults(project)
        undisturbed.result()
    return Story(local, project, refused, output, queue())


def hurry(project: Path) -> None:
    """Make the shipped profile ask sooner, and ask too little for the jobs that are to fail."""
    path = project / PROFILE / "config.yaml"
    profile = yaml.safe_load(path.read_text())
    profile["slurm-status-command"] = "squeue"  # the test cluster keeps no accounts
    profile["slurm-init-seconds-before-status-checks"] = 2
    needs = profile["set-resources"]
    alone = f"wildcards.shard == '{SECOND}' and attempt == 1"
    needs["encode"] = {
        "mem_mb": f"{TOO_LITTLE_MB} * attempt if wildcards.shard == '{FIRST}' else 3000",
        # on a node of its own, which is going to crash
        "slurm_extra": f"'--nodelist=' + ('n2' if {alone} else 'n1')",
    }
    needs["fit_encoder"]["slurm_extra"] = "'--nodelist=n1'"
    needs["fit_encoder"]["runtime"] = (
        "attempt if wildcards.encoder == 'color_histogram' and attempt == 1 else 20"
    )
    path.write_text(yaml.safe_dump(profile))


def start(project: Path, log: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Snakemake on the cluster, in the background."""
    command = [sys.executable, str(IMPATIENT), *arguments, "--workflow-profile", PROFILE]
    with log.open("w") as out:
        return subprocess.Popen(
            [*command, "--configfile", str(OVERLAY)],
            cwd=project,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )


def run_undisturbed(local: Path) -> None:
    """The study without a cluster, on one core; then, of its results, one job for a GPU."""
    snakemake(local, *TARGETS, "--cores", "1", overlay=OVERLAY)
    more = ENCODER.format("raw_pixels")
    asked = start(local, local / "gpu.log", more, "--config", "device=cuda", "--retries", "0")
    asked.wait()  # whatever comes of it: there is no such device
    shutil.rmtree((local / more).parent, ignore_errors=True)  # the other run has no such files


def kill_and_come_back(project: Path) -> str:
    """Kill Snakemake while two jobs run, and go the way back of the README; the refusal."""
    log = project / "killed.log"
    process = start(project, log, PAGE)
    held = [Fault("encode", (shard,)) for shard in (FIRST, SECOND)]

    def both_held() -> bool:
        for fault in held:
            fault.strike(project)
        return all(fault.done for fault in held)

    until(both_held, "two jobs encode", process)
    process.kill()
    process.wait()
    assert len(processes(project, "encode")) == 2
    snakemake(project, "--unlock", overlay=OVERLAY)
    refused = start(project, log, PAGE)
    assert refused.wait() == 1
    told = log.read_text()
    cancel = re.search(r"`(scancel --name=[^`]+)`", told)
    assert cancel, told
    subprocess.run(cancel[1].split(), check=True)
    until(lambda: not processes(project, "encode"), "cancelled jobs end", None)
    until(lambda: queue()["state"].isin(["COMPLETED", "CANCELLED"]).all(), "an empty queue", None)
    return told


def run_through_faults(project: Path) -> str:
    """The rest of the study, with everything that can happen to a job; Snakemake's output."""

    def crash() -> None:
        jobs = queue()
        job = jobs[jobs["what"].str.contains(SECOND) & (jobs["state"] == "RUNNING")].iloc[-1]
        slurm_local("crash", job["node"])

    def killed_for_its_memory() -> bool:
        jobs = queue()
        return bool((jobs["what"].str.contains(FIRST) & (jobs["state"] == "FAILED")).any())

    crashed, revived = Fault("encode", (SECOND,), then=crash), False
    faults = [
        Fault("fit_encoder", ("color_histogram",)),  # hangs until its time is up
        Fault("encode", (FIRST,), from_mib=STOPPED_AT_MIB, too_late=killed_for_its_memory),
        crashed,
        Fault("classify", (SECOND,), sends=signal.SIGKILL),
    ]
    log = project / "second.log"
    process = start(project, log, *TARGETS)

    def ended() -> bool:
        nonlocal revived
        for fault in faults:
            fault.strike(project)
        if crashed.done and not revived and (queue()["state"] == "NODE_FAIL").any():
            slurm_local("start")
            revived = True
        return process.poll() is not None

    try:
        until(ended, "the run ends", None)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # which cancels its jobs; SIGTERM waits for them
            process.wait()
    assert process.returncode == 0, log.read_text()
    assert all(fault.done for fault in faults)
    return log.read_text()
