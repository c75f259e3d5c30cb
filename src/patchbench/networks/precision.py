"""Compute in float32 or, where it is faster, in bfloat16."""

import torch
from torch import Tensor

from patchbench.networks.settings import Computation


def autocast(computation: Computation) -> torch.autocast:
    """Give the context to run a training step in."""
    reduced = dtype_of(computation.precision, computation.device) == torch.bfloat16
    return torch.autocast(computation.device, torch.bfloat16, enabled=reduced)


def dtype_of(precision: str, device: str) -> torch.dtype:
    """Type of number that a precision (``auto``, ``float32``, ``bfloat16``) means on a device."""
    reduced = precision == "bfloat16" or (precision == "auto" and _has_bfloat16(device))
    return torch.bfloat16 if reduced else torch.float32


def in_float64(values: Tensor) -> Tensor:
    """To sum without rounding; on the processor where the device has no such numbers, as MPS."""
    return (values.cpu() if values.device.type == "mps" else values).double()


def _has_bfloat16(device: str) -> bool:
    """Whether ``device`` has instructions for it; elsewhere it is imitated, and slow."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "cpu":
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return False
