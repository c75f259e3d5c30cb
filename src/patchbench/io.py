"""Read and write the files between stages: whole or not at all, checked by whoever reads.

Every file is written under a temporary name and renamed, so a killed job leaves nothing
half-written behind. Every file carries a checksum of its content and its provenance (which
code, settings and versions made it) *inside itself*, so the two cannot be separated:

* ``.npy`` and ``.npz`` (fitted models): a JSON trailer, which NumPy ignores, also when
  memory-mapping;
* ``.parquet``: key-value metadata, with a hash of the table's own buffers;
* ``.json``: the keys ``sha256`` and ``provenance``.
"""

import json
import platform
import struct
from collections.abc import Mapping
from contextlib import ExitStack
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from patchbench import arrays, disks, tables
from patchbench.disks import replacing as replacing  # part of what this module gives
from patchbench.errors import UserError
from patchbench.memory import is_short

MAGIC = b"patchbench-sum-1"
_TAIL = struct.Struct("<Q16s")
_CHUNK_BYTES = 1 << 22


class DamagedFileError(UserError):
    """A file does not hold what was written into it."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        # a link, such as one into a cache, would lead to the same bytes again
        what = f"it and {path.resolve()}, which it links to," if path.is_symlink() else "it"
        super().__init__(f"{path} is damaged ({reason}); delete {what} and run snakemake again")

    def set_aside(self) -> UserError:
        """Rename the file, so that the next run makes it anew, and say so; else say what to do."""
        target = self.path.resolve()
        aside = target.with_name(f"{target.name}.damaged")
        try:
            target.replace(aside)
            self.path.unlink(missing_ok=True)  # where it was a link
        except OSError:
            return self
        return UserError(
            f"{self.path} is damaged ({self.reason}) and was set aside as {aside}; run snakemake "
            "again, which makes it anew"
        )


def provenance(stage: str, code: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Where a file comes from: stage, code fingerprint, settings, versions. No times, no host."""
    packages = ("patchbench", "numpy", "pandas", "pyarrow")
    return {
        "stage": stage,
        "code": code,
        "spec": dict(spec),
        "versions": {"python": platform.python_version()} | {p: _version(p) for p in packages},
    }


def _version(package: str) -> str:
    if package == "patchbench":
        from patchbench import __version__

        return __version__
    return version(package)


class ArrayWriter:
    """Fill an array on disk piece by piece; it appears under its name when complete.

    Use as a context manager; ``rows`` is the memory map to write into. Leaving the block by
    an exception leaves nothing behind.
    """

    def __init__(
        self,
        path: Path | str,
        shape: tuple[int, ...],
        dtype: np.typing.DTypeLike,
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        self.path, self.shape, self.dtype = Path(path), shape, np.dtype(dtype)
        self.origin = dict(origin or {})

    def __enter__(self) -> np.ndarray:
        with ExitStack() as opened:
            self._temporary = opened.enter_context(replacing(self.path))
            self.rows = self._empty()
            opened.push(self._finish)
            self._opened = opened.pop_all()
        return self.rows

    def __exit__(self, *exception: Any) -> None:
        self._opened.__exit__(*exception)

    def _empty(self) -> np.ndarray:
        """Rows to write into; a file without rows cannot be mapped."""
        if 0 in self.shape:
            with self._temporary.open("wb") as file:  # to a bare name NumPy would add a suffix
                np.save(file, np.empty(self.shape, self.dtype))
            return np.empty(self.shape, self.dtype)
        rows = np.lib.format.open_memmap(self._temporary, "w+", self.dtype, self.shape)
        disks.reserve(self._temporary)
        return rows

    def _finish(self, *exception: Any) -> None:
        if exception[0] is None:
            if isinstance(self.rows, np.memmap):
                self.rows.flush()
            _append_trailer(self._temporary, self.origin)


def _append_trailer(path: Path, origin: Mapping[str, Any]) -> None:
    text = json.dumps({"sha256": _file_hash(path), "provenance": origin}, sort_keys=True).encode()
    with path.open("ab") as file:
        file.write(text + _TAIL.pack(len(text), MAGIC))


def _file_hash(path: Path, n_bytes: int | None = None) -> str:
    digest, left = sha256(), path.stat().st_size if n_bytes is None else n_bytes
    with path.open("rb") as file:
        while left > 0 and (chunk := file.read(min(_CHUNK_BYTES, left))):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()


def write_array(
    path: Path | str, array: np.ndarray, origin: Mapping[str, Any] | None = None
) -> None:
    """Write a whole array; see :class:`ArrayWriter` for one that does not fit in memory."""
    with ArrayWriter(path, array.shape, array.dtype, origin) as rows:
        rows[...] = array


# bytes before the trailer of arrays whose checksum was right when this process read them; a file
# written anew is another
_CHECKED: dict[tuple[Path, int, int, int], int] = {}


def read_array(path: Path | str) -> np.ndarray:
    """Memory-map an array read-only after checking its checksum, once in a process.

    Raises
    ------
    DamagedFileError
        If the file is truncated, altered, or not written by :func:`write_array`.
    """
    path = Path(path)
    found = path.stat()
    version = (path.resolve(), found.st_size, found.st_mtime_ns, found.st_ino)
    if version not in _CHECKED:
        _CHECKED[version] = _checked_size(path)
    with path.open("rb") as file:
        start = file.read(arrays.head_bytes())
    try:
        head = arrays.header(start)
    except ValueError as error:
        raise DamagedFileError(path, str(error)) from error
    if head.end != _CHECKED[version]:
        raise DamagedFileError(path, f"not the {head.end:,} bytes that its header says")
    return np.memmap(path, head.dtype, "r", head.offset, head.shape, head.order)


def _checked_size(path: Path) -> int:
    """Bytes before the trailer, after checking them against it."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            file.seek(max(0, size - _TAIL.size))
            n_text, magic = _TAIL.unpack(file.read(_TAIL.size))
            n_data = size - _TAIL.size - n_text
            if magic != MAGIC or n_data < 0:
                raise DamagedFileError(path, "no checksum at its end")
            file.seek(n_data)
            expected = json.loads(file.read(n_text))["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError, struct.error) as error:
        raise DamagedFileError(path, f"no readable checksum at its end: {error}") from error
    if _file_hash(path, n_data) != expected:
        raise DamagedFileError(path, "checksum differs")
    return n_data


def write_table(
    path: Path | str, frame: pd.DataFrame, name: str, origin: Mapping[str, Any] | None = None
) -> None:
    """Write a table whose columns are those ``tables.py`` promises for ``name``."""
    table = tables.to_arrow(frame, name)
    metadata = {
        "sha256": _table_hash(table),
        "provenance": json.dumps(origin or {}, sort_keys=True),
    }
    with replacing(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary, compression="zstd")


def write_tables(
    folder: Path | str, frames: Mapping[str, pd.DataFrame], origin: Mapping[str, Any]
) -> None:
    """Write tables into one folder, each under the name that ``tables.py`` has for it."""
    for name, frame in frames.items():
        write_table(Path(folder) / f"{name}.parquet", frame, name, origin)


def read_table(path: Path | str, name: str) -> pd.DataFrame:
    """Read a table, check its checksum and that it has the columns promised for ``name``."""
    path = Path(path)
    try:
        table = pq.read_table(path)
        metadata = table.schema.metadata or {}
        table = table.replace_schema_metadata(None).combine_chunks()
        if metadata.get(b"sha256", b"").decode() != _table_hash(table):
            raise DamagedFileError(path, "checksum differs")
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        if is_short(error):  # a sound file must not be set aside for that
            raise UserError(
                f"{path} could not be read for lack of memory ({error}); give the job more and "
                "run snakemake again, or, where that does not help, delete the file: it is damaged"
            ) from error
        raise DamagedFileError(path, str(error).split("\n")[0]) from error
    return tables.from_arrow(table, name)


def _table_hash(table: pa.Table) -> str:
    """Hash of the values of a table, however they are chunked, nested or compressed on disk."""
    digest = sha256()
    for name, column in zip(table.schema.names, table.columns, strict=True):
        digest.update(name.encode())
        if pa.types.is_list(column.type):
            digest.update(pc.list_value_length(column).to_numpy().tobytes())
            column = pc.list_flatten(column)
        digest.update(pc.is_null(column).to_numpy().tobytes())
        if pa.types.is_string(column.type):
            digest.update(pc.fill_null(pc.binary_length(column), 0).to_numpy().tobytes())
            digest.update("".join(pc.fill_null(column, "").to_pylist()).encode())
        else:
            zero = pa.scalar(0).cast(column.type)
            digest.update(pc.fill_null(column, zero).to_numpy().tobytes())
    return digest.hexdigest()


def write_json(
    path: Path | str, value: Mapping[str, Any], origin: Mapping[str, Any] | None = None
) -> None:
    """Write a mapping as JSON with its checksum."""
    content = dict(value) | {"provenance": dict(origin or {})}
    content["sha256"] = _json_hash(content)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path: Path | str) -> dict[str, Any]:
    """Read what :func:`write_json` wrote, checksum checked and taken off."""
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        expected = content.pop("sha256")
        found = _json_hash(content)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise DamagedFileError(path, str(error)) from error
    if found != expected:
        raise DamagedFileError(path, "checksum differs")
    content.pop("provenance", None)
    return dict(content)


def _json_hash(content: Mapping[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_state(
    path: Path | str, state: Mapping[str, np.ndarray], origin: Mapping[str, Any] | None = None
) -> None:
    """Write a fitted model as named arrays; nothing in the file can run code."""
    with replacing(path) as temporary:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **dict(state))
        _append_trailer(temporary, origin or {})


def read_state(path: Path | str) -> dict[str, np.ndarray]:
    """Read what :func:`write_state` wrote.

    Raises
    ------
    DamagedFileError
        If the file is truncated, altered, or not written by :func:`write_state`.
    """
    path = Path(path)
    content = path.read_bytes()[: _checked_size(path)]
    try:
        return arrays.archive(content)
    except arrays.BROKEN as error:
        raise DamagedFileError(path, str(error)) from error
