"""PatchCamelyon: 327,680 pieces of 96 x 96 px of lymph node sections, with or without tumour.

Veeling, Linmans, Winkens, Cohen & Welling, "Rotation equivariant CNNs for digital pathology",
MICCAI 2018, arXiv:1806.03962; from Camelyon16 (Ehteshami Bejnordi et al., JAMA 2017). A piece
counts as tumour if its central 32 x 32 px hold any. The published split keeps slides apart.
Licence: CC0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from patchbench.datasets._published import Archive, Published, complete
from patchbench.errors import UserError
from patchbench.records import BadImageError, Pixels, Record
from patchbench.unpacking import gunzip

if TYPE_CHECKING:
    import h5py

_BASE = "https://zenodo.org/record/2546921/files/camelyonpatch_level_2_split"
_CHECKSUMS = {
    "train_x": "d619e741468a7ab35c7e4a75e6821b7e7e6c9411705d45708f2a0efc8960656c",
    "train_y": "md5:35c2d7259d906cfc8143347bb8e05be7",
    "valid_x": "f82ee1670d027b4ec388048d9eabc2186b77c009655dae76d624c0ecb053ccb2",
    "valid_y": "md5:2b85f58b927af9964a4c15b8f7e8f179",
    "test_x": "79174c2201ad521602a5888be8f36ee10875f37403dd3f2086caf2182ef87245",
    "test_y": "md5:60a7035772fbdb7f34eb86d4420cf66a",
}
ARCHIVES = tuple(Archive(f"{_BASE}_{name}.h5.gz", found) for name, found in _CHECKSUMS.items())
_SPLITS = {"train": "train", "valid": "val", "test": "test"}
_CLASSES = ("normal", "tumour")


@dataclass(frozen=True, kw_only=True)
class Dataset(Published):
    """PatchCamelyon; ``root`` holds its six ``.h5`` files, unpacked."""

    summary: ClassVar[str] = "327,680 pieces of lymph node sections, with or without tumour (PCam)."
    licence: ClassVar[str] = "CC0"

    @property
    def archives(self) -> Sequence[Archive]:
        """Pixels and labels of each split."""
        return ARCHIVES

    def unpack(self, archive: Path, folder: Path) -> None:
        """Each file is compressed by itself."""
        gunzip(archive, folder / archive.name.removesuffix(".gz"))

    def records(self, folder: Path) -> list[Record]:
        """One record per piece."""
        place = self.place(folder)
        names = [archive.file.removesuffix(".gz") for archive in ARCHIVES]
        complete([place / name for name in names])
        records = []
        for own, split in _SPLITS.items():
            (x_path, y_path) = (place / name for name in names if f"_{own}_" in name)
            pixels, labels = _opened(x_path, "x"), _labels(y_path)
            if len(labels) != len(pixels) or not set(labels.tolist()) <= {0, 1}:
                raise UserError(f"{y_path} does not belong to {x_path.name}; download both again")
            for i, label in enumerate(labels.tolist()):
                name = _CLASSES[label]
                read = partial(_read, pixels, i)
                records.append(Record(f"{name}/{own}-{i:06d}", name, read, split))
        return sorted(records, key=lambda record: record.image_id)


def _opened(path: Path, key: str) -> h5py.Dataset:
    import h5py

    try:
        found = h5py.File(path, "r")[key]
    except (OSError, KeyError) as error:
        raise UserError(f"{path} has no {key!r} ({error}); download it again") from error
    if not isinstance(found, h5py.Dataset) or not found.shape:
        raise UserError(f"{path} has no array under {key!r}; download it again")
    return found


def _labels(path: Path) -> np.ndarray:
    try:
        return np.ravel(_opened(path, "y")[:])
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error}); download it again") from error


def _read(pixels: h5py.Dataset, i: int) -> Pixels:
    try:
        return np.asarray(pixels[i], np.uint8), None
    except OSError as error:
        raise BadImageError(f"cannot be read ({error})") from error
