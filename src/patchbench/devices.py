"""Choose where to compute, and keep to the threads that were given."""

import os

from patchbench.errors import UserError

DEVICES = ("auto", "cpu", "cuda", "mps")
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def limit_threads(threads: int) -> None:
    """Let numerical libraries use at most ``threads``; call before they are imported."""
    for variable in _THREAD_VARIABLES:
        os.environ[variable] = str(threads)


def resolve(device: str) -> str:
    """Turn ``auto`` into a device that exists; refuse one that does not.

    Raises
    ------
    UserError
        If ``device`` is unknown, or asks for hardware that is not there.
    """
    if device not in DEVICES:
        raise UserError(f"device {device!r} is unknown; choose one of {', '.join(DEVICES)}")
    if device == "cpu":
        return device
    import torch

    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next((name for name, there in present.items() if there), "cpu")
    if not present[device]:
        raise UserError(
            f"device {device!r} was asked for but PyTorch finds none on this machine; "
            "set device to auto or cpu"
        )
    return device
