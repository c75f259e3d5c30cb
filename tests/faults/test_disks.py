"""Disks that are full, closed, or elsewhere; small ones in memory are mounted for it."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import copy_project
from small_study import leftovers, refused, results, run, tried

SIZES = ("900k", "1600k", "2400k", "3600k", "4400k")  # all results take 5 MB


def mount(*arguments: str) -> None:
    """Call mount; where that is not allowed, these tests are skipped."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """An empty disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", f"size={SIZES[0]}", "tmpfs", str(folder))
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_named_and_a_larger_one_gives_the_same_bytes(
    undisturbed: Path, disk: Path, tmp_path: Path
) -> None:
    expected, project = results(undisturbed), copy_project(tmp_path / "project")
    (project / "results").symlink_to(disk)
    for size in SIZES:
        mount("-o", f"remount,size={size}", str(disk))
        with tried("results on a full disk"):
            assert f"its disk, {disk} of " in refused(project)
            assert results(project).items() <= expected.items()
            assert not leftovers(project)
    mount("-o", "remount,size=64m", str(disk))
    run(project)
    assert results(project) == expected


def test_results_may_lie_on_another_disk(undisturbed: Path, disk: Path, tmp_path: Path) -> None:
    mount("-o", "remount,size=64m", str(disk))
    project = copy_project(tmp_path / "project")
    (project / "results").symlink_to(disk)
    with tried("results linked to another file system"):
        run(project)
        assert results(project) == results(undisturbed)


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    """A folder that may not be written into."""
    mount("--bind", str(folder), str(folder))
    try:
        mount("-o", "remount,ro,bind", str(folder))
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_closed_folder_is_refused_before_any_work(undisturbed: Path, finished: Path) -> None:
    shutil.rmtree(finished / "results/studies")
    with closed(finished / "results"), tried("read-only results folder"):
        told = refused(finished)
        assert "results cannot be written to: it is mounted read-only" in told
        assert "Select jobs to execute" not in told
    run(finished)
    assert results(finished) == results(undisturbed)


def test_a_closed_folder_is_refused_before_anything_is_downloaded(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    (project / "resources").mkdir()
    with closed(project / "resources"), tried("read-only folder for downloads"):
        told = refused(project, "--config", "benchmark={datasets: [flowers5]}")
        assert "resources/flowers5 cannot be written to: it is mounted read-only" in told
        assert "Select jobs to execute" not in told
