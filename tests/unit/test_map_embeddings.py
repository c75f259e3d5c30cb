"""The map has the same patches for every encoder, each class alike, and survives any embedding."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from patchbench import plan
from patchbench.io import read_state, read_table, write_array, write_state, write_table
from patchbench.patchset import shard_name
from patchbench.stages import collect, map_embeddings
from patchbench.stages.map_embeddings import draw_patches, lay_out


def make_index(n_per_class: tuple[int, ...] = (300, 300, 300), n_shards: int = 2) -> pd.DataFrame:
    """Patches of all splits in shards; test has ``n_per_class`` of them."""
    labels = np.concatenate([np.full(2 * n, label) for label, n in enumerate(n_per_class)])
    n = len(labels)
    shard = np.arange(n) * n_shards // n
    return pd.DataFrame(
        {
            "image_id": [f"image-{i // 4}" for i in range(n)],
            "patch_id": [f"image-{i // 4}/000-{i % 4:03d}" for i in range(n)],
            "image_row": np.arange(n) // 4,
            "row": 0,
            "col": np.arange(n) % 4,
            "y_px": 0,
            "x_px": 8 * (np.arange(n) % 4),
            "height_px": 8,
            "width_px": 8,
            "label": labels,
            "split": np.where(np.arange(n) % 2, "test", "train"),
            "shard": shard,
            "offset": pd.Series(shard).groupby(shard).cumcount(),
            "foreground": np.nan,
        }
    )


def test_the_sample_is_test_only_balanced_in_index_order_and_seeded() -> None:
    index = make_index()
    sample = draw_patches(index, 0)
    assert len(sample) == 600
    assert set(sample["split"]) == {"test"}
    assert list(sample["label"].value_counts()) == [200, 200, 200]
    assert sample.index.is_monotonic_increasing
    assert sample.index.is_unique
    pd.testing.assert_frame_equal(sample, draw_patches(index, 0))
    assert set(draw_patches(index, 1)["patch_id"]) != set(sample["patch_id"])


@pytest.mark.parametrize(
    ("available", "drawn"), [((5, 300, 300), [5, 298, 297]), ((3, 4, 5), [3, 4, 5])]
)
def test_a_small_class_gives_all_it_has(available: tuple[int, ...], drawn: list[int]) -> None:
    sample = draw_patches(make_index(available), 0)
    counts = sample["label"].value_counts()
    assert sorted(counts) == sorted(drawn)


def test_more_classes_than_places_still_gives_a_sample() -> None:
    sample = draw_patches(make_index((2,) * 40), 0, n_patches=25)
    assert len(sample) == 25
    assert sample["label"].is_unique


def run_map(folder: Path, index: pd.DataFrame, encoder: str, embeddings: np.ndarray) -> Path:
    files = []
    for shard, rows in index.groupby("shard"):
        files.append(folder / encoder / f"{shard}.npy")
        write_array(files[-1], embeddings[rows.index.to_numpy()])
    write_table(folder / "index.parquet", index, "patches")
    out = folder / encoder / "map.parquet"
    args = {"index": folder / "index.parquet", "embeddings": files, "out": out}
    work = map_embeddings.run(Namespace(**args, seed=0, threads=1, code=""))
    assert (work.item, work.device) == ("patch", "cpu")
    return out


def test_every_encoder_maps_the_same_patches_and_classes_part_without_labels(
    tmp_path: Path,
) -> None:
    index = make_index((60, 60))
    rng = np.random.default_rng(0)
    apart = rng.normal(size=(len(index), 7)) + 9 * index[["label"]].to_numpy()
    other = rng.normal(size=(len(index), 64))
    first, second = (
        read_table(run_map(tmp_path, index, name, values.astype(np.float32)), "embedding_map")
        for name, values in (("first", apart), ("second", other))
    )
    columns = ["patch_id", "label", "shard", "offset"]
    pd.testing.assert_frame_equal(first[columns], second[columns])
    expected = index.set_index("patch_id").loc[first["patch_id"]]
    assert (expected[["shard", "offset"]].to_numpy() == first[["shard", "offset"]].to_numpy()).all()
    centres = first.groupby("label")[["x", "y"]].mean().to_numpy()
    within = first.groupby("label")[["x", "y"]].std().to_numpy().max()
    assert np.linalg.norm(centres[0] - centres[1]) > 2 * within
    assert 0 < second["explained"].iloc[0] < first["explained"].iloc[0] <= 1


@pytest.mark.parametrize("n_patches", [1, 2, 5, 9, 40])
@pytest.mark.parametrize("dim", [1, 2, 3, 80])
def test_maps_of_any_size_are_finite(n_patches: int, dim: int) -> None:
    values = np.random.default_rng(0).normal(size=(n_patches, dim)).astype(np.float32)
    placed = lay_out(values, 0)
    assert len(placed) == n_patches
    assert np.isfinite(placed.to_numpy()).all()


@pytest.mark.parametrize("value", [0.0, 0.1, 3e7])
def test_equal_embeddings_lie_on_one_point(value: float) -> None:
    placed = lay_out(np.full((50, 16), value, np.float32), 0)
    assert not placed.to_numpy().any()


def test_embeddings_of_two_kinds_are_finite() -> None:
    values = np.repeat(np.eye(2, 12, dtype=np.float32), 30, axis=0)
    assert np.isfinite(lay_out(values, 0).to_numpy()).all()


def test_the_same_seed_gives_the_same_map() -> None:
    values = np.random.default_rng(0).normal(size=(60, 9)).astype(np.float32)
    pd.testing.assert_frame_equal(lay_out(values, 5), lay_out(values, 5))


def test_units_of_a_dimension_do_not_count() -> None:
    values = np.random.default_rng(0).normal(size=(40, 6))
    scaled = values * np.array([1, 10, 100, 0.1, 1, 1000]) + 7
    columns = ["pca_x", "pca_y", "explained"]
    first, second = lay_out(values, 0)[columns], lay_out(scaled, 0)[columns]
    np.testing.assert_allclose(first.abs(), second.abs(), atol=1e-9)


@pytest.mark.parametrize("side_px", [8, 48])
def test_pictures_of_the_mapped_patches_are_kept_in_map_order(
    side_px: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    index = make_index((20, 20)).assign(height_px=side_px, width_px=side_px)
    config: dict[str, Any] = {
        "benchmark": {
            "datasets": ["scenes"],
            "patches": ["small"],
            "encoders": ["sift", "moments"],
            "classifiers": ["logistic"],
            "fusions": [],
            "cnns": [],
            "seeds": [0, 1],
        },
        "patches": {"small": {"patch_size_px": side_px, "stride_px": side_px, "shards": 2}},
        "encoders": {"sift": {}, "moments": {"type": "sift"}},
        "classifiers": {"logistic": {}},
    }
    grey = np.arange(len(index), dtype=np.uint8)
    for shard, rows in index.groupby("shard"):
        pixels = np.broadcast_to(
            grey[rows.index, None, None, None], (len(rows), side_px, side_px, 3)
        )
        name = shard_name(int(str(shard)), 2)
        write_array(Path(f"results/scenes/small/pixels/{name}.npy"), np.array(pixels))
    sample = draw_patches(index, 0)
    kept = sample[["patch_id", "label", "shard", "offset"]].reset_index(drop=True)
    for path in plan.map_files(config):
        places = lay_out(np.zeros((len(kept), 2)), 0)
        write_table(path, pd.concat([kept, places], axis=1), "embedding_map")
    write_state("pictures.npz", collect.patch_thumbnails(config))
    pictures = read_state("pictures.npz")
    assert list(pictures) == ["scenes/small"]
    assert pictures["scenes/small"].shape[1] == min(side_px, 32)
    np.testing.assert_array_equal(pictures["scenes/small"][:, 0, 0, 0], grey[sample.index])
    maps = collect.maps(config)
    assert list(maps["encoder"].unique()) == ["sift", "moments"]
    assert len(maps) == 2 * len(kept)
