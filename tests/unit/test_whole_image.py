"""The whole-image CNN: started from weights, frozen, without a fold, and again after a kill."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from patchbench.errors import UserError
from patchbench.io import read_state, read_table, write_array, write_table
from patchbench.networks import image_classification
from patchbench.networks.published import bagnet as published_bagnet
from patchbench.networks.published import cnn as published_cnn
from patchbench.networks.settings import TORCHVISION_TYPES
from patchbench.networks.torchvision_models import build, published
from patchbench.networks.training import _let_learn
from patchbench.networks.whole_image import WholeImageCnn, open_cnn
from patchbench.stages import cnn as stage

SETTINGS = {"epochs": 2, "batch_size": 4, "precision": "float32"}
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
LABELS = np.arange(16) % 2
TRAIN, VAL = np.arange(12), np.arange(12, 16)
DATA = (IMAGES, TRAIN, LABELS[TRAIN], VAL, LABELS[VAL], 2)


def open_(**settings) -> WholeImageCnn:
    return open_cnn("resnet18", SETTINGS | settings, seed=0)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file laid out as torchvision's, for 5 classes."""
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.manual_seed(7)
    torch.save(build("resnet18", 5).state_dict(), path)
    return path


@pytest.mark.parametrize("kind", TORCHVISION_TYPES)
def test_published_weights_are_those_that_torchvision_names(kind: str) -> None:
    assert WholeImageCnn(type=kind, weights="imagenet").published() == published(kind)
    assert published_cnn(kind).checksum.startswith("sha256-begins:")


def test_a_bagnet_is_a_whole_image_network_too(tmp_path: Path) -> None:
    small = {"width": 2, "layers": [1, 1, 1, 1]}
    cnn = open_cnn("mine", {"type": "bagnet9", "crop": 0.5} | small | SETTINGS, seed=0)
    cnn.fit(*DATA)
    again = open_cnn("mine", {"type": "bagnet9"} | small, seed=0)
    again.restore(cnn.state())
    logits = cnn.predict_logits(IMAGES, VAL)
    np.testing.assert_array_equal(again.predict_logits(IMAGES, VAL), logits)
    places = cnn._network.patch_logits(cnn._scale.tensor(IMAGES[VAL], "cpu"))
    np.testing.assert_allclose(places.mean(dim=(1, 2)).detach().numpy(), logits, atol=1e-5)


def test_a_bagnet_has_the_authors_weights_and_asks_for_their_size() -> None:
    published = WholeImageCnn(type="bagnet33", weights="imagenet").published()
    assert published == published_bagnet(33)
    with pytest.raises(UserError, match=r"width is 16 and layers .* published networks have 64"):
        open_cnn("bagnet33", {"weights": "imagenet", "width": 16}, seed=0)


def test_settings_of_bagnets_are_refused_for_others() -> None:
    with pytest.raises(UserError, match="settings of BagNets, and type is 'resnet18'; leave them"):
        open_(width=16)


def test_a_crop_below_the_receptive_field_is_refused() -> None:
    cnn = open_cnn("bagnet17", {"crop": 0.5, "width": 2, "layers": [1, 1, 1, 1]}, seed=0)
    with pytest.raises(UserError, match=r"crop 0.5 of 32 x 32 px.*raise crop or the image size"):
        cnn.fit(*DATA)


def test_freezing_random_features_is_refused_with_the_way_out() -> None:
    with pytest.raises(UserError, match=r"cnns\.resnet18: freeze is true.*set weights to 'imagen"):
        open_(freeze=True)


def test_weights_that_were_not_handed_over_are_an_error(weights: Path) -> None:
    with pytest.raises(UserError, match="no file of weights was handed over"):
        open_(weights=str(weights)).fit(*DATA)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "odd.pth")
    with pytest.raises(UserError, match=r"odd\.pth does not fit the network: it lacks conv1"):
        open_(weights="odd.pth").fit(*DATA, weights=tmp_path / "odd.pth")


def test_frozen_features_and_their_statistics_stay_to_the_byte_and_the_head_learns(
    weights: Path,
) -> None:
    cnn = open_(weights=str(weights), freeze=True, epochs=2)
    cnn.fit(*DATA, weights=weights)
    before, after = torch.load(weights, weights_only=True), cnn.state()
    for name, value in before.items():
        if not name.startswith("fc."):
            np.testing.assert_array_equal(after[f"network.{name}"], value.numpy(), err_msg=name)
    longer = open_(weights=str(weights), freeze=True, epochs=3)
    longer.fit(*DATA, weights=weights)
    assert after["network.fc.weight"].shape == (2, 512)
    assert not np.array_equal(after["network.fc.weight"], longer.state()["network.fc.weight"])


def test_the_frozen_part_of_a_vgg_drops_nothing_out() -> None:
    with torch.device("meta"):
        network = build("vgg16_bn", 3)
    for name, parameter in network.named_parameters():
        parameter.requires_grad = name.startswith("classifier.6.")
    _let_learn(network)
    learning = [name for name, part in network.named_modules() if part.training]
    assert learning == ["", "classifier", "classifier.6"]


def test_fine_tuning_starts_from_the_weights_and_changes_them(weights: Path) -> None:
    slow, fast = (open_(weights=str(weights), epochs=1, lr=lr) for lr in (1e-9, 1e-2))
    slow.fit(*DATA, weights=weights)
    fast.fit(*DATA, weights=weights)
    start = torch.load(weights, weights_only=True)["conv1.weight"].numpy()
    np.testing.assert_allclose(slow.state()["network.conv1.weight"], start, atol=1e-6)
    assert np.abs(fast.state()["network.conv1.weight"] - start).max() > 1e-3


def test_published_weights_are_fed_the_published_scale(weights: Path) -> None:
    started, scratch = open_(weights=str(weights), epochs=1), open_(epochs=1)
    started.fit(*DATA, weights=weights)
    scratch.fit(*DATA)
    np.testing.assert_allclose(started.state()["scale.mean"] / 255, [0.485, 0.456, 0.406], 1e-5)
    np.testing.assert_allclose(
        scratch.state()["scale.mean"], IMAGES[TRAIN].mean(axis=(0, 1, 2)), rtol=1e-5
    )
    again = open_(weights=str(weights))
    again.restore(started.state())
    logits = started.predict_logits(IMAGES, VAL)
    np.testing.assert_array_equal(again.predict_logits(IMAGES, VAL), logits)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images.npy and its table: 12 train images in pairs, 2 val, 2 test."""
    folder = tmp_path_factory.mktemp("dataset")
    write_array(folder / "images.npy", IMAGES)
    table = pd.DataFrame(
        {
            "image_id": [f"image{i}" for i in range(16)],
            "class_name": np.array(["cat", "dog"])[LABELS],
            "label": LABELS,
            "split": ["train"] * 12 + ["val"] * 2 + ["test"] * 2,
            "group": [f"group{i // 4}-{i % 2}" for i in range(16)],
            "source_height_px": 32,
            "source_width_px": 32,
        }
    )
    write_table(folder / "images.parquet", table, "images")
    return folder


def train(dataset: Path, out: Path, settings: dict | None = None, *options: str) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser()
    stage.add_arguments(parser)
    given = ["--cnn", "resnet18", "--images", str(dataset / "images.npy"), "--out", str(out)]
    args = parser.parse_args([*given, *options])
    args.spec, args.code = SETTINGS | (settings or {}), "abc"
    args.seed, args.threads, args.device = 0, 1, "cpu"
    stage.run(args)


class KilledError(Exception):
    """Stands for whatever ends a job."""


def test_a_killed_training_goes_on_and_ends_with_the_same_bytes(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    settings = {"epochs": 2, "crop": 0.75, "jitter": 0.2}
    train(dataset, tmp_path / "whole/cnn.npz", settings)
    with monkeypatch.context() as patched:
        asked, whole = iter(range(2)), image_classification.predict_logits

        def until_the_second(*arguments):
            if next(asked) == 1:
                raise KilledError
            return whole(*arguments)

        patched.setattr(image_classification, "predict_logits", until_the_second)
        with pytest.raises(KilledError):
            train(dataset, tmp_path / "killed/cnn.npz", settings)
    assert [p.name for p in (tmp_path / "killed").iterdir()] == ["cnn.checkpoint.npz"]
    train(dataset, tmp_path / "killed/cnn.npz", settings)
    assert "goes on after epoch 1" in capsys.readouterr().err
    for name in ("cnn.npz", "history.parquet"):
        assert (tmp_path / f"killed/{name}").read_bytes() == (
            tmp_path / f"whole/{name}"
        ).read_bytes()
    for folder in ("whole", "killed"):
        assert {p.name for p in (tmp_path / folder).iterdir()} == {"cnn.npz", "history.parquet"}


def test_a_fold_is_left_out_and_every_image_says_its_own(dataset: Path, tmp_path: Path) -> None:
    folds = {}
    for fold in (0, 2):
        out = tmp_path / str(fold) / "cnn.npz"
        train(dataset, out, {"epochs": 1}, "--fold", str(fold), "--folds", "3")
        folds[fold] = read_table(out.with_name("folds.parquet"), "folds")
    assert folds[0].equals(folds[2])
    assert folds[0]["image_row"].tolist() == list(range(16))
    mine = folds[0]["fold"].to_numpy()
    assert (mine[12:] == -1).all()
    for label in (0, 1):
        assert sorted(mine[:12][LABELS[:12] == label].tolist()) == [0, 0, 1, 1, 2, 2]
    for fold in folds:
        mean = read_state(tmp_path / str(fold) / "cnn.npz")["scale.mean"]
        seen = IMAGES[:12][mine[:12] != fold]
        np.testing.assert_allclose(mean, seen.mean(axis=(0, 1, 2)), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fold", "3", "--folds", "3"], "--fold is 3 and --folds is 3; .*from 0"),
        (["--fold", "0"], "--fold is 0 and --folds is None; give both"),
        (["--fold", "0", "--folds", "7"], "7 folds were asked for.*groups of images to deal .6."),
    ],
)
def test_folds_that_cannot_be_are_one_sentence(
    dataset: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        train(dataset, tmp_path / "cnn.npz", None, *options)
