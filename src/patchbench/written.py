"""Bytes that this process has written: sizes of files when they are whole and in their place.

Exact and the same on every system, unlike what a kernel counts; a file that is written twice, such
as a checkpoint, counts twice. Logs do not count.
"""

from pathlib import Path

_WRITTEN = [0]


def bytes_written() -> int:
    """All so far."""
    return _WRITTEN[0]


def count_written(path: Path) -> None:
    """Count a file that has come into its place."""
    count_bytes(path.stat().st_size)


def count_bytes(n_bytes: int) -> None:
    """Count what another process of the same job has written."""
    _WRITTEN[0] += n_bytes
