"""Unpack archives that nobody here has made: nothing outside their folder, no links, no bombs."""

from __future__ import annotations

import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from patchbench import limits
from patchbench.errors import UserError
from patchbench.io import replacing

_CHUNK_BYTES = 1 << 20
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
        ``folder``, a link or a device.
    """
    most_gib = limits.current().max_download_gib if max_gib is None else max_gib
    left = int(most_gib * 2**30)
    written = []
    try:
        for name, content in _members(archive, rename):
            target = folder / _inside(name, archive)
            with replacing(target) as temporary, temporary.open("wb") as file:
                while chunk := content.read(_CHUNK_BYTES):
                    left -= len(chunk)
                    if left < 0:
                        raise UserError(
                            f"{archive.name} unpacks to more than {most_gib:g} GiB; "
                            "if that is right, raise max_download_gib"
                        )
                    file.write(chunk)
            written.append(name)
    except _BROKEN as error:
        raise UserError(
            f"{archive} cannot be unpacked ({str(error) or type(error).__name__}); delete it and "
            "download it again"
        ) from error
    return written


def _members(archive: Path, rename: Callable[[str], str | None]) -> Iterator[tuple[str, IO[bytes]]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                # an empty name is no folder, and refused below
                name = None if info.filename.endswith("/") else rename(info.filename)
                if name is not None:
                    kind = stat.S_IFMT(info.external_attr >> 16)
                    _refuse_special(kind in (0, stat.S_IFREG), info.filename, archive)
                    with zipped.open(info) as content:
                        yield name, content
        return
    with tarfile.open(archive, "r|*", tarinfo=_Member) as tar:
        for member in tar:
            name = None if member.isdir() else rename(member.name)
            if name is not None:
                _refuse_special(member.isfile(), member.name, archive)
                content_or_none = tar.extractfile(member)
                if content_or_none is not None:
                    yield name, content_or_none


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
