"""Progress of long work: a bar on a terminal, a line now and then in a log file."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], what: str, unit: str, total: int | None = None) -> Iterator[T]:
    """Yield ``items`` and show how far along they are, on standard error."""
    interval_s = 0.2 if sys.stderr.isatty() else 10.0
    yield from tqdm(items, desc=what, unit=unit, total=total, mininterval=interval_s, leave=False)
