"""A fit stays within its memory, reads shard by shard, and refuses what it cannot fit on."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from patchbench import patchset, plugins, sampling
from patchbench.errors import UserError
from patchbench.io import read_array, read_state, write_array, write_state, write_table
from patchbench.patchset import gather, shard_name
from patchbench.stages import classify, fit_classifier

N_SHARDS, IN_SHARD, DIM = 3, 40, 5

# settings that make a fit quick, but hold what the usual ones do
QUICK: dict[str, dict[str, Any]] = {
    "logistic": {"strengths": [0.0001], "max_iterations": 3},
    "linear_svm": {"strengths": [0.0001], "max_iterations": 1},
}
# prints the MiB that a fit on so many train patches of 1024 values held at its peak
PEAK_OF_A_FIT = """
import json, sys
from pathlib import Path
import numpy as np
from patchbench import plugins
name, spec, n_train = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
rng = np.random.default_rng(0)
train = rng.standard_normal((n_train, 1024), dtype=np.float32)
val = rng.standard_normal((200, 1024), dtype=np.float32)
labels, val_labels = np.arange(n_train) % 2, np.arange(200) % 2
classifier = plugins.build("classifiers", name, spec, seed=0, threads=1)
classifier.fit(train, labels, val, val_labels, 2)
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
print(int(status["VmHWM"].split()[0]) / 1024)
"""


@pytest.fixture
def embeddings() -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(N_SHARDS * IN_SHARD, DIM))
    labels = np.arange(len(rows)) % 3
    return (rows + 4 * np.eye(3, DIM)[labels]).astype(np.float32)


def make_index(n_patches: int = N_SHARDS * IN_SHARD) -> pd.DataFrame:
    rows = np.arange(n_patches)
    zeros = np.zeros(n_patches, int)
    return pd.DataFrame(
        {
            "image_id": [f"i{row}" for row in rows],
            "patch_id": [f"i{row}/000-000" for row in rows],
            "image_row": rows,
            **dict.fromkeys(("row", "col", "y_px", "x_px"), zeros),
            **dict.fromkeys(("height_px", "width_px"), zeros + 8),
            "label": rows % 3,
            "split": np.array(["train", "train", "val", "test"])[rows // 3 % 4],
            "shard": rows // IN_SHARD,
            "offset": rows % IN_SHARD,
            "foreground": np.full(n_patches, np.nan),
        }
    )


def write_shards(folder: Path, rows: np.ndarray) -> list[Path]:
    paths = [folder / f"{shard_name(shard, N_SHARDS)}.npy" for shard in range(N_SHARDS)]
    for path, part in zip(paths, np.split(rows, N_SHARDS), strict=True):
        write_array(path, part)
    return paths


def arguments(folder: Path, rows: np.ndarray, classifier: str, **other: Any) -> argparse.Namespace:
    write_table(folder / "index.parquet", make_index(), "patches")
    parser = argparse.ArgumentParser()
    fit_classifier.add_arguments(parser)
    paths = list(map(str, write_shards(folder, rows)))
    argv = ["--classifier", classifier, "--index", str(folder / "index.parquet")]
    argv += ["--embeddings", *paths, "--out", str(folder / "classifier.npz")]
    args = parser.parse_args(argv)
    vars(args).update({"seed": 0, "threads": 1, "code": "", **other})
    return args


def classify_arguments(folder: Path, classifier: str) -> argparse.Namespace:
    return argparse.Namespace(
        classifier=classifier,
        spec={},
        state=folder / "classifier.npz",
        embeddings=folder / f"{shard_name(1, N_SHARDS)}.npy",
        out=folder / "logits.npy",
        seed=0,
        threads=1,
        code="",
    )


@pytest.mark.parametrize("as_files", [True, False])
def test_gathered_rows_are_those_of_the_joined_shards(
    tmp_path: Path, embeddings: np.ndarray, as_files: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patchset, "_CHUNK_ROWS", 7)
    shards: list[Any] = write_shards(tmp_path, embeddings)
    if not as_files:
        shards = [read_array(path) for path in shards]
    rng = np.random.default_rng(1)
    selections = [
        np.arange(120),
        np.arange(3, 90, 4),
        rng.permutation(120)[:50],
        np.arange(41, 60),
        [],
        [7, 7],
    ]
    for rows in selections:
        rows = np.asarray(rows, int)
        found = gather(shards, make_index().iloc[rows])
        np.testing.assert_array_equal(found, embeddings[rows])
        assert found.dtype == np.float32
        assert found.flags.writeable and found.flags.c_contiguous


def test_one_shard_at_a_time_is_open(
    tmp_path: Path, embeddings: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    import weakref

    opened: list[Any] = []

    def spy(path: Path) -> np.ndarray:
        assert all(earlier() is None for earlier in opened)
        found = read_array(path)
        opened.append(weakref.ref(found))
        return found

    monkeypatch.setattr(patchset, "read_array", spy)
    gather(write_shards(tmp_path, embeddings), make_index())
    assert len(opened) == N_SHARDS


@pytest.mark.parametrize("n_val", [0, 10, 10_000_000])
@pytest.mark.parametrize("bytes_per_value", [4, 8, 28])
@pytest.mark.parametrize("dim", [1, 100, 2048])
def test_train_and_val_share_the_memory(dim: int, bytes_per_value: int, n_val: int) -> None:
    train, val = sampling.row_limits(64, dim, bytes_per_value, n_val)
    taken = dim * (train * bytes_per_value + val * 4)
    assert 64 * 2**20 - dim * bytes_per_value < taken <= 64 * 2**20
    assert val == n_val or val * dim * 4 <= 16 * 2**20 < (val + 1) * dim * 4


def test_a_sample_is_stated(capsys: pytest.CaptureFixture[str]) -> None:
    index = make_index()
    train = index[index["split"] == "train"]
    few = sampling.sample(train, 9, 0)
    assert "train: using 9 of 60 patches" in capsys.readouterr().err
    assert len(few) == 9 and few.index.is_monotonic_increasing
    assert sampling.sample(train, 60, 0) is train
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "name", ["logistic", "linear_svm", "nearest_neighbors", "nbnn", "majority_class"]
)
def test_fitted_and_classified_shard_by_shard(
    name: str, tmp_path: Path, embeddings: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = {"ks": [3]} if name == "nearest_neighbors" else {}
    work = fit_classifier.run(arguments(tmp_path, embeddings, name, spec=spec))
    assert (work.n_items, work.item) == (60, "patch")
    monkeypatch.setattr(classify, "CHUNK_PATCHES", 7)
    classify.run(classify_arguments(tmp_path, name))
    logits = read_array(tmp_path / "logits.npy")
    assert logits.shape == (IN_SHARD, 3)
    if name == "majority_class":
        np.testing.assert_allclose(np.exp(logits), 1 / 3, rtol=1e-6)
    else:
        labels = make_index()["label"][IN_SHARD : 2 * IN_SHARD]
        assert (logits.argmax(axis=1) == labels).mean() > 0.9


def test_the_own_head_comes_from_the_encoder(tmp_path: Path, embeddings: np.ndarray) -> None:
    weights, bias = np.eye(3, DIM, dtype=np.float32), np.zeros(3, np.float32)
    write_state(tmp_path / "encoder.npz", {"fc.weight": weights, "fc.bias": bias, "x": bias})
    given = {"encoder_state": tmp_path / "encoder.npz", "head": ["fc.weight", "fc.bias"]}
    fit_classifier.run(arguments(tmp_path, embeddings, "own_head", **given))
    np.testing.assert_array_equal(read_state(tmp_path / "classifier.npz")["weights"], weights)
    classify.run(classify_arguments(tmp_path, "own_head"))
    expected = embeddings[IN_SHARD : 2 * IN_SHARD] @ weights.T
    np.testing.assert_allclose(read_array(tmp_path / "logits.npy"), expected, rtol=1e-6)
    with pytest.raises(UserError, match=r"this encoder has none.*bagnet"):
        fit_classifier.run(arguments(tmp_path, embeddings, "own_head", **given | {"head": None}))
    write_state(
        tmp_path / "encoder.npz", {"fc.weight": np.eye(1000, DIM), "fc.bias": np.ones(1000)}
    )
    with pytest.raises(UserError, match="1000 classes apart, but the dataset has 3"):
        fit_classifier.run(arguments(tmp_path, embeddings, "own_head", **given))


def test_holes_in_embeddings_are_counted(tmp_path: Path, embeddings: np.ndarray) -> None:
    fit_classifier.run(arguments(tmp_path, embeddings, "logistic"))
    embeddings[[IN_SHARD, IN_SHARD + 2], 1] = np.nan, np.inf
    with pytest.raises(UserError, match=r"2 of 90 embeddings \(the train") as caught:
        fit_classifier.run(arguments(tmp_path, embeddings, "logistic"))
    assert "\n" not in str(caught.value) and "encoder" in str(caught.value)
    with pytest.raises(UserError, match=r"2 of 40 embeddings .*00001-of-00003"):
        classify.run(classify_arguments(tmp_path, "logistic"))
    assert not (tmp_path / "logits.npy").exists()
    # the control does not look at them
    fit_classifier.run(arguments(tmp_path, embeddings, "majority_class"))


def test_one_class_is_refused(tmp_path: Path, embeddings: np.ndarray) -> None:
    args = arguments(tmp_path, embeddings, "linear_svm")
    index = make_index()
    index.loc[index["split"] == "train", "label"] = 1
    write_table(args.index, index, "patches")
    with pytest.raises(UserError, match="train patches are all of one class"):
        fit_classifier.run(args)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system tells no peak")
@pytest.mark.parametrize(
    "name",
    [
        name
        for name in plugins.available("classifiers")
        if plugins.load("classifiers", name).Classifier.uses == "embeddings"
    ],
)
def test_a_fit_holds_what_it_says(name: str) -> None:
    """The slack is half the matrix: one copy that is not declared is too much."""
    matrix_mib, slack_mib = 64, 32
    small, large = (peak_mib(name, n_train) for n_train in (200, matrix_mib * 256))
    declared = plugins.load("classifiers", name).Classifier.bytes_per_value
    assert matrix_mib < large - small < declared / 4 * matrix_mib + slack_mib


def peak_mib(name: str, n_train: int) -> float:
    """Of a fit in a process of its own; a small one tells what libraries take."""
    spec = json.dumps(QUICK.get(name, {}))
    source = str(Path(plugins.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", PEAK_OF_A_FIT, name, spec, str(n_train)],
        # more threads would hold more buffers
        env=os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.parametrize("name", ["logistic", "linear_svm", "nearest_neighbors", "nbnn"])
def test_a_dataset_without_val_images_can_be_fitted(
    name: str, tmp_path: Path, embeddings: np.ndarray
) -> None:
    args = arguments(tmp_path, embeddings, name)
    index = make_index()
    write_table(args.index, index[index["split"] != "val"], "patches")
    assert fit_classifier.run(args).n_items == 60


def test_little_memory_still_shows_every_class(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(120, 70_000)).astype(np.float32)
    args = arguments(tmp_path, rows, "linear_svm", max_fit_mib=1)
    assert fit_classifier.run(args).n_items == 3
    assert read_state(args.out)["classes"].tolist() == [0, 1, 2]
