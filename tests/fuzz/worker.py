"""A process that reads spoiled inputs one after the other and tells before and after each.

What a reader does to it is its end: a segmentation fault, memory above the bound, or a clock
that runs out kill this process, and whoever started it sees at which input.
"""

import contextlib
import json
import os
import random
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

from fuzz import readers

MEMORY_MIB = 2048  # beyond what the program takes when nothing is read yet
CPU_S, WALL_S = 20.0, 180.0  # for one input


def read(name: str, path: Path) -> tuple[str, str]:
    """What becomes of an input: accepted, refused or crashed, and in which words."""
    try:
        readers.READERS[name].read(path)
    except readers.REFUSALS as error:
        words = str(error)
        if not words.strip() or "\n" in words:
            return "crashed", f"not one sentence: {words[:200]!r}"
        return "refused", words
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "patchbench" in frame.filename] or frames
        at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
        return "crashed", f"{type(error).__name__} at {at}: {str(error)[:160]}"
    return "accepted", ""


def _bound() -> None:
    """Warm up, then forbid much more memory than that took."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY_MIB * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def work(first: int, stop: int, step: int, seed: int, names: tuple[str, ...]) -> None:
    """Read every ``step``-th input; two lines of JSON each, on standard output."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    os.dup2(sys.stdout.fileno(), sys.stderr.fileno())
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        if "checkpoint" in names:
            import torch

            torch.set_num_threads(1)
        for name in names:  # imports happen before memory is bounded
            _in_folder(name, readers.READERS[name].make(random.Random(0)), place)
        _bound()
        for number in range(first, stop, step):
            name = readers.reader_of(number, names)
            content = readers.content_of(number, names, seed)
            out.write(json.dumps([number]) + "\n")
            # without a handler both end the process, also in the middle of C code
            signal.setitimer(signal.ITIMER_PROF, CPU_S)
            signal.setitimer(signal.ITIMER_REAL, WALL_S)
            outcome = _in_folder(name, content, place)
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            out.write(json.dumps([number, *outcome]) + "\n")


def _in_folder(name: str, content: bytes, place: str) -> tuple[str, str]:
    with tempfile.TemporaryDirectory(dir=place) as folder:
        path = Path(folder) / "input"
        path.write_bytes(content)
        with contextlib.suppress(MemoryError):
            return read(name, path)
    return "crashed", "MemoryError"


if __name__ == "__main__":
    *numbers, chosen = sys.argv[1:]
    work(*map(int, numbers), tuple(chosen.split(",")))
