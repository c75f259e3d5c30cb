"""Fetch files whole or not at all, from mirrors in order."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from patchbench import limits
from patchbench.errors import UserError
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
                size = have if self.resumed else 0
                self._check_size(size + _stated_bytes(response))
                with self.part.open("ab" if self.resumed else "wb") as file:
                    for chunk in _chunks(response, self.part.name[1:-5]):
                        size += len(chunk)
                        self._check_size(size)
                        file.write(chunk)
        self.part.replace(output_file)

    def _check_size(self, n_bytes: int) -> None:
        most_gib = limits.current().max_download_gib
        if n_bytes > most_gib * 2**30:
            self.part.unlink(missing_ok=True)
            raise UserError(
                f"{self.part.name[1:-5]} is larger than {most_gib:g} GiB and is not downloaded "
                "further; if that is right, raise max_download_gib"
            )


def _stated_bytes(response: Any) -> int:
    """What a server says it will send; 0 where it does not say."""
    stated = response.headers.get("Content-Length", "")
    return int(stated) if stated.isdecimal() else 0


def _chunks(response: Any, name: str) -> Iterator[bytes]:
    chunks: Iterable[bytes] = response.iter_content(_CHUNK_BYTES)
    n_bytes = _stated_bytes(response) or _CHUNK_BYTES + 1
    if n_bytes <= _CHUNK_BYTES:  # a bar for every small file would be noise
        yield from chunks
    else:
        yield from progress(chunks, f"Downloading {name}", "MiB", -(-n_bytes // _CHUNK_BYTES))
