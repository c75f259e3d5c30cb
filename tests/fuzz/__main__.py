"""Fuzz the readers: ``make fuzz``, or ``python -m fuzz --inputs N`` with ``tests`` on the path.

Every input is made from a sound file by random changes drawn from the seed and its number, and
is read in a process of its own kind (`fuzz.worker`), whose end is counted as a crash. Ends with a
table, and with status 1 if anything crashed.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from fuzz import readers, samples
from patchbench.markdown import table
from patchbench.progress import progress

_SAME = 50  # characters
_COLUMNS = ("accepted", "refused", "crashed")
_TURN = Lock()  # one lane counts at a time


@dataclass
class Tally:
    """What became of the inputs so far."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    crashes: list[tuple[int, str]] = field(default_factory=list)

    def add(self, number: int, name: str, outcome: str, words: str) -> None:
        """Count one input."""
        self.counts[name, outcome] += 1
        if outcome == "crashed":
            self.crashes.append((number, f"{name}: {words}"))


def fuzz(
    n_inputs: int,
    seed: int,
    jobs: int,
    names: tuple[str, ...],
    command: tuple[str, ...] = (sys.executable, "-m", "fuzz.worker"),
) -> Tally:
    """Have so many inputs read, in ``jobs`` processes at a time, that ``command`` starts."""
    tally = Tally()
    bar = iter(progress(range(n_inputs), "Fuzzing", "input", n_inputs))

    def lane(first: int) -> None:
        while first < n_inputs:
            numbers = map(str, (first, n_inputs, jobs, seed))
            died_at, status = _listen([*command, *numbers, ",".join(names)], names, tally, bar)
            if died_at is None and status:
                raise RuntimeError(f"a worker ended between inputs, with status {status}")
            if died_at is None:
                return
            with _TURN:
                tally.add(died_at, readers.reader_of(died_at, names), "crashed", _why(status))
            first = died_at + jobs

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lane, range(jobs)))
    return tally


def _listen(
    command: list[str], names: tuple[str, ...], tally: Tally, bar: Iterator[int]
) -> tuple[int | None, int]:
    """Count what one worker tells; the input at which it died, if it did, and its status."""
    paths = os.pathsep.join(str(samples.ROOT / folder) for folder in ("src", "tests"))
    begun = None
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": paths}
    ) as worker:
        assert worker.stdout is not None
        for line in worker.stdout:
            number, *outcome = json.loads(line)
            begun = None if outcome else number
            if outcome:
                with _TURN:
                    tally.add(number, readers.reader_of(number, names), *outcome)
                    next(bar, None)
    return begun, worker.returncode


def _why(status: int) -> str:
    """What ended a process, in words."""
    if status in (-signal.SIGPROF, -signal.SIGALRM):
        return "hung: time ran out"
    return f"the process died: {signal.Signals(-status).name if status < 0 else status}"


def rows(tally: Tally, names: tuple[str, ...]) -> str:
    """The table of what was tried, one row a reader and one for all."""
    lines = []
    for name in (*names, "all"):
        chosen = names if name == "all" else (name,)
        counts = [sum(tally.counts[n, outcome] for n in chosen) for outcome in _COLUMNS]
        lines.append([name, *(f"{n:,}" for n in (sum(counts), *counts))])
    return table(("reader", "tried", "accepted", "refused cleanly", "crashed"), lines)


def alike(tally: Tally) -> dict[str, list[int]]:
    """Crashes by what was said of them up to the place, which leads to what is to be mended."""
    found: dict[str, tuple[str, list[int]]] = {}
    for number, words in sorted(tally.crashes):
        found.setdefault(words[:_SAME], (words, []))[1].append(number)
    return dict(found.values())


def main() -> int:
    """Parse, fuzz, tell; 1 if anything crashed."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m fuzz")
    parser.add_argument("--inputs", type=int, default=100_000, help="how many to try")
    parser.add_argument("--seed", type=int, default=0, help="source of all inputs")
    parser.add_argument("--jobs", type=int, default=2, help="processes that read")
    parser.add_argument("--readers", nargs="+", choices=readers.READERS, default=readers.READERS)
    parser.add_argument("--keep", type=Path, help="folder for inputs that crashed a reader")
    args = parser.parse_args()
    names = tuple(args.readers)
    tally = fuzz(args.inputs, args.seed, args.jobs, names)
    for words, numbers in alike(tally).items():
        print(f"{len(numbers)} inputs, the first {numbers[0]}: {words}")
    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
        for number, _ in tally.crashes:
            name = f"{args.seed}-{number}-{readers.reader_of(number, names)}"
            (args.keep / name).write_bytes(readers.content_of(number, names, args.seed))
    print(rows(tally, names))
    return 1 if tally.crashes else 0


if __name__ == "__main__":
    sys.exit(main())
