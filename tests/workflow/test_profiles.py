"""The cluster's profile can plan the default study, groups of jobs included.

Every other test here runs under the default profile.
"""

from pathlib import Path

from harness import ROOT, copy_project, due


def test_the_cluster_profile_plans_the_default_study(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    profile = ROOT / "workflow/profiles/slurm"
    jobs = due(project, "--workflow-profile", str(profile), overlay=None)
    assert {"cut", "classify", "collect", "draw", "report"} <= jobs.keys()
