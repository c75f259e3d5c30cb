"""The workflow on a real SLURM: what goes wrong is done again, and the results are the same bytes.

One story, told once: a run starts; its Snakemake is killed; the documented way back is taken; then
a job is killed, one takes too much memory, one hangs, one loses its node. The tests look at what
is left: at the files, and at what SLURM says of every job.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import yaml
from harness import ROOT, attempt, copy_project, snakemake

from faults import Fault, processes, queue, slurm_local, until

OVERLAY = ROOT / "tests/data/cluster.yaml"
PROFILE = "workflow/profiles/slurm"
STUDY = "results/studies/cluster/metrics.parquet"
ENCODER = "results/scenes/p32s16/seed0/{}/encoder.npz"
TARGETS = (STUDY, ENCODER.format("color_histogram"))
FIRST, SECOND = "00000-of-00002", "00001-of-00002"


def why_not() -> str:
    """What is missing for these tests; nothing, if they can run."""
    if os.environ.get("PATCHBENCH_SLURM") != "1":
        return "brings up a cluster, so only when asked to: make test-slurm"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return "needs root and apt-get, to install SLURM"
    return ""


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "it runs")


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


def hurry(project: Path) -> None:
    """Make the shipped profile ask sooner, and ask too little for the jobs that are to fail."""
    path = project / PROFILE / "config.yaml"
    profile = yaml.safe_load(path.read_text())
    profile["slurm-status-command"] = "squeue"  # the test cluster keeps no accounts
    profile["slurm-init-seconds-before-status-checks"] = 2
    needs = profile["set-resources"]
    alone = f"wildcards.shard == '{SECOND}' and attempt == 1"
    needs["encode"] = {
        "mem_mb": f"350 * attempt if wildcards.shard == '{FIRST}' else 3000",
        # on a node of its own, which is going to crash
        "slurm_extra": f"'--nodelist=' + ('n2' if {alone} else 'n1')",
    }
    needs["fit_encoder"]["slurm_extra"] = "'--nodelist=n1'"
    needs["fit_encoder"]["runtime"] = (
        "20 if wildcards.encoder == 'fixed' or attempt > 1 else attempt"
    )
    path.write_text(yaml.safe_dump(profile))


def start(project: Path, log: Path, *targets: str) -> "subprocess.Popen[str]":
    """Snakemake on the cluster, in the background."""
    command = [sys.executable, "-m", "snakemake", *targets, "--workflow-profile", PROFILE]
    with log.open("w") as out:
        return subprocess.Popen(
            [*command, "--configfile", str(OVERLAY)],
            cwd=project,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )


def kill_and_come_back(project: Path) -> str:
    """Kill Snakemake while two jobs run, and go the way back of the README; the refusal."""
    log = project / "killed.log"
    process = start(project, log, STUDY)
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
    refused = start(project, log, STUDY)
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

    crashed, revived = Fault("encode", (SECOND,), then=crash), False
    faults = [
        Fault("fit_encoder", ("color_histogram",)),  # hangs until its time is up
        Fault("encode", (FIRST,), from_mib=250),  # holds more than the 350 MB it asked for
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


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("slurm")
    local = copy_project(folder / "local")
    snakemake(local, *TARGETS, overlay=OVERLAY)
    project = copy_project(folder / "it's a cluster")
    hurry(project)
    slurm_local("purge")  # whatever an earlier test left
    try:
        slurm_local("start")
        refused = kill_and_come_back(project)
        output = run_through_faults(project)
        asked = ("--config", "device=cuda", "--retries", "0", ENCODER.format("raw_pixels"))
        attempt(project, "--workflow-profile", PROFILE, *asked, overlay=OVERLAY)
        yield Story(local, project, refused, output, queue())
    finally:
        slurm_local("purge")


def test_the_files_are_those_of_a_local_run(story: Story) -> None:
    files = {
        path.relative_to(story.local)
        for path in (story.local / "results").rglob("*")
        if path.is_file()
        and not path.name.endswith((".cost.json", ".log"))
        and path.name != "costs.parquet"
    }
    assert len(files) > 20
    for name in sorted(files):
        assert (story.project / name).read_bytes() == (story.local / name).read_bytes(), name


def test_jobs_get_what_the_profile_asks_for(story: Story) -> None:
    (index,) = story.of("index").itertuples()
    assert (index.mem, index.limit) == ("2000M", "1:00:00")


def test_small_shards_go_together(story: Story) -> None:
    assert len(story.of("cut")) == 1
    assert len(story.of("encode")) >= 4  # these do not


def test_a_run_does_not_start_while_jobs_of_a_killed_one_live(story: Story) -> None:
    assert "2 SLURM jobs of another run" in story.refused
    assert "Traceback" not in story.refused


def test_nothing_is_submitted_twice(story: Story) -> None:
    for what in ("prepare", "cut", "index", "fit_encoder_wildcards_scenes_p32s16_0_fixed"):
        assert story.states(what) == ["COMPLETED"]
    for _, jobs in story.jobs.groupby("what"):
        assert (jobs["end"].iloc[:-1].to_numpy() <= jobs["start"].iloc[1:].to_numpy()).all()


def test_a_killed_job_is_done_again(story: Story) -> None:
    assert story.states("classify") == ["FAILED", "COMPLETED"]


def test_a_job_over_its_memory_gets_more(story: Story) -> None:
    jobs = story.of("encode")
    jobs = jobs[jobs["what"].str.contains(FIRST)]
    assert jobs["state"].tolist() == ["CANCELLED", "FAILED", "COMPLETED"]
    assert jobs["mem"].tolist() == ["350M", "350M", "700M"]


def test_a_job_that_hangs_is_stopped_and_gets_more_time(story: Story) -> None:
    jobs = story.of("fit_encoder_wildcards_scenes_p32s16_0_color_histogram")
    assert jobs["state"].tolist() == ["TIMEOUT", "COMPLETED"]
    assert jobs["limit"].tolist() == ["1:00", "20:00"]


def test_a_job_whose_node_crashed_is_done_again(story: Story) -> None:
    assert story.states("encode", SECOND) == ["CANCELLED", "NODE_FAIL", "COMPLETED"]


def test_a_gpu_is_asked_for_with_device_cuda_only(story: Story) -> None:
    listed = subprocess.run(
        ["squeue", "--states=all", "--noheader", "--Format=tres-per-job:40,comment:80"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    asked = [line.split()[1] for line in listed.splitlines() if line.startswith("gres:gpu:1")]
    assert asked == ["rule_fit_encoder_wildcards_scenes_p32s16_0_raw_pixels"]


def test_a_second_run_has_nothing_to_do(story: Story) -> None:
    done = snakemake(
        story.project, *TARGETS, "--workflow-profile", PROFILE, "--dry-run", overlay=OVERLAY
    )
    assert "Nothing to be done" in done
