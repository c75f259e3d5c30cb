"""Run work in a process of its own, and stop it where it takes too much memory or time.

Memory is the resident set: what is asked for and not used costs nothing, so a limit on address
space would stop PyTorch, which reserves much more than it uses. It is looked at from outside many
times a second, so a process is a little above its limit when it is stopped. Linux only.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from patchbench.errors import UserError
from patchbench.memory import forget_peak, is_short, status_mib

DONE, MEMORY, TIME, FAILED = "measured", "out of memory", "too long", "failed"

_TOLD, _REFUSED = "told", "refused"
_LOOK_S = 0.02  # between two looks at the memory
_START_S = 300.0  # for imports and what else comes before the work first tells something
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
# who sends these asks the whole run to end, and says nothing of its work
_ASKED_TO_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Tell = Callable[[dict[str, Any]], None]
"""Hands numbers to the process that waits; each time, the time limit begins anew."""


@dataclass(frozen=True)
class Limits:
    """What work may take.

    Attributes
    ----------
    memory_mib : float
        Resident memory of its process, libraries included.
    time_s : float
        From one thing it tells to the next.
    """

    memory_mib: float
    time_s: float


@dataclass
class Ended:
    """How work ended.

    Attributes
    ----------
    status : str
        ``DONE``, ``MEMORY``, ``TIME`` or ``FAILED``.
    told : dict
        All that it told, joined.
    reason : str
        What it said when it failed, or what stopped it; mostly empty.
    by_signal : bool
        Whether it failed by a signal, as where a library aborts or touches memory that is not its
        own, and so had no time to tell an error.
    """

    status: str = ""
    told: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    by_signal: bool = False


def apart(work: Callable[..., None], arguments: tuple[Any, ...], limits: Limits) -> Ended:
    """Do ``work(tell, *arguments)`` in a process of its own, as far as the limits allow.

    Parameters
    ----------
    work : callable
        Of a module, with arguments that can be pickled. Where it raises a RuntimeError, it failed.
    arguments : tuple
    limits : Limits

    Returns
    -------
    ended : Ended

    Raises
    ------
    UserError
        If the work raised one, or this is not Linux.
    RuntimeError
        If it ended in any other way, or was asked to end by a signal; its traceback is on standard
        error.
    """
    if not Path("/proc/self/statm").exists():
        raise UserError(
            f"memory of a running process can be watched on Linux only, and this is {sys.platform};"
            " measure on a Linux machine"
        )
    # a fresh interpreter: a forked one would begin with all the memory of this one
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_inside, args=(theirs, work, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        ended = _watched(ours, process.pid or 0, limits)
        if not ended.status:  # it is about to end, or was ended by others: how is still to be seen
            process.join(_START_S)
    finally:
        process.kill()
        process.join()
        ours.close()
    return ended if ended.status else _died(process.exitcode or 0, ended.told)


def _died(exitcode: int, told: dict[str, Any]) -> Ended:
    """How work ended that could not tell it itself."""
    if exitcode == -signal.SIGKILL:  # so the kernel ends what is largest when memory is short
        return Ended(MEMORY, told, "stopped by the system")
    if exitcode >= 0 or -exitcode in _ASKED_TO_END:
        raise RuntimeError(f"a process ended with status {exitcode}; see above")
    known = {number.value: number.name for number in signal.Signals}
    return Ended(FAILED, told, f"stopped by signal {known.get(-exitcode, -exitcode)}", True)


def _watched(pipe: Connection, pid: int, limits: Limits) -> Ended:
    """Wait for the end; without a status where the process was gone before it told any."""
    ended = Ended()
    deadline = time.monotonic() + max(_START_S, limits.time_s)
    while True:
        if pipe.poll(_LOOK_S):
            try:
                status, told = pipe.recv()
            except (EOFError, ConnectionError):
                return ended
            if status == _REFUSED:
                raise UserError(told)
            if status != _TOLD:
                return Ended(status, ended.told, told)
            ended.told |= told
            deadline = time.monotonic() + limits.time_s
        elif _resident_mib(pid) > limits.memory_mib:
            return Ended(MEMORY, ended.told)
        elif time.monotonic() > deadline:
            return Ended(TIME, ended.told)


def _resident_mib(pid: int) -> float:
    """Resident memory of a process; 0 where it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _inside(pipe: Connection, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """What the new process does: the work, then a word on how it ended."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    with suppress(OSError):  # where the machine runs out of memory, this one goes and no other
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    try:
        work(lambda told: pipe.send((_TOLD, told)), *arguments)
        pipe.send((DONE, ""))
    except UserError as error:
        pipe.send((_REFUSED, str(error)))
    except MemoryError:
        pipe.send((MEMORY, ""))
    except RuntimeError as error:
        line = next(iter(str(error).splitlines()), "") or type(error).__name__
        pipe.send((MEMORY, "") if is_short(error) else (FAILED, line))


def peak_since() -> Callable[[], float]:
    """Begin to watch the resident memory of this process; what is given tells its peak, MiB."""
    forget_peak()
    return lambda: status_mib("VmHWM")
