"""Work of every ending, for processes of their own."""

import os
import threading

from patchbench.apart import Tell
from patchbench.errors import UserError


def hungry(tell: Tell) -> None:
    tell({"before": 1})
    kept = []
    while True:
        kept.append(b"x" * (4 << 20))


def slow(tell: Tell) -> None:
    tell({"before": 1})
    threading.Event().wait()


def short_of_memory(tell: Tell) -> None:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate much")


def broken(tell: Tell) -> None:
    raise RuntimeError("no such kernel\nand a long trace")


def refusing(tell: Tell) -> None:
    raise UserError("the image is too small; enlarge it")


def dying(tell: Tell) -> None:
    os._exit(3)


def ended_by(tell: Tell, number: int) -> None:
    tell({"before": 1})
    os.kill(os.getpid(), number)
    threading.Event().wait()
