"""Where a file of the results comes from: the stage and the settings that made it.

`patchbench.io` puts that into every file; here it is taken out again.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from patchbench.io import _TAIL, MAGIC, DamagedFileError


def origin(path: Path) -> dict[str, Any]:
    """Provenance of a result, as `patchbench.io.provenance` made it; its content is not read.

    Parameters
    ----------
    path : Path
        A table (``.parquet``), a JSON file, or arrays (``.npy``, ``.npz``).

    Raises
    ------
    DamagedFileError
        If there is none in the file.
    """
    try:
        if path.suffix == ".parquet":
            found = json.loads((pq.read_schema(path).metadata or {})[b"provenance"])
        elif path.suffix == ".json":
            found = json.loads(path.read_text(encoding="utf-8"))["provenance"]
        else:
            found = json.loads(_trailer(path))["provenance"]
        return dict(found)
    except (ValueError, KeyError, TypeError, OSError, pa.ArrowException) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise DamagedFileError(path, "it does not tell where it comes from") from error


def _trailer(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL.size))
        tail = file.read()
        if len(tail) != _TAIL.size or not tail.endswith(MAGIC):
            raise ValueError(f"{path} has no trailer")
        n_text, _ = _TAIL.unpack(tail)
        file.seek(-_TAIL.size - n_text, 2)
        return file.read(n_text)
