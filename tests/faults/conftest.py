"""One undisturbed run that every disturbed one is held against, and the tally at the end."""

import shutil
from pathlib import Path

import pytest
from harness import copy_project
from small_study import TALLY, run


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = copy_project(tmp_path_factory.mktemp("undisturbed") / "project")
    run(project)
    return project


@pytest.fixture
def finished(undisturbed: Path, tmp_path: Path) -> Path:
    """A copy of it, Snakemake's memory and the times of files included."""
    return Path(shutil.copytree(undisturbed, tmp_path / "project", symlinks=True))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    write = terminalreporter.write_line
    write("| fault | tried | survived | lost |")
    write("|---|---|---|---|")
    for fault, (n_tried, n_survived) in TALLY.items():
        write(f"| {fault} | {n_tried} | {n_survived} | {n_tried - n_survived} |")
