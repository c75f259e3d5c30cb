"""The flowers of the study: 4,242 photographs of daisy, dandelion, rose, sunflower and tulip.

Source: https://github.com/rui-yan/CS229-bagnet, which took them from
https://www.kaggle.com/alxmamaev/flowers-recognition. Licence: not established; the file names
are Flickr ids. Use them for research, do not pass them on.

``flowers5.csv.gz`` beside this file has one row per picture: its SHA-256 in the repository, its
split in each of three ways to split, and its group (pictures of the same scene, found by
perceptual hashes and matched SIFT features).

* ``leak-free``: the authors' split without 81 pictures that are copies, carry two labels, or
  show a scene of another split: 2898 / 838 / 425 in train / val / test.
* ``authors``: as published in the repository, 2968 / 848 / 426. 38 scenes are on two sides.
* ``logged``: the one that the authors' logs were made on, 3073 / 875 / 375. It needs 85 pictures
  that were later deleted from the repository; no checksum of them is known, so their download
  is checked only by decoding them.
"""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from patchbench import images
from patchbench.datasets._listed import check_rows, read_list
from patchbench.download import fetch, matches
from patchbench.errors import UserError
from patchbench.progress import progress
from patchbench.records import BadImageError, Pixels, Record
from patchbench.unpacking import extract

METADATA_PATH = Path(__file__).with_name("flowers5.csv.gz")
ARCHIVE_URL = "https://codeload.github.com/rui-yan/CS229-bagnet/tar.gz/f34fd567a048e5f067ed10956dd2f1d549360542"
FILE_URLS = (
    "https://raw.githubusercontent.com/rui-yan/CS229-bagnet/f34fd567a048e5f067ed10956dd2f1d549360542/flowers_original/{file}",
    "https://github.com/rui-yan/CS229-bagnet/raw/f34fd567a048e5f067ed10956dd2f1d549360542/flowers_original/{file}",
)
EXTRA_URL = "https://raw.githubusercontent.com/rui-yan/CS229-bagnet/f644374fedc2bbe65187af26c4446dc7ecde6595/flowers/{split}/{file}"
SPLIT_COLUMNS = {"leak-free": "leak_free", "authors": "authors", "logged": "logged"}
_FEW = 100


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The study's flowers, downloaded or from a folder.

    Attributes
    ----------
    root : str or None
        A copy on this machine: a folder per class with the repository's file names, at any
        size; the 85 pictures of the logged split beside them or in ``../flowers5-extra``. All
        pictures of the chosen split must be there. A smaller set states its own split in
        ``root/splits.csv`` (columns file, class, split), and ``splits`` does not count. None
        takes the download.
    splits : str
        ``leak-free``, ``authors`` or ``logged``.
    """

    image_size_px: int
    seed: int = 0
    root: str | None = None
    splits: str = "leak-free"

    masks: ClassVar[bool] = False
    download_settings: ClassVar[tuple[str, ...]] = ("splits",)
    summary: ClassVar[str] = "The study's 4,242 photographs of five kinds of flowers."
    licence: ClassVar[str] = "not established (photographs from Flickr); research use only"

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if self.splits not in SPLIT_COLUMNS:
            raise ValueError(f"splits is {self.splits!r}; choose one of {', '.join(SPLIT_COLUMNS)}")

    @property
    def needs_download(self) -> bool:
        """True unless ``root`` names a copy."""
        return self.root is None

    def download(self, folder: Path) -> None:
        """Bring every picture of the chosen split into ``folder``, each one verified."""
        rows = self._rows()
        known = {row["file"]: row["sha256"] for row in rows if row["sha256"]}
        wrong = _wrong(known, folder)
        if len(wrong) > _FEW:
            _download_archive(folder, set(wrong))
            wrong = _wrong(wrong, folder)
        for file, checksum in progress(wrong.items(), "Downloading flowers", "file", len(wrong)):
            fetch([url.format(file=file) for url in FILE_URLS], checksum, folder / file)
        for row in rows:
            if not row["sha256"]:
                _download_extra(row, folder)

    def records(self, folder: Path) -> list[Record]:
        """One record per picture of the chosen split, those to drop included."""
        if self.root is not None:
            folder = Path(self.root).expanduser()
            if not folder.is_dir():
                raise UserError(
                    f"folder {folder} does not exist; set root to a copy of the flowers"
                )
            if own := _own_split(folder):
                return [_record(folder / row["file"], row["file"], row["split"], "") for row in own]
        rows = self._rows()
        places = (folder, folder.parent / "flowers5-extra")
        paths = {row["file"]: _find(row, places) for row in rows}
        missing = [file for file, path in paths.items() if path is None]
        if missing:
            # _find looks for the pictures of the logged split in the second place as well
            also = f" and {places[1]}" if self.splits == "logged" else ""
            raise UserError(
                f"{len(missing)} of the {len(rows)} pictures of the {self.splits} split are not in "
                f"{folder}{also}, the first of them {missing[0]}; complete the folder, or leave "
                "out root and download them"
            )
        clean = self.splits == "leak-free"
        return [
            _record(
                path, row["file"], row[SPLIT_COLUMNS[self.splits]], row["group"] if clean else ""
            )
            for row in rows
            if (path := paths[row["file"]]) is not None
        ]

    def _rows(self) -> list[dict[str, str]]:
        """Metadata of the pictures that the chosen split speaks of, sorted by file."""
        column = SPLIT_COLUMNS[self.splits]
        return [row for row in read_metadata(METADATA_PATH) if row[column]]


def read_metadata(path: Path) -> list[dict[str, str]]:
    """Rows of the list: file, sha256, authors, logged, leak_free, group."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return sorted(csv.DictReader(file), key=lambda row: row["file"])


def _record(path: Path, file: str, split: str, group: str) -> Record:
    return Record(file, file.split("/")[0], partial(_read, path), split or None, group or None)


def _read(path: Path) -> Pixels:
    return images.decode(path), None


def _own_split(root: Path) -> list[dict[str, str]]:
    """Give the folder's own list, if it is of another set of pictures than the study's."""
    path = root / "splits.csv"
    if not path.is_file():
        return []
    columns, rows = read_list(path)
    if not rows or not {"file", "class", "split"} <= set(columns):
        raise UserError(
            f"{path} has no rows, or no columns file,class,split; correct it or remove it"
        )
    study = {row["file"] for row in read_metadata(METADATA_PATH) if row["sha256"]}
    if {row["file"] for row in rows} == study:
        return []
    check_rows(rows, path, root)
    return sorted(rows, key=lambda row: row["file"])


def _find(row: dict[str, str], places: tuple[Path, Path]) -> Path | None:
    candidates = places if not row["sha256"] else places[:1]
    return next((p for place in candidates if (p := place / row["file"]).is_file()), None)


def _wrong(checksums: dict[str, str], folder: Path) -> dict[str, str]:
    """Those that are absent or not as they should be."""
    return {
        file: checksum
        for file, checksum in checksums.items()
        if not ((folder / file).is_file() and matches(folder / file, checksum))
    }


def _download_archive(folder: Path, wanted: set[str]) -> None:
    """Take the wanted pictures out of the repository's archive; on failure take none."""
    archive = folder / "repository.tar.gz"

    def rename(name: str) -> str | None:
        file = name.partition("/flowers_original/")[2]
        return file if file in wanted else None

    try:
        fetch(ARCHIVE_URL, None, archive)
        extract(archive, folder, rename)
    except UserError as error:
        print(f"{error}; going on file by file")
    archive.unlink(missing_ok=True)


def _download_extra(row: dict[str, str], folder: Path) -> None:
    path = folder / row["file"]
    # the authors wrote "valid" before they wrote "val"
    names = ("valid", "val") if row["logged"] == "val" else (row["logged"],)
    fetch([EXTRA_URL.format(split=name, file=row["file"]) for name in names], None, path)
    try:
        images.decode(path)
    except BadImageError as error:
        path.unlink()
        raise UserError(f"{row['file']} was downloaded but {error}; run again later") from error
