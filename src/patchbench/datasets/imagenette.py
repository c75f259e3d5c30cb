"""Imagenette: 13,394 photographs of ten classes of ImageNet that are easy to tell apart.

Howard, "Imagenette", 2019, https://github.com/fastai/imagenette (second version). Its val is test
here, and val is dealt from its train. Licence: the photographs' own, as in ImageNet; research use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import ClassVar

from patchbench.datasets._published import Archive, Published, in_class_folders
from patchbench.records import Record

_BASE = "https://s3.amazonaws.com/fast-ai-imageclas"
ARCHIVES = {
    "160": Archive(
        f"{_BASE}/imagenette2-160.tgz",
        "88daccb09b6fce93f45e6c09ddeb269cce705549e6bff322092a2a5a11489863",
    ),
    "320": Archive(
        f"{_BASE}/imagenette2-320.tgz",
        "5020a9130cea0348272823cb12d2db7e981c6f2afa3dce71ccd5b8013005c55e",
    ),
    "full": Archive(
        f"{_BASE}/imagenette2.tgz",
        "de32de18a7d8df0114d5e2c3c14cafb9558e8f00441a73aa7953681ad02be49c",
    ),
}
CLASSES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}
_SPLITS = {"train": "train", "val": "test"}


@dataclass(frozen=True, kw_only=True)
class Dataset(Published):
    """Imagenette; ``root`` holds ``imagenette2-160`` or its like.

    Attributes
    ----------
    size : str
        Shorter side of the photographs, px: ``160``, ``320`` or ``full``.
    """

    size: str = "160"

    download_settings: ClassVar[tuple[str, ...]] = ("size",)
    summary: ClassVar[str] = "13,394 photographs of ten easy classes of ImageNet (Imagenette)."
    licence: ClassVar[str] = "the photographs' own, as in ImageNet; research use"

    def __post_init__(self) -> None:
        """Refuse a size that is not published."""
        if self.size not in ARCHIVES:
            raise ValueError(f"size is {self.size!r}; choose one of {', '.join(ARCHIVES)}")

    @property
    def archives(self) -> Sequence[Archive]:
        """The archive of the chosen size."""
        return (ARCHIVES[self.size],)

    def records(self, folder: Path) -> list[Record]:
        """One record per photograph."""
        place = self.place(folder) / ARCHIVES[self.size].file.removesuffix(".tgz")
        found = (in_class_folders(place / own, CLASSES, split) for own, split in _SPLITS.items())
        return sorted(chain.from_iterable(found), key=lambda record: record.image_id)
