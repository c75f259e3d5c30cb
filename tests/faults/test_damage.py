"""Files that rot on disk: Snakemake does not notice, the stage that reads them does."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from small_study import due, refused, results, run, tried

PATCHES = "results/scenes/p32s16"
ENCODER = f"{PATCHES}/seed0/fixed"
SHARD = "00001-of-00002"


def flip(content: bytes) -> bytes:
    """One bit in the middle is another."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def cut_off(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize("damage", [flip, cut_off])
@pytest.mark.parametrize(
    ("file", "made_of_it"),
    [
        ("results/scenes/images.npy", [PATCHES]),
        (f"{PATCHES}/pixels/{SHARD}.npy", [f"{PATCHES}/seed0"]),
        (f"{PATCHES}/pixels/{SHARD}.parquet", [f"{PATCHES}/index.parquet", f"{PATCHES}/seed0"]),
        (f"{ENCODER}/encoder.npz", [f"{ENCODER}/embeddings", f"{ENCODER}/logistic"]),
        (f"{ENCODER}/embeddings/{SHARD}.npy", [f"{ENCODER}/logistic"]),
    ],
)
def test_a_damaged_file_is_named_and_made_again(
    undisturbed: Path,
    finished: Path,
    file: str,
    made_of_it: list[str],
    damage: Callable[[bytes], bytes],
) -> None:
    path = finished / file
    times = path.stat()
    path.write_bytes(damage(path.read_bytes()))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not due(finished)
    with tried(f"shard or model damaged ({damage.__name__})"):
        for name in [*made_of_it, "results/studies"]:
            gone = finished / name
            shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
        assert f"{file} is damaged" in refused(finished)
        path.with_name(f"{path.name}.damaged").unlink()
        run(finished)
        assert results(finished) == results(undisturbed)
