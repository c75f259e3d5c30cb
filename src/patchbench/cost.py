"""What a piece of work took: time, processor time, memory, on which device."""

import os
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchbench.io import write_json
from patchbench.machine import commit

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass
class Work:
    """What a stage did, for its cost row.

    Attributes
    ----------
    n_items, item : int, str
        How many of what.
    device : str
        Where it was computed.
    work_s : float or None
        Elapsed time of the work alone, without loading, saving and scoring; None where the
        stage is nothing but work.
    """

    n_items: int
    item: str
    device: str = "cpu"
    work_s: float | None = None


@dataclass
class Stopwatch:
    """Adds up the elapsed time of the blocks it is used for: ``with watch: ...``."""

    elapsed_s: float = 0.0

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *exception: object) -> None:
        self.elapsed_s += time.perf_counter() - self._start


@contextmanager
def measured(
    path: Path | None, stage: str, about: Mapping[str, Any], threads: int
) -> Iterator[list[Work]]:
    """Measure a block and write its cost row to ``path``; the block appends its `Work`."""
    start_wall, start_cpu = time.perf_counter(), _cpu_s()
    done: list[Work] = []
    yield done
    if path is None:
        return
    work = done[0] if done else Work(0, "nothing")
    wall_s = time.perf_counter() - start_wall
    row = {
        "stage": stage,
        "about": dict(about),
        "wall_s": wall_s,
        "work_s": wall_s if work.work_s is None else work.work_s,
        "cpu_s": _cpu_s() - start_cpu,
        "start_s": start_cpu,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT / 2**20,
        "peak_gpu_mib": _peak_gpu_mib(work.device),
        "n_items": work.n_items,
        "item": work.item,
        "device": work.device,
        "threads": threads,
        "commit": commit(),
    }
    write_json(path, row)


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _peak_gpu_mib(device: str) -> float | None:
    if device != "cuda":
        return None
    import torch

    return torch.cuda.max_memory_allocated() / 2**20
