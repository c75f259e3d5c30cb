"""What it takes to ask a network about test images, and what comes of it."""

import ctypes
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import log_softmax, softmax

from patchbench.apart import peak_since
from patchbench.auc import macro_auc
from patchbench.bootstrap import draw_weights, estimate
from patchbench.memory import status_mib

Answers = dict[str, np.ndarray]
"""Logits of the same images by the name of the rule that joined the places, the first one first."""


@dataclass
class Clock:
    """Time of the processor that a part of the work took, over all its calls."""

    seconds: float = 0.0

    def timing(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work, its time counted."""

        def counted(*given: Any) -> Any:
            start = time.process_time()
            found = work(*given)
            self.seconds += time.process_time() - start
            return found

        return counted


@dataclass
class Asking:
    """Asks about test images, one way after the other, and prints a row for each.

    Attributes
    ----------
    labels : int array, (n_images,)
    seed : int
        Of the draws of images.
    against : float array or None
        AUC in every draw of what is asked first; later ways are held against it.
    """

    labels: np.ndarray
    seed: int
    against: np.ndarray | None = field(default=None, init=False)

    def about(self, name: str, work: Callable[[], Answers], before: Clock | None = None) -> None:
        """Do it, and print AUC, accuracy, processor time and memory; ``before`` is part of it."""
        _give_back_memory()
        start_mib, peak, start = status_mib("VmRSS"), peak_since(), time.process_time()
        answers = work()
        seconds, more_mib = time.process_time() - start, peak() - start_mib
        taken = f"{seconds:.1f} CPU s"
        if before is not None:
            taken += f", {before.seconds:.1f} of them to choose patches"
        (rule, logits), *others = answers.items()
        print(f"{name}, {rule}: {self._scores(logits)}", flush=True)
        print(f"  {taken}; {more_mib:,.0f} MiB more than the {start_mib:,.0f} MiB before")
        for rule, logits in others:
            print(f"  by {rule} instead: {self._scores(logits)}", flush=True)

    def _scores(self, logits: np.ndarray) -> str:
        weights = draw_weights(len(self.labels), self.seed)
        auc = macro_auc(self.labels, softmax(logits, axis=1), weights=weights)
        right = logits.argmax(axis=1) == self.labels
        told = f"AUC {said(auc)}, accuracy {said(weights @ right / weights.sum(axis=1))}"
        if self.against is None:
            self.against = auc
            return told
        return f"{told}, AUC above the first by {said(auc - self.against)}"


def learnt(name: str, n_steps: int, n_looks: int, logits: np.ndarray, labels: np.ndarray) -> None:
    """Print how far a network learnt images: loss and accuracy after its steps."""
    loss = -log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean()
    right = (logits.argmax(axis=1) == labels).mean()
    print(
        f"  {name} after {n_steps} steps, {n_looks:,} looks at an image: loss {loss:.3f}, "
        f"accuracy {right:.3f} of {len(labels)} images",
        flush=True,
    )


def timed(what: str, work: Callable[[], Any]) -> Any:
    """Do it, and print the time that this process worked."""
    start = time.process_time()
    found = work()
    print(f"  {what}: {time.process_time() - start:,.0f} CPU s", flush=True)
    return found


def said(draws: np.ndarray) -> str:
    """A value and its interval."""
    found = estimate(draws)
    if np.isnan(found.low):
        return f"{found.value:.3f} [no interval]"
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _give_back_memory() -> None:
    """Hand freed memory back to the system, so that what is taken next is seen to be taken."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
