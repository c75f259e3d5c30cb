"""Your own images: a folder per class, or a CSV file that lists them.

Three layouts are understood:

* ``root/class/file.jpg`` (folders below the class folder are searched too);
* ``root/train/class/file.jpg`` with ``val`` and ``test`` beside ``train``;
* ``csv``: columns ``file`` (relative to ``root``) and ``class``, and where you have them
  ``split`` (train, val, test, or drop), ``group`` (images of one scene or patient share it and
  stay on one side of the split) and ``mask`` (an image of the same size, bright on the object).

Every file below a class folder counts as an image unless its name starts with a dot; one that
cannot be decoded is reported and left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from patchbench import images
from patchbench.datasets._listed import check_rows, read_list
from patchbench.errors import UserError
from patchbench.records import BadImageError, Pixels, Record

_SPLIT_FOLDERS = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
_NO_IMAGES = ("thumbs.db", "desktop.ini")  # what file browsers leave behind


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Images of your own, in folders or listed in a CSV file.

    Attributes
    ----------
    root : str
        Folder of the images.
    csv : str or None
        Name of the CSV file, relative to ``root``; None reads the folders.
    """

    image_size_px: int
    seed: int = 0
    root: str
    csv: str | None = None

    masks: ClassVar[bool] = False
    summary: ClassVar[str] = "Your own images: a folder per class, or a CSV file that lists them."
    licence: ClassVar[str] = "yours"

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if not self.root:
            raise ValueError("root is empty; give the folder of the images")

    @property
    def needs_download(self) -> bool:
        """Always false: the images are on this machine."""
        return False

    def records(self, folder: Path) -> list[Record]:
        """One record per image of ``root``; ``folder`` is not used."""
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise UserError(
                f"folder {self.root} does not exist; set root to the folder of the images"
            )
        rows = _from_folders(root) if self.csv is None else _from_csv(root, root / self.csv)
        records = [
            Record(
                row["file"],
                row["class"],
                partial(_read, root, row["file"], row.get("mask", "")),
                row.get("split") or None,
                row.get("group") or None,
            )
            for row in rows
        ]
        return sorted(records, key=lambda record: record.image_id)


def _read(root: Path, file: str, mask_file: str) -> Pixels:
    pixels = images.decode(root / file)
    if not mask_file:
        return pixels, None
    try:
        mask = images.decode_mask(root / mask_file)
    except BadImageError as error:
        raise BadImageError(f"its mask {mask_file}: {error}") from error
    if mask.shape != pixels.shape[:2]:
        raise BadImageError(
            f"its mask {mask_file} is {mask.shape[1]} x {mask.shape[0]} px, "
            f"the image {pixels.shape[1]} x {pixels.shape[0]} px"
        )
    return pixels, mask


def _from_folders(root: Path) -> list[dict[str, str]]:
    tops = _subfolders(root)
    if not tops:
        raise UserError(
            f"folder {root} has no class folders; put the images of each class in a folder of its "
            "own, or list them in a CSV file and set csv"
        )
    if "train" in (names := {top.name for top in tops}) and names <= set(_SPLIT_FOLDERS):
        return [
            row | {"split": _SPLIT_FOLDERS[top.name]}
            for top in tops
            for class_folder in _subfolders(top)
            for row in _class_rows(root, class_folder)
        ]
    return [row for top in tops for row in _class_rows(root, top)]


def _subfolders(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))


def _class_rows(root: Path, folder: Path) -> list[dict[str, str]]:
    files = [
        file.relative_to(root).as_posix()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and file.name.lower() not in _NO_IMAGES
    ]
    if not files:
        raise UserError(f"class folder {folder} has no image; add images or remove the folder")
    return [{"file": file, "class": folder.name} for file in files]


def _from_csv(root: Path, path: Path) -> list[dict[str, str]]:
    try:
        columns, rows = read_list(path)
    except FileNotFoundError as error:
        raise UserError(f"CSV file {path} does not exist; set csv to a file in {root}") from error
    missing = [name for name in ("file", "class") if name not in columns]
    if missing:
        raise UserError(
            f"{path} has no column {' and no column '.join(missing)} "
            f"(it has: {', '.join(columns)}); name them file,class "
            "and optionally split,group,mask"
        )
    check_rows(rows, path, root)
    return rows
