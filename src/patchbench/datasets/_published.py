"""What data sets that others have published share: archives to fetch, or a copy on this machine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from patchbench import images
from patchbench.download import fetch
from patchbench.errors import UserError
from patchbench.records import Pixels, Record
from patchbench.unpacking import extract


@dataclass(frozen=True)
class Archive:
    """A published file: where it is, and its SHA-256 or, behind ``md5:``, its MD5.

    Attributes
    ----------
    mirrors : tuple of str
        Further addresses of the same file, asked in order where the first does not deliver.
    """

    url: str
    checksum: str
    mirrors: tuple[str, ...] = ()

    @property
    def urls(self) -> tuple[str, ...]:
        """All addresses, in the order in which they are asked."""
        return (self.url, *self.mirrors)

    @property
    def file(self) -> str:
        """Name of the file."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Published(ABC):
    """A published data set, downloaded or from a folder.

    Attributes
    ----------
    root : str or None
        A copy on this machine, unpacked as its archives unpack. None takes the download.
    download_settings : tuple of str
        Names of those settings of a data set on which it depends what is fetched.
    """

    image_size_px: int
    seed: int = 0
    root: str | None = None

    masks: ClassVar[bool] = False
    download_settings: ClassVar[tuple[str, ...]] = ()

    @property
    def needs_download(self) -> bool:
        """True unless ``root`` names a copy."""
        return self.root is None

    @property
    @abstractmethod
    def archives(self) -> Sequence[Archive]:
        """What is fetched."""

    @abstractmethod
    def records(self, folder: Path) -> list[Record]:
        """One record per image, sorted by its id; ``folder`` is that of the download."""

    def download(self, folder: Path) -> None:
        """Fetch every archive, verified, and unpack what is wanted of it into ``folder``."""
        paths = [fetch(a.urls, a.checksum, folder / a.file) for a in self.archives]
        for path in paths:
            self.unpack(path, folder)
        for path in paths:
            if not self.keeps(path.name):
                path.unlink()

    def unpack(self, archive: Path, folder: Path) -> None:
        """Take out of one archive what `wanted` names."""
        extract(archive, folder, self.wanted)

    def keeps(self, file: str) -> bool:
        """Whether a fetched file is used as it is; the others go once they are unpacked."""
        return False

    def wanted(self, name: str) -> str | None:
        """Path to unpack a file of an archive to; None skips it."""
        return name

    def place(self, folder: Path) -> Path:
        """Where the unpacked files are: ``root``, or the folder of the download."""
        if self.root is None:
            return folder
        place = Path(self.root).expanduser()
        if not place.is_dir():
            raise UserError(f"folder {place} does not exist; set root to a copy of the data set")
        return place


def complete(paths: Sequence[Path]) -> None:
    """Refuse a copy that lacks one of these files or folders."""
    absent = [path for path in paths if not path.exists()]
    if absent:
        raise UserError(
            f"{absent[0]} is not there ({len(absent)} of {len(paths)} are missing); complete the "
            "copy, or leave out root and download it"
        )


def in_class_folders(
    place: Path, names: Mapping[str, str] | None = None, split: str | None = None
) -> list[Record]:
    """One record per picture below ``place``, a folder per class, which ``names`` may rename."""
    complete([place])
    files = sorted(file for file in place.glob("*/*") if not file.name.startswith("."))
    if not files:
        raise UserError(f"{place} has no pictures in class folders; complete the copy")
    found = [(file, (names or {}).get(file.parent.name, file.parent.name)) for file in files]
    return [
        Record(f"{name}/{file.name}", name, partial(read_image, file), split)
        for file, name in found
    ]


def read_image(path: Path) -> Pixels:
    """A picture without a mask."""
    return images.decode(path), None


def text_of(path: Path) -> str:
    """What a text file holds.

    Raises
    ------
    UserError
        If the file is missing or no text in UTF-8.
    """
    complete([path])
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is no text in UTF-8 ({error}), so it is damaged or another file; download it "
            "again"
        ) from error


def rows_of(path: Path, row_bytes: int) -> np.ndarray:
    """A file of records of equal length, mapped: uint8 array, (n, row_bytes).

    Raises
    ------
    UserError
        If the file is missing or its length is no multiple of a record's.
    """
    complete([path])
    n_bytes = path.stat().st_size
    if n_bytes == 0 or n_bytes % row_bytes:
        raise UserError(
            f"{path} has {n_bytes} bytes, which is no whole number of records of {row_bytes}; "
            "it is cut off or another file: download it again"
        )
    return np.memmap(path, np.uint8, mode="r", shape=(n_bytes // row_bytes, row_bytes))
