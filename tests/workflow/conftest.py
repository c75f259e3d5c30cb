"""One finished run of the whole workflow, for all tests that look at it."""

from pathlib import Path

import pytest
from harness import copy_project, snakemake


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the tiny study run to the end; edits are to be taken back."""
    folder = copy_project(tmp_path_factory.mktemp("patchbench") / "it's a clone")
    snakemake(folder)
    return folder
