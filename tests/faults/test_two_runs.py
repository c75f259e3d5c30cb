"""Two runs in one folder."""

from pathlib import Path

from harness import copy_project
from small_study import refused, results, start, tried


def test_the_second_is_refused_and_the_first_not_disturbed(
    undisturbed: Path, tmp_path: Path
) -> None:
    project = copy_project(tmp_path / "project")
    with tried("second run in a folder"):
        first = start(project)
        assert "cannot be locked" in refused(project)
        assert first.wait() == 0
        assert results(project) == results(undisturbed)
