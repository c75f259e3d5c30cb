"""The rules of whole-image CNNs: weights are fetched first, and a fold can be left out."""

from pathlib import Path

import pandas as pd
import pytest
from harness import copy_project, due, snakemake

CNN = "results/scenes/whole-image/seed0/resnet18"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which nothing was run."""
    return copy_project(tmp_path_factory.mktemp("patchbench") / "it's a clone")


def test_published_weights_are_fetched_before_the_training(project: Path) -> None:
    target = f"{CNN}/cnn.npz"
    assert "fetch_weights" not in due(project, target)
    jobs = due(project, target, "--config", "cnns={resnet18: {weights: imagenet, freeze: true}}")
    assert (jobs["fetch_weights"], jobs["cnn"]) == (1, 1)


def test_one_fold_is_left_out_by_its_name_and_the_second_time_there_is_nothing_to_do(
    project: Path,
) -> None:
    target = f"{CNN}/folds/1-of-3/cnn.npz"
    snakemake(project, target)
    folder = project / Path(target).parent
    assert {p.name for p in folder.iterdir()} == {
        "cnn.npz",
        "cnn.log",
        "cnn.cost.json",
        "history.parquet",
        "folds.parquet",
    }
    folds = pd.read_parquet(folder / "folds.parquet")
    images = pd.read_parquet(project / "results/scenes/images.parquet")
    assert set(folds["fold"][images["split"] == "train"]) == {0, 1, 2}
    assert set(folds["fold"][images["split"] != "train"]) == {-1}
    assert due(project, target) == {}
    assert due(project, f"{CNN}/cnn.npz") == {"cnn": 1}
