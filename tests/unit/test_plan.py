"""The plan names every run once, and controls only where they mean something."""

from pathlib import Path
from typing import Any

import yaml

from patchbench import plan

CONFIG: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())


def test_every_combination_is_planned_once() -> None:
    runs = plan.runs(CONFIG)
    assert len(runs) == len(set(runs))
    lists = CONFIG["benchmark"]
    assert {r.encoder for r in runs} == set(lists["encoders"]) | set(lists["cnns"])


def test_a_classifier_that_ignores_embeddings_runs_once() -> None:
    runs = [r for r in plan.runs(CONFIG) if r.classifier == "majority_class"]
    assert [r.encoder for r in runs] == CONFIG["benchmark"]["encoders"][:1]


def test_folders_tell_the_lineage() -> None:
    run = plan.Run("scenes", "p32s16", "sift", "logistic", 3)
    assert run.folder == "results/scenes/p32s16/seed3/sift/logistic"
    assert run.encoder_folder == "results/scenes/p32s16/seed3/sift"
    cnn = plan.Run("scenes", "whole-image", "resnet18", "own-head", 0)
    assert cnn.folder == cnn.encoder_folder == "results/scenes/whole-image/seed0/resnet18"


def test_costs_are_listed_once() -> None:
    files = plan.cost_files(CONFIG)
    assert len(files) == len(set(files))
    assert sum("pixels" in path for path in files) == CONFIG["patches"]["p32s16"]["shards"]
