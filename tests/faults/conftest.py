"""One undisturbed run that every disturbed one is held against, and the tally at the end."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import copy_project
from jumping import clock as clock
from small_study import PAGE, TALLY, TARGET, run

from patchbench.machine import COMMAND_VARIABLE


@pytest.fixture(scope="session", autouse=True)
def _called_alike() -> Iterator[None]:
    """`run.json` tells how a run was started, and each is started in its own way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(COMMAND_VARIABLE, "snakemake")
        yield


@pytest.fixture(scope="session")
def to_the_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole study, figures and page included."""
    project = copy_project(tmp_path_factory.mktemp("undisturbed") / "project")
    run(project, target=PAGE)
    return project


@pytest.fixture(scope="session")
def undisturbed(to_the_page: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study as far as its tables, which takes half as long."""
    project = tmp_path_factory.mktemp("to-tables") / "project"
    shutil.copytree(to_the_page, project, symlinks=True)
    study = (project / TARGET).parent
    shutil.rmtree(study / "figures")
    for path in [*study.glob("report.*"), study / "costs.parquet"]:  # made with the page
        path.unlink()
    return project


@pytest.fixture
def finished(undisturbed: Path, tmp_path: Path) -> Path:
    """A copy of it, Snakemake's memory and the times of files included."""
    return Path(shutil.copytree(undisturbed, tmp_path / "project", symlinks=True))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    survived, lost = (
        sum("misbehaving" in report.keywords for report in terminalreporter.getreports(outcome))
        for outcome in ("passed", "failed")
    )
    if survived + lost:
        TALLY["a server that misbehaves"] = [survived + lost, survived]
    write = terminalreporter.write_line
    write("| fault | tried | survived | lost |")
    write("|---|---|---|---|")
    for fault, (n_tried, n_survived) in TALLY.items():
        write(f"| {fault} | {n_tried} | {n_survived} | {n_tried - n_survived} |")
