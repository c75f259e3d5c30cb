"""Oxford 102 Flowers: 8,189 photographs of 102 kinds of flowers common in the United Kingdom.

Nilsback & Zisserman, "Automated flower classification over a large number of classes", ICVGIP
2008, https://www.robots.ox.ac.uk/~vgg/data/flowers/102/. The published split, ten images of each
class in train and in val, the rest in test. The archive numbers the classes and does not name
them. Licence: not stated.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from patchbench.datasets._published import Archive, Published, complete, read_image
from patchbench.errors import UserError
from patchbench.records import Record

_BASE = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102"
ARCHIVES = (
    Archive(
        f"{_BASE}/102flowers.tgz",
        "2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246",
    ),
    Archive(f"{_BASE}/imagelabels.mat", "md5:e0620be6f572b9609742df49c70aed4d"),
    Archive(f"{_BASE}/setid.mat", "md5:a5357ecc9cb78c4bef273ce3793fc85c"),
)
# what SciPy raises of a file that is damaged, of MATLAB 7.3 or none of MATLAB's
_UNREADABLE = (ValueError, TypeError, KeyError, OSError, NotImplementedError, zlib.error)
_SPLITS = {"trnid": "train", "valid": "val", "tstid": "test"}


@dataclass(frozen=True, kw_only=True)
class Dataset(Published):
    """Oxford 102 Flowers; ``root`` holds ``jpg``, ``imagelabels.mat`` and ``setid.mat``."""

    summary: ClassVar[str] = "8,189 photographs of 102 kinds of flowers (Oxford 102)."
    licence: ClassVar[str] = "not stated; research use"

    @property
    def archives(self) -> Sequence[Archive]:
        """Photographs, labels, split."""
        return ARCHIVES

    def unpack(self, archive: Path, folder: Path) -> None:
        """Labels and split are no archives."""
        if not self.keeps(archive.name):
            super().unpack(archive, folder)

    def keeps(self, file: str) -> bool:
        """Labels and split."""
        return file.endswith(".mat")

    def records(self, folder: Path) -> list[Record]:
        """One record per photograph, classes ``001`` to ``102``."""
        place = self.place(folder)
        complete([place / "jpg", place / "imagelabels.mat", place / "setid.mat"])
        labels = _numbers(place / "imagelabels.mat", "labels")
        records = []
        for key, split in _SPLITS.items():
            for number in _numbers(place / "setid.mat", key):
                if not 1 <= number <= len(labels):
                    raise UserError(f"setid.mat names image {number} of {len(labels)}; fetch anew")
                name, file = f"{labels[number - 1]:03d}", f"image_{number:05d}.jpg"
                read = partial(read_image, place / "jpg" / file)
                records.append(Record(f"{name}/{file}", name, read, split))
        return sorted(records, key=lambda record: record.image_id)


def _numbers(path: Path, key: str) -> np.ndarray:
    """One vector of whole numbers of a MATLAB file."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        return np.asarray(loadmat(path)[key]).ravel().astype(int)
    except (MatReadError, *_UNREADABLE) as error:
        raise UserError(f"{path} has no {key!r} ({error}); download it again") from error
