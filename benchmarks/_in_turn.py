"""Time two ways of doing the same in turn, so that what slows the machine slows both."""

import time
from collections.abc import Callable
from statistics import median


def ratio(slow: Callable[[], object], fast: Callable[[], object], rounds: int = 5) -> float:
    """How many times longer ``slow`` takes: median over rounds of both run one after the other."""
    slow(), fast()  # what is made on the first call is made
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        slow()
        middle = time.perf_counter()
        fast()
        found.append((middle - start) / (time.perf_counter() - middle))
    return median(found)
