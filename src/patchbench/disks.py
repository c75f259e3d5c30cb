"""Files come into their place whole; what a disk refuses is told in one sentence."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile

from patchbench.errors import UserError
from patchbench.written import count_written

PART = ".part"  # how the name of a file ends while it is written
_FULL = {errno.ENOSPC: "is full", errno.EDQUOT: "holds as much as your quota allows"}
_CLOSED = {
    errno.EROFS: "is mounted read-only",
    errno.EACCES: "may not be written to by you",
    errno.EPERM: "may not be written to by you",
}


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well.

    Raises
    ------
    UserError
        If the disk is full or closed to writing.
    """
    path = Path(path)
    with told(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        with NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name[:80]}.", suffix=PART, delete=False
        ) as file:
            temporary = Path(file.name)
        try:
            yield temporary
            temporary.chmod(0o644)
            temporary.replace(path)
            count_written(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def told(folder: Path, left: str = "nothing half-written is left") -> Iterator[None]:
    """Tell of a disk that refuses what the block writes into a folder.

    Parameters
    ----------
    folder : Path
        Where the block writes.
    left : str
        What becomes of a file that did not get whole.

    Raises
    ------
    UserError
        If the disk is full or closed to writing; it names the disk and the folder.
    """
    try:
        yield
    except OSError as error:
        if (sentence := _sentence(error, folder, left)) is None:
            raise
        raise UserError(sentence) from error


def _sentence(error: OSError, folder: Path, left: str) -> str | None:
    """The sentence for an error that a disk is the reason of."""
    if error.errno in _FULL:
        disk = mount_point(folder)
        size_mib = shutil.disk_usage(disk).total / 2**20
        return (
            f"{folder} cannot be written to: its disk, {disk} of {size_mib:,.1f} MiB, "
            f"{_FULL[error.errno]}; make room there and run snakemake again: nothing finished is "
            f"lost, {left}"
        )
    if error.errno in _CLOSED and not _open(folder):
        return (
            f"{folder} cannot be written to: it {_CLOSED[error.errno]}; open it to writing, or "
            "make it a link to a folder that is"
        )
    return None


def mount_point(path: Path) -> Path:
    """Where the disk that a path lies on, or will lie on, is mounted."""
    here = _existing(path)
    while not here.is_mount():
        here = here.parent
    return here


def refuse_closed(folder: Path) -> None:
    """Stop before any work if nothing can be written into a folder, which need not exist yet.

    Raises
    ------
    UserError
        As `told` does.
    """
    if not _open(folder):
        read_only = os.statvfs(_existing(folder)).f_flag & os.ST_RDONLY
        with told(folder):
            raise OSError(errno.EROFS if read_only else errno.EACCES, "closed")


def _open(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder itself."""
    return os.access(_existing(folder), os.W_OK)


def _existing(folder: Path) -> Path:
    """The folder, or what is there already of the way to it."""
    there = folder.resolve()
    while not there.exists():
        there = there.parent
    return there


def reserve(path: Path) -> None:
    """Give a sparse file its blocks now.

    A process that writes through a memory map to a disk without room is killed by a bus error and
    can say nothing; asked for the room before, the disk answers with an `OSError`.
    """
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _remove_leftovers(path: Path) -> None:
    """Take away what killed jobs had written of a file; never what this process writes."""
    mine = re.compile(re.escape(f".{path.name}.") + r"\w{8}" + re.escape(PART))
    for name in _parts(path.parent):
        if mine.fullmatch(name):
            (path.parent / name).unlink(missing_ok=True)


@cache
def _parts(folder: Path) -> tuple[str, ...]:
    """Unfinished files as they were when this process first wrote there: one look per folder."""
    return tuple(entry.name for entry in folder.iterdir() if entry.name.endswith(PART))
