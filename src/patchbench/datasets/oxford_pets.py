"""Oxford-IIIT Pet: 7,349 photographs of 37 breeds of cats and dogs, the animal marked in each.

Parkhi, Vedaldi, Zisserman & Jawahar, "Cats and dogs", CVPR 2012,
https://www.robots.ox.ac.uk/~vgg/data/pets/. Its test stays test, val is dealt from its trainval.
In the trimaps 1 is the animal, 2 the background and 3 the rim between them, which counts as
animal in the masks here. Licence: CC BY-SA 4.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from patchbench import images
from patchbench.datasets._published import Archive, Published, complete, text_of
from patchbench.errors import UserError
from patchbench.records import BadImageError, Pixels, Record

_BASE = "https://www.robots.ox.ac.uk/~vgg/data/pets/data"
ARCHIVES = (
    Archive(
        f"{_BASE}/images.tar.gz",
        "67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d",
    ),
    Archive(
        f"{_BASE}/annotations.tar.gz",
        "52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91",
    ),
)
_LISTS = {"trainval.txt": "train", "test.txt": "test"}
_BACKGROUND = 2


@dataclass(frozen=True, kw_only=True)
class Dataset(Published):
    """Oxford-IIIT Pet; ``root`` holds ``images`` and ``annotations``."""

    masks: ClassVar[bool] = True
    summary: ClassVar[str] = "7,349 photographs of 37 breeds of cats and dogs, with masks."
    licence: ClassVar[str] = "CC BY-SA 4.0"

    @property
    def archives(self) -> Sequence[Archive]:
        """Photographs, then lists and trimaps."""
        return ARCHIVES

    def wanted(self, name: str) -> str | None:
        """Skip bounding boxes, and what a file system left behind."""
        hidden = name.rpartition("/")[2].startswith(".")
        return None if hidden or name.endswith((".mat", ".xml")) else name

    def records(self, folder: Path) -> list[Record]:
        """One record per photograph of the lists, classes by breed."""
        place = self.place(folder)
        lists = {place / "annotations" / name: split for name, split in _LISTS.items()}
        complete([place / "images", *lists])
        records = [
            Record(f"{_breed(name)}/{name}.jpg", _breed(name), partial(_read, place, name), split)
            for path, split in lists.items()
            for name in _names(path)
        ]
        return sorted(records, key=lambda record: record.image_id)


def _names(path: Path) -> list[str]:
    """First words of the lines of a list; a name that leads elsewhere is refused."""
    lines = text_of(path).splitlines()
    names = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
    odd = [name for name in names if "/" in name or "\\" in name or "_" not in name]
    if odd:
        raise UserError(f"{path} lists {odd[0]!r}, which is no picture of this data set")
    return names


def _breed(name: str) -> str:
    return name.rpartition("_")[0]


def _read(place: Path, name: str) -> Pixels:
    pixels = images.decode(place / "images" / f"{name}.jpg")
    try:
        trimap = images.decode_values(place / "annotations" / "trimaps" / f"{name}.png")
    except BadImageError as error:
        raise BadImageError(f"its trimap: {error}") from error
    if trimap.shape != pixels.shape[:2]:
        raise BadImageError(f"its trimap is {trimap.shape}, the image {pixels.shape[:2]}")
    return pixels, trimap != _BACKGROUND
