"""What a piece of work took: time, processor time, memory, bytes, and on which machine.

Work that is done piece by piece is timed piece by piece. Its first piece pays for what happens only
once, such as a library's start, and stands apart as warm-up; the others are repeated timings of
the same thing, at no computation beyond what the work asks for.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from patchbench.io import write_json
from patchbench.machine import commit, host
from patchbench.memory import forget_peak, peak_rss_mib
from patchbench.written import bytes_written

SPREAD_PERCENT = (50, 5, 95)  # of repeated timings: middle, lower end, upper end
_COUNTED_S = [0.0]  # processor time of this process that earlier stages in it have told of

Lap = tuple[int, float]
"""Items of one piece, and the seconds it took."""


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
    laps : sequence of (int, float)
        Items and seconds of each piece, where all of the work was timed piece by piece.
    parts_s : mapping of str to float
        Seconds that named parts of the work took, such as each of several fusion rules.
    """

    n_items: int
    item: str
    device: str = "cpu"
    work_s: float | None = None
    laps: Sequence[Lap] = ()
    parts_s: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Stopwatch:
    """Adds up the elapsed time of the blocks it is used for: ``with watch: ...``.

    Blocks that do the same to one piece of the work after the other are kept as laps:
    ``with watch.lap(n_items): ...``.
    """

    elapsed_s: float = 0.0
    laps: list[Lap] = field(default_factory=list)

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *exception: object) -> None:
        self.elapsed_s += time.perf_counter() - self._start

    @contextmanager
    def lap(self, n_items: int) -> Iterator[None]:
        """Time a block that works on ``n_items`` items."""
        before_s = self.elapsed_s
        with self:
            yield
        self.laps.append((n_items, self.elapsed_s - before_s))


@contextmanager
def measured(
    path: Path | None, stage: str, about: Mapping[str, Any], threads: int, command: str = ""
) -> Iterator[list[Work]]:
    """Measure a block and write its cost row to ``path``; the block appends its `Work`.

    Of several blocks in a process each tells of its own time and bytes, and of the most memory that
    was held meanwhile, what those before have left included. ``command`` is the command line that
    started it, kept so that a job can be done again by hand.
    """
    start_wall, start_cpu, start_bytes = time.perf_counter(), _cpu_s(), bytes_written()
    start_s = start_cpu - _COUNTED_S[0]
    done: list[Work] = []
    yield done
    peak_mib, wall_s = peak_rss_mib(), time.perf_counter() - start_wall
    forget_peak()  # now, or git, which tells the commit, would begin with it and hand it on
    work = done[0] if done else Work(0, "nothing")
    gpu, work_s = _of_gpu(work.device), wall_s if work.work_s is None else work.work_s
    row = {
        "stage": stage,
        "about": dict(about),
        "wall_s": wall_s,
        "work_s": work_s,
        "parts_s": dict(work.parts_s),
        "cpu_s": _cpu_s() - start_cpu,
        "start_s": start_s,
        "peak_rss_mib": peak_mib,
        "bytes_written": bytes_written() - start_bytes,
        "n_items": work.n_items,
        "item": work.item,
        "device": work.device,
        "threads": threads,
        "host": host(),
        "commit": commit(),
        "command": command,
    }
    if path is not None:
        write_json(path, row | gpu | rates(work, work_s))
    _COUNTED_S[0] = _cpu_s()


def rates(work: Work, work_s: float) -> dict[str, float | int | None]:
    """Columns of table ``costs`` about the time of an item, null where it was not timed.

    ``items_per_s`` leaves the first lap, the warm-up, out where there are others.

    >>> rates(Work(50, "patch", laps=[(20, 0.5), (20, 0.5), (10, 0.25)]), 1.25)["items_per_s"]
    40.0
    """
    warm_up, *laps = [lap for lap in work.laps if lap[0] > 0] or [(0, 0.0)]
    if not laps:
        warm_up = (0, 0.0)
    n_items, elapsed_s = work.n_items - warm_up[0], work_s - warm_up[1]
    spread: list[float | None] = [None] * 3
    if len(laps) > 1:
        item_ms = [1000 * seconds / n for n, seconds in laps]
        spread = [float(value) for value in np.percentile(item_ms, SPREAD_PERCENT)]
    return {
        "warm_up_s": warm_up[1] if laps else None,
        "items_per_s": n_items / elapsed_s if n_items > 0 and elapsed_s > 0 else None,
        "item_ms_median": spread[0],
        "item_ms_low": spread[1],
        "item_ms_high": spread[2],
        "n_repeats": len(laps),
    }


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _of_gpu(device: str) -> dict[str, Any]:
    """Model, and the most memory that tensors took and PyTorch held for them, begun anew then."""
    if device != "cuda":
        return dict.fromkeys(("gpu", "peak_gpu_mib", "peak_gpu_reserved_mib"))
    import torch

    found = {
        "gpu": torch.cuda.get_device_name(),
        "peak_gpu_mib": torch.cuda.max_memory_allocated() / 2**20,
        "peak_gpu_reserved_mib": torch.cuda.max_memory_reserved() / 2**20,
    }
    torch.cuda.reset_peak_memory_stats()
    return found
