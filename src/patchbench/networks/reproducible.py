"""Run PyTorch so that one seed gives one result: fixed operators, fixed threads, fixed start."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def reproducible(seed: int, threads: int) -> Iterator[None]:
    """Seed PyTorch, allow deterministic operators only, use ``threads``; restore on leaving.

    The same seed gives the same bytes on the same machine with the same number of threads;
    another number of threads sums in another order.
    """
    # cuBLAS reads this when the first CUDA context is made; without it, PyTorch refuses
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    mode, n_threads = torch.get_deterministic_debug_mode(), torch.get_num_threads()
    filling: Any = torch.utils.deterministic  # its stubs lack the switch
    fill = filling.fill_uninitialized_memory
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        # what use_deterministic_algorithms(True) does too, after importing PyTorch's compiler
        torch.set_deterministic_debug_mode("error")
        # every operator used writes all of its output; filling it first only takes time
        filling.fill_uninitialized_memory = False
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_deterministic_debug_mode(mode)
            filling.fill_uninitialized_memory = fill
            torch.set_num_threads(n_threads)
