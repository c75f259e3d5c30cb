"""CIFAR-10: 60,000 photographs of 32 x 32 px, ten classes.

Krizhevsky, "Learning multiple layers of features from tiny images", 2009,
https://www.cs.toronto.edu/~kriz/cifar.html. Its test stays test, val is dealt from its train. The
binary version: the Python one is pickled, and reading a pickle can run code. Licence: not stated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from patchbench.datasets._published import Archive, Published, rows_of
from patchbench.errors import UserError
from patchbench.records import Pixels, Record

ARCHIVE = Archive(
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "md5:c32a1d4ab5d03f1284b67883e8d87530",
)
CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_FOLDER, _SIDE_PX = "cifar-10-batches-bin", 32
_FILES = {f"data_batch_{i}.bin": "train" for i in range(1, 6)} | {"test_batch.bin": "test"}


@dataclass(frozen=True, kw_only=True)
class Dataset(Published):
    """CIFAR-10, binary version; ``root`` holds ``cifar-10-batches-bin``."""

    summary: ClassVar[str] = "60,000 photographs of 32 x 32 px, ten classes (CIFAR-10)."
    licence: ClassVar[str] = "not stated; research use"

    @property
    def archives(self) -> Sequence[Archive]:
        """One archive."""
        return (ARCHIVE,)

    def records(self, folder: Path) -> list[Record]:
        """One record per photograph: a byte for the class, then red, green and blue."""
        records = []
        for file, split in _FILES.items():
            path = self.place(folder) / _FOLDER / file
            rows = rows_of(path, 1 + 3 * _SIDE_PX**2)
            if rows[:, 0].max() >= len(CLASSES):
                raise UserError(f"{path} has a class {rows[:, 0].max()} of ten; fetch it anew")
            for i, label in enumerate(rows[:, 0].tolist()):
                image_id = f"{CLASSES[label]}/{file.removesuffix('.bin')}-{i:05d}"
                records.append(Record(image_id, CLASSES[label], partial(_read, rows[i]), split))
        return sorted(records, key=lambda record: record.image_id)


def _read(row: np.ndarray) -> Pixels:
    planes = np.asarray(row[1:]).reshape(3, _SIDE_PX, _SIDE_PX)
    return np.ascontiguousarray(planes.transpose(1, 2, 0)), None
