"""Files are whole or absent, and damage is noticed by whoever reads."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from patchbench import io, tables

HISTORY = pd.DataFrame(
    {
        "epoch": [1, 1],
        "split": ["train", "val"],
        "measure": ["loss", "loss"],
        "value": [0.5, 0.25],
        "kept": [True, False],
    }
)


def write_all(folder: Path) -> dict[str, Path]:
    paths = {kind: folder / f"file.{kind}" for kind in ("npy", "parquet", "json", "npz")}
    io.write_array(paths["npy"], np.arange(600.0).reshape(20, 30), {"stage": "test"})
    io.write_table(paths["parquet"], HISTORY, "history", {"stage": "test"})
    io.write_json(paths["json"], {"a": [1, 2.5, "x"]}, {"stage": "test"})
    io.write_state(paths["npz"], {"w": np.arange(64.0)}, {"stage": "test"})
    return paths


def read(path: Path) -> object:
    return {
        ".npy": io.read_array,
        ".parquet": lambda p: io.read_table(p, "history"),
        ".json": io.read_json,
        ".npz": io.read_state,
    }[path.suffix](path)


def test_everything_written_is_read_back(tmp_path: Path) -> None:
    paths = write_all(tmp_path)
    np.testing.assert_array_equal(read(paths["npy"]), np.arange(600.0).reshape(20, 30))
    pd.testing.assert_frame_equal(read(paths["parquet"]), HISTORY)
    assert read(paths["json"]) == {"a": [1, 2.5, "x"]}
    np.testing.assert_array_equal(read(paths["npz"])["w"], np.arange(64.0))


def test_same_content_gives_same_bytes(tmp_path: Path) -> None:
    first, second = write_all(tmp_path / "a"), write_all(tmp_path / "b")
    for kind, path in first.items():
        assert path.read_bytes() == second[kind].read_bytes(), kind


@pytest.mark.parametrize("kind", ["npy", "parquet", "json", "npz"])
def test_a_truncated_file_is_refused_and_named(tmp_path: Path, kind: str) -> None:
    path = write_all(tmp_path)[kind]
    whole = path.read_bytes()
    for keep in (0, 1, len(whole) // 2, len(whole) - 2):
        path.write_bytes(whole[:keep])
        with pytest.raises(io.DamagedFileError, match=f"{path.name} is damaged"):
            read(path)


@pytest.mark.parametrize("kind", ["npy", "parquet", "json", "npz"])
def test_a_flipped_bit_never_changes_what_is_read(tmp_path: Path, kind: str) -> None:
    path = write_all(tmp_path)[kind]
    whole, good = path.read_bytes(), read(path)
    rng = np.random.default_rng(0)
    n_refused = 0
    for place in rng.choice(len(whole), min(len(whole), 150), replace=False):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            found = read(path)
        except (io.DamagedFileError, tables.UserError):
            n_refused += 1
            continue
        # a flip in padding or provenance may pass, a changed value may not
        same = {
            "npy": lambda f: np.array_equal(f, good),
            "parquet": lambda f: f.equals(good),
            "json": lambda f: f == good,
            "npz": lambda f: np.array_equal(f["w"], good["w"]),
        }[kind](found)
        assert same, f"byte {place} of {kind}"
    assert n_refused > 50


def test_tables_with_lists_nulls_and_slices_are_read_back(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "image_id": ["a", "b", "ü"],
            "split": ["val", "test", "test"],
            "label": [0, 1, 0],
            "fusion": "none",
            "predicted_label": [1, 1, 0],
            "probabilities": list(np.array([[0.25, 0.75], [0.5, 0.5], [1, 0]])),
        }
    )
    for part in (frame, frame[frame["split"] == "test"], frame.iloc[:0]):
        io.write_table(tmp_path / "p.parquet", part, "predictions")
        found = io.read_table(tmp_path / "p.parquet", "predictions")
        assert found["probabilities"].map(list).tolist() == [list(p) for p in part["probabilities"]]
    holes = HISTORY.assign(value=[None, 0.5]).astype({"value": float})
    io.write_table(tmp_path / "h.parquet", holes, "history")
    pd.testing.assert_frame_equal(io.read_table(tmp_path / "h.parquet", "history"), holes)


def test_an_interrupted_write_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    io.write_array(path, np.ones(3))
    writer = io.ArrayWriter(path, (3,), np.float64)
    writer.__enter__()[:] = 2
    writer.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    np.testing.assert_array_equal(io.read_array(path), np.ones(3))
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]


def test_an_empty_array_survives(tmp_path: Path) -> None:
    io.write_array(tmp_path / "a.npy", np.zeros((0, 8, 8), np.uint8))
    assert io.read_array(tmp_path / "a.npy").shape == (0, 8, 8)


def test_an_array_without_checksum_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(100))
    with pytest.raises(io.DamagedFileError, match="no checksum"):
        io.read_array(tmp_path / "a.npy")


def test_numpy_alone_can_read_our_arrays(tmp_path: Path) -> None:
    io.write_array(tmp_path / "a.npy", np.arange(5))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.arange(5))


def test_a_table_with_wrong_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(tables.UserError, match=r"missing columns \['kept'\]"):
        io.write_table(tmp_path / "t.parquet", HISTORY.drop(columns="kept"), "history")
    assert not (tmp_path / "t.parquet").exists()


def test_a_model_file_cannot_carry_code(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        io.write_state(tmp_path / "m.npz", {"w": np.array([print], dtype=object)})
    np.savez(tmp_path / "m.npz", w=np.array([print], dtype=object))
    with pytest.raises(io.DamagedFileError, match="no checksum"):
        io.read_state(tmp_path / "m.npz")
    io._append_trailer(tmp_path / "m.npz", {})  # even one with a valid checksum
    with pytest.raises(io.DamagedFileError, match="plain numbers or text"):
        io.read_state(tmp_path / "m.npz")


def test_an_array_is_checked_anew_when_its_file_is_another(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    io.write_array(path, np.arange(100.0), {"stage": "test"})
    io.read_array(path)
    damaged = bytearray(path.read_bytes())
    damaged[200] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(io.DamagedFileError):
        io.read_array(path)
