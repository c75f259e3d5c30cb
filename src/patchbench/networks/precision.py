"""Train in float32 or, where it is faster, with bfloat16 products."""

import torch

from patchbench.networks.settings import Computation


def autocast(computation: Computation) -> torch.autocast:
    """Give the context to run a training step in."""
    reduced = computation.precision == "bfloat16" or (
        computation.precision == "auto" and _has_bfloat16(computation.device)
    )
    return torch.autocast(computation.device, torch.bfloat16, enabled=reduced)


def _has_bfloat16(device: str) -> bool:
    """Whether ``device`` has instructions for it; elsewhere it is imitated, and slow."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "cpu":
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return False
