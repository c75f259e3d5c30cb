"""What an encoder gets to learn from: labels only where it declares that it uses them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from patchbench import grid, io, plugins
from patchbench.__main__ import main
from patchbench.patchset import training_data

PATCH_SIZE_PX, STRIDE_PX = 20, 16
SPLITS = np.array((["train"] * 5 + ["val"] * 2 + ["test"]) * 2)
LABELS = np.arange(len(SPLITS)) % 3
# with these no image keeps its label, and every split still has all classes
OTHER_LABELS = (LABELS + 1 + (np.arange(len(SPLITS)) % 5 == 0)) % 3

TRAINED = {"epochs": 1, "batch_size": 4, "precision": "float32", "width": 4}
# settings that make an encoder quick; all others are tried as they are
SMALL: dict[str, dict[str, Any]] = {
    "bagnet": TRAINED | {"layers": [1, 1, 1, 1]},
    "tile2vec": TRAINED | {"dim": 8, "n_triplets": 8},
    "raw_pixels": {"dim": 4, "n_fit_patches": 16},
    "pretrained": {"weights": "scratch", "backbone": "shufflenet_v2_x0_5"},
}
# plain SIFT learns nothing from patches; its code books do
CODEBOOKS: dict[str, dict[str, Any]] = {
    f"sift-{kind}": {"type": "sift", "aggregate": kind, "step_px": 4, "n_words": 4}
    for kind in ("bovw", "vlad", "fisher")
}
ENTRIES = {name: SMALL.get(name, {}) for name in plugins.available("encoders")} | CODEBOOKS


def is_supervised(entry: str) -> bool:
    module = plugins.load("encoders", ENTRIES[entry].get("type", entry))
    return bool(module.Encoder.supervised)


SUPERVISED = [entry for entry in ENTRIES if is_supervised(entry)]
UNSUPERVISED = [entry for entry in ENTRIES if not is_supervised(entry)]


def write_dataset(folder: Path, labels: np.ndarray) -> dict[str, Path]:
    """Sixteen images and their patches, the same whatever the labels; paths by option."""
    n_images = len(SPLITS)
    pixels = np.random.default_rng(0).integers(0, 256, (n_images, 36, 36, 3), dtype=np.uint8)
    starts = grid.starts(36, PATCH_SIZE_PX, STRIDE_PX, "drop")
    names = [f"image-{row:02d}" for row in range(n_images)]
    images = pd.DataFrame({"image_id": names, "label": labels, "split": SPLITS, "group": names})
    images["class_name"] = [f"class {label}" for label in labels]
    images = images.assign(source_height_px=36, source_width_px=36)
    rows = [
        {"image_row": image, "row": row, "col": col, "y_px": int(y), "x_px": int(x)}
        for image in range(n_images)
        for row, y in enumerate(starts)
        for col, x in enumerate(starts)
    ]
    index = pd.DataFrame(rows).assign(height_px=PATCH_SIZE_PX, width_px=PATCH_SIZE_PX, shard=0)
    image_row = index["image_row"].to_numpy()
    index = index.assign(label=labels[image_row], split=SPLITS[image_row], offset=range(len(rows)))
    index["image_id"] = [names[image] for image in image_row]
    index["patch_id"] = [f"{names[r['image_row']]}/{r['row']:03d}-{r['col']:03d}" for r in rows]
    index["foreground"] = (labels[image_row] + 1) / 3  # a mask that tells the class
    cut = [grid.cut(image, starts, starts, PATCH_SIZE_PX) for image in pixels]
    paths = {"images": folder / "images.npy", "index": folder / "index.parquet"}
    paths["pixels"] = folder / "pixels" / "00000-of-00001.npy"
    io.write_array(paths["images"], pixels)
    io.write_table(folder / "images.parquet", images, "images")
    io.write_table(paths["index"], index, "patches")
    io.write_array(paths["pixels"], np.concatenate(cut))
    return paths


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Path]]:
    """The same images and splits twice, with other labels the second time."""
    folders = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
    return [
        write_dataset(folder, labels)
        for folder, labels in zip(folders, (LABELS, OTHER_LABELS), strict=True)
    ]


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Running a stage sets these; they are put back after the test."""
    for library in ("OMP", "OPENBLAS", "MKL"):
        monkeypatch.setenv(f"{library}_NUM_THREADS", "1")


def opened(paths: dict[str, Path], *, supervised: bool) -> Any:
    return training_data(paths["images"], paths["index"], [paths["pixels"]], supervised=supervised)


def fitted(entry: str, paths: dict[str, Path], folder: Path) -> dict[str, np.ndarray]:
    """State that the real stage writes."""
    spec = json.dumps(ENTRIES[entry])
    out = folder / "encoder.npz"
    options = ["--encoder", entry, "--spec", spec, "--patch-size-px", str(PATCH_SIZE_PX)]
    for name, path in paths.items():
        options += [f"--{name}", str(path)]
    assert main(["fit_encoder", *options, "--device", "cpu", "--out", str(out)]) == 0
    return io.read_state(out)


def bytes_of(state: dict[str, np.ndarray]) -> dict[str, tuple[Any, ...]]:
    return {name: (value.dtype, value.shape, value.tobytes()) for name, value in state.items()}


def test_an_encoder_that_is_not_supervised_gets_no_labels(datasets) -> None:
    data = opened(datasets[0], supervised=False)
    assert data.train_labels is None
    assert data.val_labels is None
    assert data.n_classes == 0


def test_a_supervised_encoder_gets_the_labels_of_train_and_val(datasets) -> None:
    data = opened(datasets[0], supervised=True)
    np.testing.assert_array_equal(data.train_labels, LABELS[SPLITS == "train"])
    np.testing.assert_array_equal(data.val_labels, LABELS[SPLITS == "val"])
    assert data.n_classes == 3


@pytest.mark.parametrize("supervised", [False, True])
def test_train_patches_say_where_they_lie_and_nothing_else(datasets, supervised) -> None:
    patches = opened(datasets[0], supervised=supervised).train_patches
    assert list(patches) == ["image_row", "row", "col", "y_px", "x_px", "shard", "offset"]
    assert set(patches["image_row"]) == set(np.flatnonzero(SPLITS == "train"))


def test_patches_sampled_to_learn_from_are_of_train_images(datasets) -> None:
    data = opened(datasets[0], supervised=False)
    sample = data.sample_patches(1000, seed=0)
    train = np.repeat(SPLITS == "train", 4)
    np.testing.assert_array_equal(sample, io.read_array(datasets[0]["pixels"])[train])


def test_both_datasets_differ_in_every_label_and_in_nothing_else() -> None:
    assert (LABELS != OTHER_LABELS).all()
    for labels in (LABELS, OTHER_LABELS):
        assert set(labels[SPLITS == "train"]) == set(labels[SPLITS == "val"]) == {0, 1, 2}


@pytest.mark.parametrize("entry", UNSUPERVISED)
def test_other_labels_leave_every_byte_of_an_unlabelled_encoder(datasets, tmp_path, entry) -> None:
    first, second = (
        bytes_of(fitted(entry, paths, tmp_path / name))
        for paths, name in zip(datasets, ("first", "second"), strict=True)
    )
    assert first == second


@pytest.mark.parametrize("entry", SUPERVISED)
def test_other_labels_make_another_supervised_encoder(datasets, tmp_path, entry) -> None:
    # without this, the test above might pass for want of any effect of the labels
    first, second = (
        bytes_of(fitted(entry, paths, tmp_path / name))
        for paths, name in zip(datasets, ("first", "second"), strict=True)
    )
    assert first.keys() == second.keys()
    assert first != second


def test_bagnet_is_supervised_and_the_trained_tile2vec_is_not() -> None:
    assert "bagnet" in SUPERVISED
    assert {"tile2vec", "raw_pixels", "sift-fisher"} <= set(UNSUPERVISED)
