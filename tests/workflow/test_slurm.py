"""The workflow on a real SLURM: what goes wrong is done again, and the results are the same bytes.

What happens is in ``cluster_story.py``, told once. The tests look at what is left: at the files,
and at what SLURM says of every job.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator

import pandas as pd
import pytest
from cluster_story import FIRST, OVERLAY, PAGE, PROFILE, SECOND, TARGETS, TOO_LITTLE_MB, Story, tell
from harness import TELL_COSTS, lasting, snakemake

from faults import slurm_local
from patchbench.machine import COMMAND_VARIABLE


def why_not() -> str:
    """What is missing for these tests; nothing, if they can run."""
    if os.environ.get("PATCHBENCH_SLURM") != "1":
        return "brings up a cluster, so only when asked to: make test-slurm"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return "needs root and apt-get, to install SLURM"
    return ""


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "it runs")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    slurm_local("purge")  # whatever an earlier test left
    try:
        with pytest.MonkeyPatch.context() as patch:
            # `run.json` tells how a run was started, and each is started in its own way
            patch.setenv(COMMAND_VARIABLE, "snakemake")
            yield tell(tmp_path_factory.mktemp("slurm"))
    finally:
        slurm_local("purge")


def test_the_files_are_those_of_a_local_run(story: Story) -> None:
    results = story.local / "results"
    files = {path.relative_to(story.local) for path in results.rglob("*") if path.is_file()}
    told = {name for name in files if name.name.endswith((".cost.json", ".log"))}
    same = {name for name in files - told if name.stem not in TELL_COSTS}
    assert {"cnn.npz", "pooling.npz", "class_auc.svg"} <= {name.name for name in same}
    for name in sorted(same):
        assert lasting(story.project / name) == lasting(story.local / name), name


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
    assert jobs["mem"].tolist() == [f"{n * TOO_LITTLE_MB}M" for n in (1, 1, 2)]


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


def test_the_page_is_written_there_and_tells_of_every_job(story: Story) -> None:
    assert (story.project / PAGE).stat().st_size > 100_000
    costs = pd.read_parquet((story.project / PAGE).with_name("costs.parquet"))
    assert {"encode", "fit_pooling", "pool", "cnn", "cnn_predict"} <= set(costs["stage"])


def test_a_second_run_has_nothing_to_do(story: Story) -> None:
    done = snakemake(
        story.project, *TARGETS, "--workflow-profile", PROFILE, "--dry-run", overlay=OVERLAY
    )
    assert "Nothing to be done" in done
