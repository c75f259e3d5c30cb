"""Fetch files whole or not at all, from mirrors in order."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from hashlib import file_digest
from pathlib import Path
from typing import Any

from patchbench import disks, download_cache, limits
from patchbench.errors import UserError
from patchbench.progress import progress
from patchbench.written import count_written

_TIMEOUT_S = 30.0  # of silence
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
    that a server sends instead of the file is refused. Until then it is ``.NAME.part``. With a
    checksum, a transfer that broke off goes on where it stopped, also in the next run and from
    another mirror. Files with a checksum are shared with other projects where
    :mod:`patchbench.download_cache` is told a folder.

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
        If no address delivers; says what happened at each, and the way out. If the disk is full
        or closed to writing.
    """
    if path.is_file() and matches(path, checksum):
        return path
    part = path.with_name(f".{path.name}.part")
    addresses = [urls] if isinstance(urls, str) else urls
    with disks.told(path.parent, "what a download can go on from is kept"):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not _take_shared(checksum, path):
            try:
                # all may be there: the last run was killed before it had looked at it
                if checksum is None or not (part.is_file() and matches(part, checksum)):
                    _fetch_part(addresses, checksum, path, part, attempts, pause_s)
                part.replace(path)
            finally:
                if checksum is None:  # no next run could go on from it
                    part.unlink(missing_ok=True)
            download_cache.offer(path, checksum)
        count_written(path)
    return path


def matches(path: Path, checksum: str | None) -> bool:
    """Tell whether a file has a checksum; always true for None."""
    if checksum is None:
        return True
    algorithm, _, digits = checksum.lower().rpartition(":")
    begins = algorithm == _BEGINS
    with path.open("rb") as file:
        found = file_digest(file, "sha256" if begins else algorithm or "sha256").hexdigest()
    return found.startswith(digits) if begins else found == digits


def _take_shared(checksum: str | None, path: Path) -> bool:
    """Take the file from those that projects share; whether it was there, and undamaged."""
    found = download_cache.shared(checksum)
    try:
        if found is None or not found.is_file() or not matches(found, checksum):
            return False
    except OSError as error:  # somebody else's, and closed to us
        print(f"{found} is not taken: {error.strerror}")
        return False
    download_cache.put(found, path)
    return True


def _fetch_part(
    urls: Sequence[str],
    checksum: str | None,
    path: Path,
    part: Path,
    attempts: int,
    pause_s: float,
) -> None:
    """Bring all of a file, with the right checksum, into ``part``."""
    failures = []
    for url in urls:
        reason = _fetch_from(url, checksum, part, attempts, pause_s)
        if reason is None:
            return
        failures.append(f"{url}: {reason}")
    raise UserError(
        f"could not download {path.name} ({'; '.join(failures)}); check the connection and run "
        f"again, or put the file at {path} by hand"
    )


def _fetch_from(
    url: str, checksum: str | None, part: Path, attempts: int, pause_s: float
) -> str | None:
    """None when ``part`` is whole, otherwise the reason why not."""
    from requests import RequestException
    from urllib3.exceptions import HTTPError

    reason = "not tried"
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause_s * 2 ** (attempt - 1))
        try:
            # without a checksum nothing would tell that two halves do not belong together
            resumed = _transfer(url, part, can_resume=checksum is not None)
        except (RequestException, HTTPError) as error:
            reason, again = _why(error)
        else:
            if matches(part, checksum):
                return None
            part.unlink()
            reason, again = "the checksum differs, so it is not the expected file", resumed
        if not again:
            break
    return reason


def _why(error: Exception) -> tuple[str, bool]:
    """Say what went wrong, in short, and whether trying again may help."""
    from requests import TooManyRedirects

    if isinstance(error, TooManyRedirects):
        return "it is redirected without end", False
    response = getattr(error, "response", None)
    if response is not None:
        code = response.status_code
        return f"status {code} {response.reason}", code in _TRY_AGAIN_STATUS
    if isinstance(error, ValueError):  # a malformed address is a ValueError in requests
        return str(error), False
    return f"the connection failed ({type(error).__name__})", True


def _transfer(url: str, part: Path, can_resume: bool) -> bool:
    """Bring what is lacking of a file; tell whether that was not all of it."""
    import requests

    have = part.stat().st_size if can_resume and part.is_file() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as response:
        if have and response.status_code == 416:  # nothing left to send
            return True
        response.raise_for_status()
        resumed = have > 0 and response.status_code == 206
        size = have if resumed else 0
        _check_size(part, size + _stated_bytes(response))
        with part.open("ab" if resumed else "wb") as file:
            for chunk in _chunks(response, _name(part)):
                size += len(chunk)
                _check_size(part, size)
                file.write(chunk)
    return resumed


def _name(part: Path) -> str:
    """Name of the file that ``part`` will be."""
    return part.name[1:-5]


def _check_size(part: Path, n_bytes: int) -> None:
    most_gib = limits.current().max_download_gib
    if n_bytes > most_gib * 2**30:
        part.unlink(missing_ok=True)
        raise UserError(
            f"{_name(part)} is larger than {most_gib:g} GiB and is not downloaded further; if that "
            "is right, raise max_download_gib"
        )


def _stated_bytes(response: Any) -> int:
    """What a server says it will send; 0 where it does not say."""
    stated = response.headers.get("Content-Length", "")
    return int(stated) if stated.isdecimal() else 0


def _chunks(response: Any, name: str) -> Iterator[bytes]:
    """The bytes as they are sent: some servers call an archive a compressed form of itself."""
    chunks: Iterable[bytes] = response.raw.stream(_CHUNK_BYTES, decode_content=False)
    n_bytes = _stated_bytes(response) or _CHUNK_BYTES + 1
    if n_bytes <= _CHUNK_BYTES:  # a bar for every small file would be noise
        yield from chunks
    else:
        yield from progress(chunks, f"Downloading {name}", "MiB", -(-n_bytes // _CHUNK_BYTES))
