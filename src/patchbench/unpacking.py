"""Unpack archives that nobody here has made: nothing outside their folder, no links, no bombs."""

from __future__ import annotations

import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from patchbench import limits
from patchbench.errors import UserError
from patchbench.io import replacing

_CHUNK_BYTES = 1 << 20
_MOST_ENTRIES = 5_000_000
# what reading a damaged archive raises, by kind and compression
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,  # a compression that Python has not
    RuntimeError,  # encrypted
    EOFError,
    OSError,
    MemoryError,  # LZMA states how much it wants
    OverflowError,
    TypeError,  # tarfile, of gzip that ends within its header
    ValueError,  # names that no disk takes
    struct.error,
)
_LONGEST_HEADER_BYTES = 1 << 20


class _Member(tarfile.TarInfo):
    """A member whose name, where it has a block of its own, is no bomb: it is read whole."""

    _WHOLE = (
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
    )

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        """Parse a header, and refuse a name of megabytes."""
        found = super().frombuf(buf, encoding, errors)
        if found.type in cls._WHOLE and found.size > _LONGEST_HEADER_BYTES:
            raise tarfile.ReadError(f"a name of {found.size:,} bytes")
        return found


def extract(
    archive: Path,
    folder: Path,
    rename: Callable[[str], str | None] = lambda name: name,
    max_gib: float | None = None,
) -> list[str]:
    """Unpack the files of a zip or tar archive.

    Parameters
    ----------
    archive, folder : Path
        What to unpack, and where to.
    rename : callable
        From a file's name in the archive to its path under ``folder``; None skips it.
    max_gib : float or None
        Unpacking more than this is refused; None takes the limit that holds (see `limits`).

    Returns
    -------
    names : list of str
        Paths written, relative to ``folder``, in the order of the archive.

    Raises
    ------
    UserError
        If it is no archive, is cut off or too large, or holds a path that leads out of
        ``folder``, a link or a device, or millions of entries.
    """
    room = _Room(archive, max_gib)
    written = []
    with _broken_told(archive):
        for name, content in _members(archive, rename):
            room.write(content, folder / _inside(name, archive))
            written.append(name)
    return written


def gunzip(packed: Path, target: Path) -> None:
    """Unpack a file that gzip has compressed by itself.

    Raises
    ------
    UserError
        If it is no such file, is cut off or unpacks to more than the limit that holds.
    """
    with _broken_told(packed), gzip.open(packed) as content:
        _Room(packed).write(content, target)


@contextmanager
def _broken_told(archive: Path) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise UserError(
            f"{archive} cannot be unpacked ({str(error) or type(error).__name__}); delete it and "
            "download it again"
        ) from error


class _Room:
    """What an archive may take on the disk, and what of it is left."""

    def __init__(self, archive: Path, max_gib: float | None = None) -> None:
        self.archive = archive
        self.most_gib = limits.current().max_download_gib if max_gib is None else max_gib
        self.left = int(self.most_gib * 2**30)

    def write(self, content: IO[bytes] | gzip.GzipFile, target: Path) -> None:
        """Write one file of it."""
        with replacing(target) as temporary, temporary.open("wb") as file:
            while chunk := content.read(_CHUNK_BYTES):
                self.left -= len(chunk)
                if self.left < 0:
                    raise UserError(
                        f"{self.archive.name} unpacks to more than {self.most_gib:g} GiB; "
                        "if that is right, raise max_download_gib"
                    )
                file.write(chunk)


def _members(archive: Path, rename: Callable[[str], str | None]) -> Iterator[tuple[str, IO[bytes]]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for number, info in enumerate(zipped.infolist()):
                _refuse_many(number, archive)
                # an empty name is no folder, and refused below
                name = None if info.filename.endswith("/") else rename(info.filename)
                if name is not None:
                    kind = stat.S_IFMT(info.external_attr >> 16)
                    _refuse_special(kind in (0, stat.S_IFREG), info.filename, archive)
                    with zipped.open(info) as content:
                        yield name, content
        return
    with tarfile.open(archive, "r|*", tarinfo=_Member) as tar:
        for number, member in enumerate(tar):
            _refuse_many(number, archive)
            name = None if member.isdir() else rename(member.name)
            if name is not None:
                _refuse_special(member.isfile(), member.name, archive)
                content_or_none = tar.extractfile(member)
                if content_or_none is not None:
                    yield name, content_or_none


def _refuse_many(number: int, archive: Path) -> None:
    """Also those that are skipped count: a few bytes can stand for as many as one likes."""
    if number >= _MOST_ENTRIES:
        raise UserError(
            f"{archive.name} holds more than {_MOST_ENTRIES:,} files, and is not unpacked "
            "further; look at it by hand"
        )


def _refuse_special(is_plain: bool, name: str, archive: Path) -> None:
    if not is_plain:
        raise UserError(
            f"{archive.name} holds {name!r}, a link or a device, and is not unpacked further; "
            "look at it by hand"
        )


def _inside(name: str, archive: Path) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise UserError(
            f"{archive.name} holds {name!r}, which leads out of its folder, and is not unpacked "
            "further; look at it by hand"
        )
    return path
