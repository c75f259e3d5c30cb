"""The stage writes maps of the right images by the right networks, and measures them."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from patchbench.errors import UserError
from patchbench.explain import gradcam, random_map
from patchbench.io import read_array, read_table, write_array, write_state, write_table
from patchbench.networks.explained import Explained, open_explained
from patchbench.networks.whole_image import WholeImageCnn
from patchbench.stages import explain
from patchbench.stages.explain import _layer

SPEC = {"epochs": 1, "batch_size": 8, "precision": "float32"}
N_IMAGES = 30


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images with masks, a CNN, and two networks of folds."""
    folder = tmp_path_factory.mktemp("dataset")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (N_IMAGES, 32, 32, 3), dtype=np.uint8)
    masks = np.zeros((N_IMAGES, 32, 32), bool)
    masks[:, 8:24, 8:24] = True
    splits = np.array(["train", "train", "train", "val", "test"] * 6)
    labels = np.arange(N_IMAGES) // 5 % 3
    write_array(folder / "images.npy", images)
    write_array(folder / "masks.npy", masks)
    table = pd.DataFrame({"image_id": [f"i{i:02d}" for i in range(N_IMAGES)], "label": labels})
    table = table.assign(class_name=labels.astype(str), split=splits, group=table["image_id"])
    table = table.assign(source_height_px=32, source_width_px=32)
    write_table(folder / "images.parquet", table, "images")
    folds = np.where(splits == "train", np.arange(N_IMAGES) % 2, -1)
    frame = pd.DataFrame({"image_row": np.arange(N_IMAGES), "fold": folds})
    write_table(folder / "folds.parquet", frame, "folds")
    train, val = (np.flatnonzero(splits == split) for split in ("train", "val"))
    for seed, name in enumerate(("whole", "fold0", "fold1")):
        cnn = WholeImageCnn(**SPEC, seed=seed)
        cnn.fit(images, train, labels[train], val, labels[val], 3)
        write_state(folder / f"{name}.npz", cnn.state())
    return folder


LAYER = {"gradcam": {"layer": {"resnet18": "layer2"}}}


def run_stage(dataset: Path, out: Path, *options: str, name: str = "gradcam") -> Namespace:
    parser = ArgumentParser()
    explain.add_arguments(parser)
    known = ["--explain", name, "--model-kind", "cnn", "--model", "resnet18"]
    files = ["--state", str(dataset / "whole.npz"), "--images", str(dataset / "images.npy")]
    args = parser.parse_args([*known, *files, "--out", str(out), *options])
    common = {
        "spec": LAYER.get(name, {}),
        "model_spec": SPEC,
        "seed": 0,
        "threads": 1,
        "device": "cpu",
        "code": "",
    }
    args = Namespace(**vars(args) | common)
    args.work = explain.run(args)
    return args


def opened(dataset: Path, name: str) -> Explained:
    with np.load(dataset / f"{name}.npz") as state:
        return open_explained("cnn", "resnet18", SPEC, dict(state))


@pytest.fixture(scope="module")
def with_folds(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("maps")
    states = [str(dataset / f"fold{fold}.npz") for fold in range(2)]
    folds = ["--folds", str(dataset / "folds.parquet"), "--fold-states", *states]
    args = run_stage(dataset, out, *folds, "--masks", str(dataset / "masks.npy"))
    assert (args.work.n_items, args.work.item) == (N_IMAGES, "image")
    return out


def test_train_images_are_explained_by_a_network_that_never_saw_them(dataset, with_folds) -> None:
    table = read_table(with_folds / "explained.parquet", "explained")
    images = read_array(dataset / "images.npy")
    maps = {name: read_array(with_folds / f"{name}.npy") for name in ("true", "predicted")}
    assert maps["true"].shape == maps["predicted"].shape == (N_IMAGES, 8, 8)
    assert maps["true"].dtype == np.float32
    assert sorted(table["image_row"]) == list(range(N_IMAGES))
    assert set(table.loc[table["split"] != "train", "fold"]) == {-1}
    train = table[table["split"] == "train"]
    assert (train["fold"] == train["image_row"] % 2).all()
    for fold, name in ((-1, "whole"), (0, "fold0"), (1, "fold1")):
        rows = np.flatnonzero(table["fold"] == fold)
        part, model = table.iloc[rows], opened(dataset, name)
        pixels = images[part["image_row"]]
        assert (model.logits(pixels).argmax(axis=1) == part["predicted"]).all()
        for kind, column in (("true", "label"), ("predicted", "predicted")):
            expected = model.maps(gradcam.Explain(), "layer2", pixels, part[column].to_numpy())
            np.testing.assert_allclose(maps[kind][rows], expected, rtol=1e-3, atol=1e-6)


def test_faithfulness_has_every_measure_with_its_interval(dataset, with_folds) -> None:
    table = read_table(with_folds / "faithfulness.parquet", "faithfulness")
    measures = table.set_index("measure")
    assert list(measures.index) == [
        "deletion_auc",
        "insertion_auc",
        "zero_maps",
        "pointing_game",
        "energy_in_mask",
        "mask_share",
    ]
    assert set(table["explain"]) == {"gradcam"} and set(table["target"]) == {"predicted"}
    assert set(table["n_images"]) == {6}
    assert table["value"].between(0, 1).all()
    known = table[table["low"].notna()]
    assert set(table["measure"]) - set(known["measure"]) == {"mask_share"}  # the same of all images
    assert known["value"].between(known["low"], known["high"]).all()
    assert measures.loc["mask_share", "value"] == pytest.approx(0.25)


def test_the_same_seed_writes_the_same_bytes(dataset, tmp_path) -> None:
    options = ("--limit", "3", "--faithfulness-images", "2")
    for name in ("random_map", "gradcam"):
        for run in ("one", "two"):
            run_stage(dataset, tmp_path / run / name, *options, name=name)
        for file in ("true.npy", "predicted.npy", "explained.parquet", "faithfulness.parquet"):
            one, two = (tmp_path / run / name / file for run in ("one", "two"))
            assert one.read_bytes() == two.read_bytes()


def test_a_limit_draws_images_of_each_split_and_masks_may_be_missing(dataset, tmp_path) -> None:
    run_stage(dataset, tmp_path, "--limit", "2", "--splits", "val", "test")
    table = read_table(tmp_path / "explained.parquet", "explained")
    assert list(table["split"]) == ["val", "val", "test", "test"]
    assert set(table["fold"]) == {-1}
    measured = read_table(tmp_path / "faithfulness.parquet", "faithfulness")
    assert list(measured["measure"]) == ["deletion_auc", "insertion_auc", "zero_maps"]


def test_without_test_images_faithfulness_is_empty(dataset, tmp_path) -> None:
    run_stage(dataset, tmp_path, "--limit", "2", "--splits", "val")
    assert read_table(tmp_path / "faithfulness.parquet", "faithfulness").empty


def test_a_layer_may_be_named_for_all_networks_or_for_each() -> None:
    assert _layer(gradcam.Explain(layer="layer3"), "vgg") == "layer3"
    for asked in (None, {"resnet18": "layer3"}):
        assert _layer(gradcam.Explain(layer=asked), "vgg") is None
    assert _layer(random_map.Explain(), "vgg") is None


def test_folds_and_their_networks_belong_together(dataset, tmp_path) -> None:
    folds, state = ["--folds", str(dataset / "folds.parquet")], str(dataset / "fold0.npz")
    with pytest.raises(UserError, match="images of fold 1 but 1 fold states are given"):
        run_stage(dataset, tmp_path, *folds, "--fold-states", state)
    with pytest.raises(UserError, match="without --folds; give both or neither"):
        run_stage(dataset, tmp_path, "--fold-states", state)
    with pytest.raises(UserError, match="--limit is 0"):
        run_stage(dataset, tmp_path, "--limit", "0")
