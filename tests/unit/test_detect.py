"""What the stage hands to detectors: probabilities out of fold, and the map of the right class."""

from argparse import Namespace
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from patchbench.io import read_table, write_array, write_table
from patchbench.stages import detect

N_IMAGES, PER_IMAGE = 8, 4
N = N_IMAGES * PER_IMAGE


@dataclass
class Spy:
    """Says of a patch whether it has met its image; an embedding is the number of the image."""

    bytes_per_value: int = 4
    bias: Any = field(default_factory=lambda: np.zeros(2))
    met: frozenset[int] = frozenset()

    def refitted(self, embeddings: np.ndarray, labels: np.ndarray) -> "Spy":
        return replace(self, met=frozenset(embeddings[:, 0].astype(int).tolist()))

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        known = np.isin(embeddings[:, 0].astype(int), list(self.met))
        return np.where(known[:, None], [9.0, 0.0], [0.0, 9.0]).astype(np.float32)


@pytest.fixture(scope="module")
def args(tmp_path_factory: pytest.TempPathFactory) -> Namespace:
    """Six train and two test images of four patches, with maps that tell which they are."""
    folder = tmp_path_factory.mktemp("detect")
    image_of = np.repeat(np.arange(N_IMAGES), PER_IMAGE)
    splits = np.array(["train"] * 6 + ["test"] * 2)
    write_array(folder / "embeddings.npy", image_of[:, None].astype(np.float32))
    write_array(folder / "images.npy", np.zeros((N_IMAGES, 16, 16, 3), np.uint8))
    labels = np.arange(N_IMAGES) % 2
    names = [f"i{i}" for i in range(N_IMAGES)]
    images = pd.DataFrame({"image_id": names, "label": labels, "split": splits, "group": names})
    images = images.assign(class_name="c", source_height_px=16, source_width_px=16)
    write_table(folder / "images.parquet", images, "images")
    corner = np.tile([0, 1, 2, 3], N_IMAGES)
    index = pd.DataFrame({"image_row": image_of, "row": corner // 2, "col": corner % 2})
    index = index.assign(
        image_id=np.array(names)[image_of],
        label=labels[image_of],
        split=splits[image_of],
        y_px=corner // 2 * 8,
        x_px=corner % 2 * 8,
        height_px=8,
        width_px=8,
        foreground=0.5,
        shard=0,
        offset=np.arange(N),
        patch_id=[f"p{i}" for i in range(N)],
    )
    write_table(folder / "index.parquet", index, "patches")
    maps = folder / "maps"
    maps.mkdir()
    order = np.random.default_rng(0).permutation(N_IMAGES)  # maps stand in another order
    explained = pd.DataFrame({"image_row": order, "split": splits[order], "label": labels[order]})
    explained = explained.assign(predicted=1 - explained["label"], fold=-1)
    write_table(maps / "explained.parquet", explained, "explained")
    for name, offset in (("true", 0), ("predicted", 100)):
        cells = offset + 10 * order[:, None] + np.arange(4)
        write_array(maps / f"{name}.npy", cells.reshape(-1, 2, 2).astype(np.float32))
    return Namespace(
        index=folder / "index.parquet",
        images=folder / "images.npy",
        embeddings=[folder / "embeddings.npy"],
        pixels=[],
        maps=maps,
        n_folds=3,
        max_fit_mib=64,
        seed=0,
    )


def asked(args: Namespace, split: str) -> dict[int, Any]:
    """The classifiers that the stage asks about a split."""
    return detect.fold_classifiers(args, Spy()) if split == "train" else {detect.WHOLE: Spy()}


def test_probabilities_of_train_are_by_classifiers_that_never_met_the_image(
    args: Namespace,
) -> None:
    train = detect.view(args, detect.fold_classifiers(args, Spy()), "train")
    assert train.probabilities is not None and train.folds is not None
    assert len(np.unique(train.folds)) == 3
    assert (train.probabilities.argmax(axis=1) == 1).all()


def test_the_classifier_of_a_fold_has_met_all_other_folds(args: Namespace) -> None:
    folded = detect.fold_classifiers(args, Spy())
    folds = detect.view(args, folded, "train").folds
    assert folds is not None and set(folded) == set(folds.tolist()) == {0, 1, 2}
    image_of = np.repeat(np.arange(6), PER_IMAGE)
    for fold, spy in folded.items():
        assert spy.met == set(image_of[folds != fold].tolist())


def test_train_is_seen_in_the_map_of_the_true_class_and_test_in_that_of_the_predicted(
    args: Namespace,
) -> None:
    for split, images, offset in (("train", range(6), 0), ("test", (6, 7), 100)):
        found = detect.view(args, asked(args, split), split).saliency
        expected = [offset + 10 * image + corner for image in images for corner in range(4)]
        # between cells a map is interpolated; other images are 10 apart, other classes 100
        np.testing.assert_allclose(found, expected, atol=0.4)


def test_labels_of_test_are_handed_to_nobody(args: Namespace) -> None:
    test = detect.view(args, asked(args, "test"), "test")
    assert test.labels is None and test.folds is None


def test_images_of_a_group_are_drawn_together(args: Namespace, tmp_path: Path) -> None:
    images = read_table(args.images.with_suffix(".parquet"), "images")
    scenes = images.assign(group=[f"scene{i // 2}" for i in range(len(images))])
    write_table(tmp_path / "images.parquet", scenes, "images")
    asked = Namespace(index=args.index, images=tmp_path / "images.npy")
    drawn = detect.draws(asked, "train")
    assert drawn.shape[1] == 6
    np.testing.assert_array_equal(drawn[:, ::2], drawn[:, 1::2])
