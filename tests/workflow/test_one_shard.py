"""Where patches are in one shard, a job does two stages, and nothing else changes."""

import shutil
from pathlib import Path

import pytest
from harness import ROOT, copy_project, due, lasting, snakemake

from patchbench import doctor_study
from patchbench.io import read_table

OVERLAY = ROOT / "tests/data/cluster.yaml"
SEED = "results/scenes/p32s16/seed0"
DECIDED = [
    f"{SEED}/fixed/logistic/{name}.parquet"
    for name in ("predictions", "metrics", "roc", "reliability")
]
STUDY = "results/studies/cluster"
TARGETS = [*DECIDED, f"{STUDY}/metrics.parquet"]
DECIDES = {"fuse": 1, "pool": 1, "collect": 1}
CLASSIFIED = {"fit_and_classify": 1} | DECIDES
ENCODED = {"fit_and_encode": 1, "map_embeddings": 1, "fit_pooling": 1} | CLASSIFIED


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_project(tmp_path_factory.mktemp("one"))
    run(folder, shards=1)
    return folder


def run(folder: Path, *arguments: str, shards: int) -> str:
    return snakemake(folder, *TARGETS, *spread(shards), *arguments, overlay=OVERLAY)


def spread(shards: int) -> tuple[str, str]:
    return "--config", f"patches={{p32s16: {{shards: {shards}}}}}"


def jobs(folder: Path, *settings: str) -> dict[str, int]:
    return due(folder, *TARGETS, *spread(1), *settings, overlay=OVERLAY)


def test_stages_of_one_setting_are_one_job_but_networks_train_apart(tmp_path: Path) -> None:
    planned = due(copy_project(tmp_path), overlay=None)
    stages = {"cut_and_index": 1, "fit_and_encode": 4, "fit_encoder": 2, "encode": 2}
    stages |= {"fit_and_classify": 8, "fuse": 8}
    assert planned.items() >= stages.items()
    assert not planned.keys() & {"cut", "index", "fit_classifier", "classify"}
    assert sum(planned.values()) == doctor_study.jobs(doctor_study.load([])).total()


def test_decisions_are_those_of_more_shards(project: Path, tmp_path: Path) -> None:
    several = copy_project(tmp_path / "several")
    snakemake(several, *DECIDED, *spread(3), overlay=OVERLAY)
    for name in DECIDED:
        assert lasting(project / name) == lasting(several / name), name


def test_the_second_run_has_nothing_to_do(project: Path) -> None:
    assert "Nothing to be done" in run(project, shards=1)


def test_a_changed_setting_reruns_no_more_than_it_decides(project: Path) -> None:
    assert jobs(project, "fusions={mean_probability: {type: mean_logit}}") == DECIDES
    assert jobs(project, "classifiers={logistic: {type: nearest_neighbors}}") == CLASSIFIED
    assert jobs(project, "encoders={fixed: {dim: 8}}") == ENCODED
    assert jobs(project, "patches={p32s16: {stride_px: 8}}") == {"cut_and_index": 1} | ENCODED


def test_an_encoder_that_no_one_chose_is_not_asked_what_it_is(project: Path) -> None:
    assert jobs(project, "encoders={someday: {type: not_written_yet}}") == {"collect": 1}


@pytest.mark.parametrize(
    ("lost", "again"),
    [
        ("fixed/logistic", CLASSIFIED),
        ("fixed", ENCODED),
    ],
)
def test_what_is_lost_is_made_again_with_the_same_bytes(
    project: Path, tmp_path: Path, lost: str, again: dict[str, int]
) -> None:
    copy = Path(shutil.copytree(project, tmp_path / "copy", symlinks=True))
    shutil.rmtree(copy / SEED / lost)
    assert jobs(copy) == again
    run(copy, shards=1)
    for name in DECIDED:
        assert lasting(project / name) == lasting(copy / name), name


def test_every_stage_tells_of_its_own_cost(project: Path) -> None:
    costs = read_table(project / STUDY / "costs_of_runs.parquet", "costs")
    told = set(zip(costs["stage"], costs["shard"], strict=True))
    assert told >= {("cut", 0), ("encode", 0), ("classify", 0)}
    assert told >= {("index", -1), ("fit_encoder", -1), ("fit_classifier", -1)}
