"""The cluster's profile can plan the default study, groups of jobs included.

Every other test here runs under the default profile.
"""

from pathlib import Path

from harness import ROOT, copy_project, due


def test_the_cluster_profile_plans_the_default_study(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    profile = ROOT / "workflow/profiles/slurm"
    planned = ("--workflow-profile", str(profile))
    jobs = due(project, *planned, overlay=None)
    assert {"cut_and_index", "fit_and_classify", "collect", "draw", "report"} <= jobs.keys()
    jobs = due(project, *planned, "--config", "patches={p32s16: {shards: 9}}", overlay=None)
    assert (jobs["cut"], jobs["classify"]) == (9, 72)
