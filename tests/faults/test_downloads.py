"""A run killed in the middle of a download."""

import io
import threading
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
from harness import ROOT, copy_project, snakemake
from small_study import kill_all, leftovers, results, start, tried, unlock

import faults
from unit._miniatures import RNG, eurosat
from unit._server import Server, sending, serving

EUROSAT = ROOT / "tests/data/eurosat.yaml"
IMAGES = "results/eurosat/images.npy"
SENT = 2 << 20  # bytes before the server waits
server = pytest.fixture(serving)


def archive() -> bytes:
    """EuroSAT's miniature, and beside its pictures enough that it does not arrive at once."""
    buffer = io.BytesIO(eurosat()["EuroSAT.zip"])
    with zipfile.ZipFile(buffer, "a") as packed:
        packed.writestr("notes.bin", RNG.bytes(3 << 20))
    return buffer.getvalue()


def project_that_asks(folder: Path, url: str, content: bytes) -> Path:
    """A copy of the project that knows the data set by this address."""
    project = copy_project(folder)
    module = project / "src/patchbench/datasets/eurosat.py"
    here = f'ARCHIVE = Archive("{url}", "{sha256(content).hexdigest()}")\n'
    module.write_text(f"{module.read_text()}\n\n{here}")
    return project


def test_a_killed_download_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    content, told = archive(), threading.Event()
    project = project_that_asks(tmp_path / "project", server.url("/EuroSAT.zip"), content)
    server.answers["/EuroSAT.zip"] = sending(content, only=SENT, then=told.wait)
    part = project / "resources/eurosat/.EuroSAT.zip.part"
    with tried("kill -9 in the middle of a download"):
        process = start(project, target=IMAGES, overlay=EUROSAT)
        try:
            faults.until(
                lambda: part.is_file() and part.stat().st_size == SENT, "some arrives", process
            )
            kill_all(project, process)
        finally:
            told.set()
        server.answers["/EuroSAT.zip"] = sending(content)
        unlock(project)
        snakemake(project, IMAGES, overlay=EUROSAT)
        assert server.asked == [("/EuroSAT.zip", None), ("/EuroSAT.zip", f"bytes={SENT}-")]
        again = project_that_asks(tmp_path / "again", server.url("/EuroSAT.zip"), content)
        snakemake(again, IMAGES, overlay=EUROSAT)
        assert results(project) == results(again)
        assert not leftovers(project)
        assert [path.name for path in (project / "resources/eurosat").glob(".*")] == []
