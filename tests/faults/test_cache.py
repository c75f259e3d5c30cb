"""Projects that share a cache: what one has prepared and fitted, another takes."""

from hashlib import sha256
from pathlib import Path

import pytest
from harness import ROOT, copy_project, due, snakemake
from small_study import ENCODER, IMAGES, OVERLAY, results

from unit._miniatures import eurosat

EUROSAT = ROOT / "tests/data/eurosat.yaml"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(folder))
    return folder


def made(project: Path, *arguments: str) -> list[str]:
    """Which of the two files a run made, rather than take it from the cache."""
    told = snakemake(project, ENCODER, "--cache", *arguments, overlay=OVERLAY)
    return [path for path in (IMAGES, ENCODER) if f"Moving output file {path} to cache" in told]


def test_a_second_project_takes_what_a_first_has_made(
    undisturbed: Path, cache: Path, tmp_path: Path
) -> None:
    expected = results(undisturbed)
    first, second = (copy_project(tmp_path / name) for name in ("first", "second"))
    assert made(first) == [IMAGES, ENCODER]
    assert made(second) == []
    for project in (first, second):
        assert (project / IMAGES).resolve().parent == cache
        assert (project / ENCODER).resolve().parent == cache
        assert results(project).items() <= expected.items()
        assert not due(project, ENCODER, overlay=OVERLAY)  # also without the cache

    stage = second / "src/patchbench/stages/fit_encoder.py"
    stage.write_text(stage.read_text() + "\n_EDITED = True\n")
    assert made(second) == [ENCODER]
    stage = second / "src/patchbench/stages/prepare.py"
    stage.write_text(stage.read_text() + "\n_EDITED = True\n")
    assert made(second) == [IMAGES, ENCODER]
    assert made(first, "--config", "encoders={fixed: {dim: 8}}") == [ENCODER]
    assert made(first) == []  # both settings are there now
    assert results(first).items() <= expected.items()


@pytest.mark.parametrize("shards", [1, 2])  # in one, the job that fits encodes too
def test_networks_and_encoders_that_learn_are_shared_too(
    cache: Path, tmp_path: Path, shards: int
) -> None:
    network = "results/scenes/whole-image/seed0/small/cnn.npz"
    history = "results/scenes/whole-image/seed0/small/history.parquet"  # beside the network
    learned = "results/scenes/p32s16/seed0/words/encoder.npz"
    sift = "encoders={words: {type: sift, step_px: 8, aggregate: fisher, n_words: 4}}"
    patches = f"patches={{p32s16: {{shards: {shards}}}}}"
    asked = ("--config", sift, patches, "benchmark={encoders: [fixed, words]}")
    projects = [copy_project(tmp_path / name) for name in ("first", "second")]
    told = [
        snakemake(project, network, learned, "--cache", *asked, overlay=OVERLAY)
        for project in projects
    ]
    for path in (network, history, learned):
        moved = [f"Moving output file {path} to cache" in words for words in told]
        assert moved == [True, False], path
        first, second = (project / path for project in projects)
        assert first.resolve() == second.resolve() != second
        assert first.resolve().parent == cache


def test_a_download_is_shared_too(served: tuple[Path, str], cache: Path, tmp_path: Path) -> None:
    folder, address = served
    ((name, content),) = eurosat().items()
    (folder / name).write_bytes(content)
    projects = [copy_project(tmp_path / name) for name in ("first", "second")]
    for project in projects:
        module = project / "src/patchbench/datasets/eurosat.py"
        here = f'ARCHIVE = Archive("{address}/{name}", "{sha256(content).hexdigest()}")\n'
        module.write_text(f"{module.read_text()}\n\n{here}")
        snakemake(project, "results/eurosat/images.npy", "--cache", overlay=EUROSAT)
        (folder / name).unlink(missing_ok=True)  # the second project finds nothing there
    first, second = (project / "results/eurosat/images.npy" for project in projects)
    assert first.resolve() == second.resolve() != second
