"""Memory: what this process has held of it, and what is told where there was too little."""

import errno
import resource
import sys
from contextlib import suppress
from pathlib import Path

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
_STATUS_PATH = Path("/proc/self/status")
# how the allocators of PyTorch and OpenCV, the libraries of a GPU (CUBLAS_STATUS_ALLOC_FAILED,
# CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED) and the loader of libraries say that there
# is no memory, in errors that could be anything
_SHORT = (
    *("can't allocate memory", "Cannot allocate memory", "not enough memory", "out of memory"),
    *("Insufficient memory", "ALLOC_FAILED", "ALLOCATION_FAILED"),
)


def peak_rss_mib() -> float:
    """Most memory that this process has held, or one that it started and that has ended, MiB."""
    children_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _RSS_UNIT / 2**20
    return max(_own_peak_mib(), children_mib)


def forget_peak() -> None:
    """Begin the peak anew, where the system allows it; else it stays that of the whole process."""
    with suppress(OSError):  # not Linux, or a sandbox
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _own_peak_mib() -> float:
    if _STATUS_PATH.exists():
        # ru_maxrss survives exec: it would be what the Snakemake held that started this process
        return status_mib("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT / 2**20


def status_mib(name: str) -> float:
    """A size of this process as Linux tells it, for example ``VmRSS``, in MiB."""
    lines = _STATUS_PATH.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def is_short(error: Exception) -> bool:
    """Whether an error says that there is no memory, of the processor or of a GPU.

    >>> is_short(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"))
    True
    """
    if isinstance(error, OSError):  # that of Pillow's decoders has no number
        return error.errno == errno.ENOMEM or (error.errno is None and _is_said(error))
    # errors of PyTorch and OpenCV are not imported only to be caught
    kind = type(error)
    if isinstance(error, MemoryError) or kind.__name__ == "OutOfMemoryError":
        return True
    of_libraries = isinstance(error, RuntimeError | ImportError) or kind.__module__ == "cv2"
    return of_libraries and _is_said(error)


def _is_said(error: Exception) -> bool:
    return any(said in str(error) for said in _SHORT)


def shortage(error: Exception) -> str:
    """Tell what was held when memory ran out, and the ways out, in one sentence."""
    line = next(iter(str(error).splitlines()), "")[:200]
    return (
        f"out of memory after holding {peak_rss_mib():,.0f} MiB{f' ({line})' if line else ''}; "
        "take fewer or smaller patches (stride_px, patch_size_px), a smaller image_size_px, more "
        "shards, a lower max_fit_mib, or a machine with more memory, and run again: nothing "
        "half-written is left"
    )
