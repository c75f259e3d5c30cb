"""Every job says what it took: bytes, memory, machine, and times that leave the warm-up out."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from patchbench import download, io
from patchbench.bags import Bags
from patchbench.cost import Stopwatch, Work, measured, rates
from patchbench.cost_rows import cost_row, cost_rows
from patchbench.deciding import PIECE_IMAGES, decide_timed
from patchbench.embedded import EmbeddedBags
from patchbench.errors import UserError
from patchbench.fusions.majority_vote import Fusion
from patchbench.io import read_json, write_array, write_json, write_table
from patchbench.stages.cnn_predict import CHUNK_IMAGES, _decide
from patchbench.tables import COLUMNS
from patchbench.written import bytes_written
from unit._synthetic_study import make_study


def cost(path: Path, work: Work, about: dict[str, Any] | None = None) -> dict[str, Any]:
    """What a job that did this work leaves."""
    with measured(path, "encode", about or {}, 1) as done:
        done.append(work)
    return read_json(path)


def test_the_first_piece_is_warm_up_and_the_others_are_repeats() -> None:
    laps = [(10, 1.0), *[(10, 0.01 * ms) for ms in range(1, 6)]]
    found = rates(Work(60, "patch", laps=laps), 1.15)
    assert found["warm_up_s"] == 1.0 and found["n_repeats"] == 5
    assert found["items_per_s"] == pytest.approx(50 / 0.15)
    ends = [found[f"item_ms_{name}"] for name in ("low", "median", "high")]
    assert ends == pytest.approx([1.2, 3.0, 4.8])  # of 1, 2, ..., 5 ms an item


@pytest.mark.parametrize(
    ("laps", "warm_up_s", "n_repeats"),
    [([], None, 0), ([(8, 2.0)], None, 0), ([(4, 1.5), (4, 0.5)], 1.5, 1)],
)
def test_what_was_not_repeated_has_no_spread(
    laps: list[tuple[int, float]], warm_up_s: float | None, n_repeats: int
) -> None:
    found = rates(Work(8, "image", laps=laps), 2.0)
    assert (found["warm_up_s"], found["n_repeats"]) == (warm_up_s, n_repeats)
    assert found["items_per_s"] == (8.0 if n_repeats else 4.0)
    assert [found[f"item_ms_{name}"] for name in ("median", "low", "high")] == [None] * 3


def test_pieces_of_nothing_are_no_division_by_zero() -> None:
    found = rates(Work(0, "image decision", laps=[(0, 0.1), (0, 0.1), (0, 0.1)]), 0.3)
    assert found["items_per_s"] is None and found["n_repeats"] == 0


def test_laps_add_up_to_the_elapsed_time() -> None:
    watch = Stopwatch()
    for n_items in (3, 4):
        with watch.lap(n_items):
            pass
    assert [n for n, _ in watch.laps] == [3, 4]
    assert sum(seconds for _, seconds in watch.laps) == pytest.approx(watch.elapsed_s)


def write_then_fail(path: Path) -> None:
    with io.replacing(path) as temporary:
        temporary.write_bytes(b"lost")
        (path / "nowhere").read_bytes()


def test_bytes_written_are_the_sizes_of_the_files_in_their_place(tmp_path: Path) -> None:
    write_json(tmp_path / "before.json", {})
    with measured(tmp_path / "cost.json", "cut", {}, 1):
        write_array(tmp_path / "a.npy", np.zeros((7, 3)))
        write_table(tmp_path / "b.parquet", make_study(n_encoders=1).costs, "costs")
        write_json(tmp_path / "c.json", {"d": 1})
        with pytest.raises(FileNotFoundError):
            write_then_fail(tmp_path / "broken")
    sizes = [(tmp_path / name).stat().st_size for name in ("a.npy", "b.parquet", "c.json")]
    assert read_json(tmp_path / "cost.json")["bytes_written"] == sum(sizes)


def test_fetched_files_count_once_and_not_again_when_they_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deliver(url: str, checksum: str | None, path: Path, *_: object) -> None:
        path.write_bytes(b"12345")

    monkeypatch.setattr(download, "_fetch_from", deliver)
    for n_bytes in (5, 0):
        before = bytes_written()
        download.fetch("here", None, tmp_path / "file")
        assert bytes_written() - before == n_bytes


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="told by Linux only")
def test_memory_of_whoever_started_the_process_is_not_its_own() -> None:
    held = "held = bytearray(b'1' * (400 << 20)); "
    ask = "from patchbench.cost import peak_rss_mib; print(peak_rss_mib())"
    # bash replaces itself by its last command, as it does in a job of Snakemake
    child = f"{sys.executable} -c {ask!r}"
    start = f"import subprocess; {held}subprocess.run(['bash', '-c', {child!r}])"
    found = subprocess.run(
        [sys.executable, "-c", start], capture_output=True, text=True, check=True
    )
    assert 10 < float(found.stdout) < 350
    found = subprocess.run([sys.executable, "-c", held + ask], capture_output=True, text=True)
    assert float(found.stdout) > 400


def test_without_cuda_there_is_no_gpu(tmp_path: Path) -> None:
    found = cost(tmp_path / "cost.json", Work(1, "patch"))
    assert [found[name] for name in ("gpu", "peak_gpu_mib", "peak_gpu_reserved_mib")] == [None] * 3
    assert "cores" in found["host"] and "GiB" in found["host"]


def test_on_cuda_the_gpu_is_named_and_its_memory_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun_anew: list[bool] = []
    card = SimpleNamespace(
        reset_peak_memory_stats=lambda: begun_anew.append(True),
        get_device_name=lambda: "a card",
        max_memory_allocated=lambda: 3 * 2**20,
        max_memory_reserved=lambda: 8 * 2**20,
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=card))
    found = cost(tmp_path / "cost.json", Work(1, "patch", "cuda"))
    assert found["gpu"] == "a card"
    assert (found["peak_gpu_mib"], found["peak_gpu_reserved_mib"]) == (3, 8)
    assert begun_anew  # for a stage that follows in the same process


def test_a_row_has_every_column_and_names_its_run(tmp_path: Path) -> None:
    about = {"dataset": "scenes", "encoder": "sift", "seed": "3", "shard": "00002-of-00004"}
    cost(tmp_path / "a.json", Work(1, "patch"), about)
    cost(tmp_path / "b.json", Work(1, "image"), {"explain": "gradcam"})
    cost(tmp_path / "c.json", Work(1, "image"), {"fold": "0"})
    frame = cost_rows(tmp_path / name for name in ("a.json", "b.json", "c.json"))
    assert list(frame) == list(COLUMNS["costs"])
    assert list(frame["stage"]) == ["encode", "encode_gradcam", "cnn_fold"]
    first = frame.iloc[0]
    assert (first["dataset"], first["classifier"], first["seed"], first["shard"]) == (
        "scenes",
        "none",
        3,
        2,
    )
    assert cost_rows([]).empty


def test_a_row_of_another_version_ends_in_one_sentence(tmp_path: Path) -> None:
    old = cost(tmp_path / "cost.json", Work(1, "patch"))
    del old["bytes_written"], old["host"]
    write_json(tmp_path / "cost.json", old)
    with pytest.raises(UserError, match=r"cost.json lacks bytes_written, host; .* run snakemake"):
        cost_row(tmp_path / "cost.json")


def bags(n_images: int) -> Bags:
    """Images of one to five patches."""
    sizes = np.arange(n_images) % 5 + 1
    logits = np.random.default_rng(0).normal(size=(sizes.sum(), 3))
    noise = {"random": logits[:, 0]}
    return Bags(logits, sizes, np.zeros((sizes.sum(), 2)), noise)


def test_pieces_are_all_images_in_order_and_nothing_is_copied() -> None:
    whole = bags(11)
    pieces = whole.pieces(4)
    assert [len(piece.bag_sizes) for piece in pieces] == [4, 4, 3]
    np.testing.assert_array_equal(
        np.concatenate([piece.patch_logits for piece in pieces]), whole.patch_logits
    )
    assert all(np.shares_memory(piece.patch_logits, whole.patch_logits) for piece in pieces)
    joined = np.concatenate([piece.noise["random"] for piece in pieces])
    np.testing.assert_array_equal(joined, whole.noise["random"])


def test_pieces_of_embeddings_read_their_own_rows() -> None:
    whole = bags(11)
    rows = whole.patch_logits.astype(np.float32)
    embedded = EmbeddedBags.of(rows, whole.bag_sizes, whole.centers)
    found = [part for piece in embedded.pieces(4) for _, _, part in piece.chunks()]
    np.testing.assert_array_equal(np.concatenate(found), rows)


def test_rules_decide_piece_by_piece_as_on_the_whole() -> None:
    whole, watch = bags(2 * PIECE_IMAGES + 5), Stopwatch()
    rules = {"one": Fusion(), "other": Fusion()}
    found = decide_timed(rules, whole, watch)
    np.testing.assert_array_equal(found["other"], Fusion().fuse(whole))
    assert [n for n, _ in watch.laps] == [2 * PIECE_IMAGES, 2 * PIECE_IMAGES, 10]


def test_a_network_is_asked_in_whole_batches_and_every_row_once() -> None:
    asked: list[int] = []

    def predict_logits(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        asked.append(len(rows))
        logits: np.ndarray = images[rows]
        return logits

    images, watch = np.random.default_rng(0).normal(size=(90, 4)), Stopwatch()
    rows = np.arange(80)[::-1]
    cnn: Any = SimpleNamespace(predict_logits=predict_logits)
    found = _decide(cnn, images, rows, watch)
    assert asked == [CHUNK_IMAGES, CHUNK_IMAGES, 80 - 2 * CHUNK_IMAGES]
    assert [n for n, _ in watch.laps] == asked
    np.testing.assert_array_equal(found.argmax(axis=1), images[rows].argmax(axis=1))


def test_the_batches_of_a_network_are_not_split() -> None:
    from patchbench.networks.image_classification import INFERENCE_BATCH

    assert CHUNK_IMAGES % INFERENCE_BATCH == 0
