"""Fetch files whole or not at all, from mirrors in order, and unpack archives safely."""

from __future__ import annotations

import stat
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

from patchbench.errors import UserError
from patchbench.io import replacing
from patchbench.progress import progress
from patchbench.written import count_written

_TIMEOUT_S = 30
_CHUNK_BYTES = 1 << 20
# PyTorch's hub names files after the first digits of their SHA-256
_BEGINS = "sha256-begins"
_TRY_AGAIN_STATUS = (408, 425, 429, 500, 502, 503, 504)


def fetch(
    urls: str | Sequence[str],
    checksum: str | None,
    path: Path,
    attempts: int = 3,
    pause_s: float = 1.0,
) -> Path:
    """Download a file unless it is already there.

    It appears under its name only when complete and with the right checksum, so a web page
    that a server sends instead of the file is refused. With a checksum, a transfer that broke
    off goes on where it stopped, also in the next run and from another mirror.

    Parameters
    ----------
    urls : str or sequence of str
        Addresses of the same file, tried in order.
    checksum : str or None
        SHA-256 in hex, ``sha256-begins:`` and its first digits, or ``md5:...``; None where
        nobody publishes one.
    path : Path
        Where the file goes.
    attempts : int
        Tries per address when the connection fails or the server is busy.
    pause_s : float
        Seconds before the second try; doubled before each further one.

    Raises
    ------
    UserError
        If no address delivers; says what happened at each, and the way out.
    """
    if path.is_file() and matches(path, checksum):
        return path
    addresses = [urls] if isinstance(urls, str) else list(urls)
    failures = []
    for url in addresses:
        reason = _fetch_from(url, checksum, path, attempts, pause_s)
        if reason is None:
            count_written(path)
            return path
        failures.append(f"{url}: {reason}")
    raise UserError(
        f"could not download {path.name} ({'; '.join(failures)}); check the connection and run "
        f"again, or put the file at {path} by hand"
    )


def matches(path: Path, checksum: str | None) -> bool:
    """Tell whether a file has a checksum; always true for None."""
    from pooch import file_hash

    if checksum is None:
        return True
    algorithm, _, digest = checksum.rpartition(":")
    if algorithm == _BEGINS:
        return bool(file_hash(str(path), alg="sha256").startswith(digest.lower()))
    return bool(file_hash(str(path), alg=algorithm or "sha256") == digest.lower())


def _fetch_from(
    url: str, checksum: str | None, path: Path, attempts: int, pause_s: float
) -> str | None:
    """None when ``path`` is there, otherwise the reason why not."""
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel("WARNING")
    reason = "not tried"
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause_s * 2 ** (attempt - 1))
        transfer = _Transfer(path, can_resume=checksum is not None)
        try:
            _retrieve(url, checksum, path, transfer)
            return None
        except RequestException as error:
            reason, again = _why(error)
        except ValueError:  # the file is removed by then
            reason, again = "the checksum differs, so it is not the expected file", transfer.resumed
        if not again:
            break
    return reason


def _retrieve(url: str, checksum: str | None, path: Path, transfer: _Transfer) -> None:
    """One transfer; raises a ValueError where the checksum differs."""
    import pooch

    if checksum is None or not checksum.startswith(_BEGINS):
        pooch.retrieve(url, checksum, path.name, path.parent, downloader=transfer)
        return
    # pooch knows whole checksums only: it fetches under another name, to be looked at here
    arrived = path.with_name(f".{path.name}.arrived")
    arrived.unlink(missing_ok=True)
    pooch.retrieve(url, None, arrived.name, path.parent, downloader=transfer)
    if not matches(arrived, checksum):
        arrived.unlink()
        raise ValueError("checksum")
    arrived.replace(path)


def _why(error: Any) -> tuple[str, bool]:
    """Say what went wrong, in short, and whether trying again may help."""
    if error.response is not None:
        code = error.response.status_code
        return f"status {code} {error.response.reason}", code in _TRY_AGAIN_STATUS
    if isinstance(error, ValueError):  # a malformed address is a ValueError in requests
        return str(error), False
    return f"the connection failed ({type(error).__name__})", True


class _Transfer:
    """Downloader for pooch that keeps what it got in ``.NAME.part`` and goes on from there."""

    def __init__(self, path: Path, can_resume: bool) -> None:
        self.part = path.with_name(f".{path.name}.part")
        self.resumed = False
        if not can_resume:
            # without a checksum nothing would tell that two halves do not belong together
            self.part.unlink(missing_ok=True)

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        import requests

        have = self.part.stat().st_size if self.part.is_file() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as response:
            if have and response.status_code == 416:  # nothing left to send
                self.resumed = True
            else:
                response.raise_for_status()
                self.resumed = response.status_code == 206
                with self.part.open("ab" if self.resumed else "wb") as file:
                    for chunk in _chunks(response, self.part.name[1:-5]):
                        file.write(chunk)
        self.part.replace(output_file)


def _chunks(response: Any, name: str) -> Iterator[bytes]:
    chunks: Iterable[bytes] = response.iter_content(_CHUNK_BYTES)
    n_bytes = int(response.headers.get("Content-Length", _CHUNK_BYTES + 1))
    if n_bytes <= _CHUNK_BYTES:  # a bar for every small file would be noise
        yield from chunks
    else:
        yield from progress(chunks, f"Downloading {name}", "MiB", -(-n_bytes // _CHUNK_BYTES))


def extract(
    archive: Path,
    folder: Path,
    rename: Callable[[str], str | None] = lambda name: name,
    max_gib: float = 50.0,
) -> list[str]:
    """Unpack the files of a zip or tar archive that nobody here has made.

    Parameters
    ----------
    archive, folder : Path
        What to unpack, and where to.
    rename : callable
        From a file's name in the archive to its path under ``folder``; None skips it.
    max_gib : float
        Unpacking more than this is refused.

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
    left = int(max_gib * 2**30)
    written = []
    try:
        for name, content in _members(archive, rename):
            target = folder / _inside(name, archive)
            with replacing(target) as temporary, temporary.open("wb") as file:
                while chunk := content.read(_CHUNK_BYTES):
                    left -= len(chunk)
                    if left < 0:
                        raise UserError(
                            f"{archive.name} unpacks to more than {max_gib:g} GiB; "
                            "if that is right, unpack it by hand"
                        )
                    file.write(chunk)
            written.append(name)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise UserError(
            f"{archive} cannot be unpacked ({error}); delete it and download it again"
        ) from error
    return written


def _members(archive: Path, rename: Callable[[str], str | None]) -> Iterator[tuple[str, IO[bytes]]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                name = None if info.is_dir() else rename(info.filename)
                if name is not None:
                    kind = stat.S_IFMT(info.external_attr >> 16)
                    _refuse_special(kind in (0, stat.S_IFREG), info.filename, archive)
                    with zipped.open(info) as content:
                        yield name, content
        return
    with tarfile.open(archive, "r|*") as tar:
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
