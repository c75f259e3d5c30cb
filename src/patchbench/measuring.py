"""What one way takes for an image of one side: a point of the curves, in a process of its own."""

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from patchbench import plugins
from patchbench.apart import Tell, peak_since
from patchbench.devices import resolve
from patchbench.memory import status_mib
from patchbench.windows.repeated import RepeatedWindows

NOT_TRIED = "not tried"  # status of a side beyond one that was over a limit
INFERENCE, TRAINING = TASKS = ("inference", "training")

# Smaller than images of interest: libraries make on their first call what they keep.
WARM_UP_PX = 96
# a look that is shorter is timed again, after that first one
REPEAT_BELOW_S, N_REPEATS = 2.0, 5
_SHEET_PX = 509


@dataclass(frozen=True)
class Point:
    """What is to be measured.

    Attributes
    ----------
    way, spec : str, mapping
        Entry of the config's ``ways``, and its settings.
    task : str
        ``inference`` or ``training``: one pass forward and backward, no step of an optimizer.
    side_px : int
        Of the image.
    device, threads, seed : str, int, int
        Where to compute, on how many threads; of random weights and patches.
    memory_mib : float
        What PyTorch may hold on a GPU.
    """

    way: str
    spec: Mapping[str, Any]
    task: str
    side_px: int
    device: str
    threads: int
    seed: int
    memory_mib: float


def measure(tell: Tell, point: Point) -> None:
    """Look at an image, and tell what that took.

    Told are columns of table ``scaling``: first what was there before, then ``work_s`` and its
    range, memory and pieces. A short look is repeated, a long one is not.
    """
    import torch

    torch.set_num_threads(point.threads)
    device = resolve(point.device)
    if device == "cuda":
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, point.memory_mib * 2**20 / total))
    way = plugins.build("ways", point.way, point.spec, seed=point.seed, device=device)
    plugins.preload(type(way).__module__)
    sheet = np.random.default_rng(point.seed).integers(0, 256, (_SHEET_PX, _SHEET_PX, 3), np.uint8)
    look = way.ready(point.task)
    look(RepeatedWindows(sheet, WARM_UP_PX, WARM_UP_PX))
    gc.collect()
    peak = peak_since()
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        tell({"start_gpu_mib": torch.cuda.memory_allocated() / 2**20})
    gpu = torch.cuda.get_device_name() if device == "cuda" else None
    tell({"start_rss_mib": status_mib("VmRSS"), "device": device, "gpu": gpu})

    def once() -> Any:
        found = look(RepeatedWindows(sheet, point.side_px, point.side_px))
        if device == "cuda":
            torch.cuda.synchronize()
        return found

    found, seconds, cpu = timed(once, tell)
    tell({"n_pieces": found.n_pieces, "piece_px": found.piece_px, "peak_rss_mib": peak()})
    tell({"redundant": found.redundant})
    tell({"work_s": float(np.median(seconds)), "cpu_s": float(np.median(cpu))})
    tell({"work_low_s": min(seconds), "work_high_s": max(seconds), "n_repeats": len(seconds)})
    if device == "cuda":
        tell({"peak_gpu_mib": torch.cuda.max_memory_allocated() / 2**20})
        tell({"peak_gpu_reserved_mib": torch.cuda.max_memory_reserved() / 2**20})


def timed(once: Callable[[], Any], tell: Tell) -> tuple[Any, list[float], list[float]]:
    """What it gives, and the seconds, elapsed and of the processor, that it took.

    They are of one time, or of several after a first, short one.

    >>> found, seconds, cpu = timed(lambda: 3, lambda told: None)
    >>> found, len(seconds), len(cpu)
    (3, 5, 5)
    """
    seconds: list[float] = []
    cpu: list[float] = []
    for _ in range(1 + N_REPEATS):
        start, start_cpu = time.perf_counter(), time.process_time()
        found = once()
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
        tell({})  # the time limit is for one look
        if seconds[0] >= REPEAT_BELOW_S:
            return found, seconds, cpu
    return found, seconds[1:], cpu[1:]
