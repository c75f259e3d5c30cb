"""The benchmark tests itself: on scenes whose right answer is known, it must find it.

In `scenes-texture` every patch of the object knows the class, so a patch method must succeed. In
`scenes-arrangement` no patch knows it: a rule that ignores place must stay at chance, and a rule
that learns from places together, or a CNN that sees the whole image, must not. `scenes` lies
between.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from harness import ROOT, copy_project, snakemake

from patchbench import plugins

PATCH = "results/{}/{}/seed0/{}/{}/metrics.parquet"
OBJECT = PATCH.format("scenes", "p24s24", "sift-fisher", "logistic")
TEXTURE = PATCH.format("scenes-texture", "p24s24", "sift-fisher", "logistic")
PLACES = PATCH.format("scenes-arrangement", "p28s28", "color_histogram", "pooled")
ARRANGEMENT = [
    PLACES,
    PATCH.format("scenes-arrangement", "p28s28", "color_histogram", "logistic"),
    PATCH.format("scenes-arrangement", "p28s28", "bagnet17-short", "own_head"),
]
CNN = "results/scenes-arrangement/whole-image/seed0/resnet18/metrics.parquet"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_project(tmp_path_factory.mktemp("known"))
    targets = (CNN, OBJECT, TEXTURE, *ARRANGEMENT)
    # the CNN takes longest, so it goes first
    snakemake(folder, *targets, "--prioritize", CNN, overlay=ROOT / "tests/data/known.yaml")
    return folder


def image_auc(path: Path) -> pd.DataFrame:
    metrics = pd.read_parquet(path)
    chosen = (metrics["metric"] == "auc_macro") & (metrics["level"] == "image")
    return metrics[chosen].set_index("fusion")


def test_an_object_in_clutter_is_found_by_its_patches(project: Path) -> None:
    assert image_auc(project / OBJECT)["value"].max() >= 0.95


def test_where_every_patch_knows_a_patch_method_succeeds(project: Path) -> None:
    auc = image_auc(project / TEXTURE)
    assert auc["value"].max() >= 0.97


@pytest.mark.parametrize("path", ARRANGEMENT)
def test_where_no_patch_knows_every_order_agnostic_rule_is_at_chance(
    project: Path, path: str
) -> None:
    auc = image_auc(project / path)
    for name in auc.index:
        if plugins.load("fusions", name).Fusion.order_agnostic:
            row = auc.loc[name]  # equal votes of all images have no interval
            at_chance = row["value"] == 0.5 if np.isnan(row["low"]) else row["low"] <= 0.5
            assert at_chance and not row["high"] < 0.5, name


def test_where_no_patch_knows_a_rule_that_joins_places_does(project: Path) -> None:
    assert image_auc(project / PLACES)["value"]["position_transformer"] >= 0.75


def test_where_no_patch_knows_the_whole_image_does(project: Path) -> None:
    assert image_auc(project / CNN)["value"].item() >= 0.95
