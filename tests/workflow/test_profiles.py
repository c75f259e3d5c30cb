"""Every profile that is shipped can plan a study, its groups of jobs included."""

from pathlib import Path

import pytest
from harness import ROOT, copy_project, due


@pytest.mark.parametrize("profile", ["profiles/default", "workflow/profiles/slurm"])
def test_a_profile_plans_the_default_study(tmp_path: Path, profile: str) -> None:
    project = copy_project(tmp_path)
    jobs = due(project, "--workflow-profile", str(ROOT / profile), overlay=None)
    assert {"cut", "classify", "collect", "draw", "report"} <= jobs.keys()
