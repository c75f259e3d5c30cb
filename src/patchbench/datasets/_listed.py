"""Lists of pictures in CSV files that somebody else wrote: read as they are, or refused."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from patchbench.errors import UserError

_SPLITS = ("train", "val", "test", "drop", "")

Row = dict[str, str]


def read_list(path: Path) -> tuple[list[str], list[Row]]:
    """Columns and rows of a list; what a short row lacks is empty.

    Raises
    ------
    UserError
        If it is no CSV file in UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or [])
            return columns, [{k: (v or "").strip() for k, v in row.items() if k} for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a CSV file in UTF-8 ({error}); save it as one") from error


def check_rows(rows: Sequence[Row], path: Path, root: Path) -> None:
    """Refuse rows of the list ``path`` that do not name a picture, and its class, below ``root``.

    Raises
    ------
    UserError
        With the number of the first such row.
    """
    seen: set[str] = set()
    for number, row in enumerate(rows, start=2):
        _check_row(row, f"{path}, row {number}", root, seen)


def _check_row(row: Row, where: str, root: Path, seen: set[str]) -> None:
    for column in ("file", "mask"):
        if name := row.get(column, ""):
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise UserError(f"{where}: {name} leads out of {root}; use paths inside it")
            if not _is_file(root / name):
                raise UserError(
                    f"{where}: there is no file {root / name}; correct or remove the row"
                )
    if not row["file"] or not row["class"]:
        raise UserError(f"{where}: file or class is empty; fill it or remove the row")
    if row["file"] in seen:
        raise UserError(f"{where}: {row['file']} is listed twice; keep one of the rows")
    if row.get("split", "") not in _SPLITS:
        raise UserError(f"{where}: split {row['split']!r} is unknown; use train, val, test or drop")
    seen.add(row["file"])


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no disk takes: too long, or with a zero byte
        return False
