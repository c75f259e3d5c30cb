"""STL-10: 13,000 labelled photographs of 96 x 96 px, ten classes, few of them to train on.

Coates, Lee & Ng, "An analysis of single-layer networks in unsupervised feature learning",
AISTATS 2011, https://cs.stanford.edu/~acoates/stl10/. Its test stays test, val is dealt from its
train; the 100,000 photographs without label are not unpacked. Licence: the photographs' own, as
in ImageNet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from patchbench.datasets._published import Archive, Published, rows_of, text_of
from patchbench.errors import UserError
from patchbench.records import Pixels, Record

ARCHIVE = Archive(
    "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
    "f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866",
)
_FOLDER, _SIDE_PX = "stl10_binary", 96


@dataclass(frozen=True, kw_only=True)
class Dataset(Published):
    """STL-10; ``root`` holds ``stl10_binary``."""

    summary: ClassVar[str] = "13,000 photographs of 96 x 96 px, ten classes (STL-10)."
    licence: ClassVar[str] = "the photographs' own, as in ImageNet; research use"

    @property
    def archives(self) -> Sequence[Archive]:
        """One archive."""
        return (ARCHIVE,)

    def wanted(self, name: str) -> str | None:
        """Everything but the photographs without label."""
        return None if name.endswith("unlabeled_X.bin") else name

    def records(self, folder: Path) -> list[Record]:
        """One record per labelled photograph."""
        place = self.place(folder) / _FOLDER
        classes = text_of(place / "class_names.txt").split()
        records = []
        for split in ("train", "test"):
            pixels = rows_of(place / f"{split}_X.bin", 3 * _SIDE_PX**2)
            labels = rows_of(place / f"{split}_y.bin", 1)[:, 0]
            if len(labels) != len(pixels) or not 1 <= labels.min() <= labels.max() <= len(classes):
                raise UserError(
                    f"{place}: {split}_y.bin does not belong to {split}_X.bin; download both again"
                )
            for i, label in enumerate(labels.tolist()):
                name = classes[label - 1]
                read = partial(_read, pixels[i])
                records.append(Record(f"{name}/{split}-{i:05d}", name, read, split))
        return sorted(records, key=lambda record: record.image_id)


def _read(row: np.ndarray) -> Pixels:
    """A photograph is stored colour by colour, and each colour column by column."""
    columns = np.asarray(row).reshape(3, _SIDE_PX, _SIDE_PX)
    return np.ascontiguousarray(columns.transpose(2, 1, 0)), None
