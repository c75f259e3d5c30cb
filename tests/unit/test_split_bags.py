"""Bags of votes and of embeddings, gathered from shards."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from patchbench.errors import UserError
from patchbench.io import provenance, write_array
from patchbench.split_bags import embedded_bags, split_bags

ORIGIN = provenance("test", "0", {})


def index_of(ids: list[str], rows: list[int], splits: list[str]) -> pd.DataFrame:
    """Two patches in each image, shards in turn."""
    n = len(ids)
    frame = pd.DataFrame({"image_id": ids, "image_row": rows, "split": splits, "label": rows})
    frame = frame.loc[frame.index.repeat(2)].reset_index(drop=True)
    frame = frame.assign(y_px=0, x_px=np.tile([0, 8], n), height_px=8)
    place = np.arange(2 * n)
    return frame.assign(shard=place % 2, offset=place // 2)


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    values = np.arange(24, dtype=np.float32).reshape(8, 3)
    paths = [tmp_path / f"{part}.npy" for part in range(2)]
    for part, path in enumerate(paths):
        write_array(path, values[part::2], ORIGIN)
    return paths


def test_embeddings_come_image_after_image_from_all_shards(shards: list[Path]) -> None:
    index = index_of(list("abcd"), [0, 1, 2, 3], ["train", "val", "train", "test"])
    found = embedded_bags(index, shards, 3, "train", 16)
    assert found.images["image_id"].tolist() == ["a", "c"]
    assert found.bags.bag_sizes.tolist() == [2, 2]
    np.testing.assert_array_equal(found.bags.read(slice(0, 4))[:, 0], [0, 3, 12, 15])
    np.testing.assert_array_equal(found.bags.take(np.array([1, 2]))[:, 0], [3, 12])
    assert found.bags.image_of.tolist() == [0, 0, 1, 1]


def test_a_hole_in_the_embeddings_is_named(tmp_path: Path) -> None:
    values = np.zeros((8, 3), np.float32)
    values[5, 1] = np.nan
    write_array(tmp_path / "x.npy", values, ORIGIN)
    index = index_of(list("abcd"), [0, 1, 2, 3], ["test"] * 4).assign(shard=0, offset=range(8))
    bags = embedded_bags(index, [tmp_path / "x.npy"], 3, "test", 16).bags
    with pytest.raises(UserError, match="1 of 8 embeddings"):
        list(bags.chunks())


def test_what_detectors_said_goes_to_its_split() -> None:
    index = index_of(list("abcd"), [0, 1, 2, 3], ["train", "val", "train", "test"])
    logits = [np.zeros((4, 2)), np.zeros((4, 2))]
    noise = {"train/entropy": np.arange(4), "test/entropy": np.array([7, 8])}
    assert split_bags(index, logits, "test", 16, noise).bags.noise["entropy"].tolist() == [7, 8]
    assert split_bags(index, logits, "val", 16, noise).bags.noise == {}


def test_two_images_of_one_id_are_named() -> None:
    logits = [np.zeros((4, 2)), np.zeros((4, 2))]
    twice = index_of(list("abab"), [0, 1, 2, 3], ["test"] * 4)
    with pytest.raises(UserError, match="holds image 'a' more than once in test; image ids must"):
        split_bags(twice, logits, "test", 16)
    apart = index_of(list("abab"), [0, 1, 0, 1], ["test"] * 4)
    with pytest.raises(UserError, match="holds image 'a' more than once"):
        split_bags(apart, logits, "test", 16)
