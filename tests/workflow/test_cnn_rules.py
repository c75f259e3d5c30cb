"""The rules of whole-image CNNs: published weights are fetched before the training."""

from pathlib import Path

import pytest
from harness import copy_project, due

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
