"""Build torchvision's classification networks, also beside a CPU-only PyTorch.

The registry's torchvision is linked against CUDA. Beside a CPU build of PyTorch its compiled
operators do not load, and importing it fails because it registers shapes for two operators
that were never declared. Declaring them is enough: no classification network uses them.
"""

from functools import cache
from importlib import import_module
from types import ModuleType

import torch
from torch import nn

_MISSING = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# the declarations live as long as this object
_LIBRARIES: list[torch.library.Library] = []


@cache
def torchvision_models() -> ModuleType:
    """``torchvision.models``, its undeclared operators declared first where they do not load."""
    try:
        return import_module("torchvision.models")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for signature in _MISSING:
        library.define(signature)  # type: ignore[no-untyped-call]
    _LIBRARIES.append(library)
    return import_module("torchvision.models")


def build(name: str, n_classes: int) -> nn.Module:
    """One of `settings.CNN_TYPES` with random weights and ``n_classes`` outputs."""
    network: nn.Module = getattr(torchvision_models(), name)(weights=None, num_classes=n_classes)
    return network
