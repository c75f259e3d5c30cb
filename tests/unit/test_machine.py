"""What results are signed with: whether code was changed since its commit, and the machine."""

import os
import subprocess
from pathlib import Path

import pytest

from patchbench import machine


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("src/a.py", "config.yaml", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1", encoding="utf-8")
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    monkeypatch.setattr(machine, "_ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "dirty"),
    [(None, False), ("run.log", False), ("README.md", True), ("src/new.py", True)],
)
def test_changes_of_code_are_told(project: Path, name: str | None, dirty: bool) -> None:
    if name:
        (project / name).write_text("2", encoding="utf-8")
    assert machine.commit().endswith(machine.DIRTY) is dirty
    assert len(machine.commit().removesuffix(machine.DIRTY)) == 12


def test_without_a_repository_there_is_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_ROOT", tmp_path)
    assert machine.commit() == ""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_the_machine_has_the_cores_that_the_process_may_use() -> None:
    lent = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(lent)})
        assert machine.describe()["host"]["cores"] == 1
        assert ", 1 cores" in machine.host()
    finally:
        os.sched_setaffinity(0, lent)
    assert f", {len(lent)} cores" in machine.host()
