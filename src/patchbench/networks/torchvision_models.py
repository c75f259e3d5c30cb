"""Build torchvision's classification networks, also beside a CPU-only PyTorch.

The torchvision of PyPI is linked against CUDA. Beside a CPU build of PyTorch its compiled
operators do not load, and importing it fails because it registers shapes for two operators
that were never declared. Declaring them is enough: no classification network uses them.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import nn

from patchbench.errors import UserError
from patchbench.networks.published import Published
from patchbench.plugins import suggest

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
    new_library: Any = torch.library.Library  # PyTorch has not typed it
    library = new_library("torchvision", "FRAGMENT")
    for signature in _MISSING:
        library.define(signature)
    _LIBRARIES.append(library)
    return import_module("torchvision.models")


def build(name: str, n_classes: int) -> nn.Module:
    """One of `settings.TORCHVISION_TYPES` with random weights and ``n_classes`` outputs."""
    network: nn.Module = getattr(torchvision_models(), name)(weights=None, num_classes=n_classes)
    return network


@dataclass(frozen=True)
class Features:
    """A network without its last layer.

    Attributes
    ----------
    network : Module
        From (n, 3, height, width) to (n, dim).
    head : str
        Name of the layer left out.
    dim : int
        Length of the features.
    """

    network: nn.Module
    head: str
    dim: int


def features(name: str, device: str = "cpu") -> Features:
    """Any classification network of torchvision that ends in a linear layer, without it.

    Weights are random, or none at all on the device ``meta``.

    Raises
    ------
    UserError
        If there is no such network, or its last layer is not linear.
    """
    _check(name)
    with torch.device(device):
        network = torchvision_models().get_model(name, weights=None, **_OPTIONS.get(name, {}))
    layers = [(path, part) for path, part in network.named_modules() if not list(part.children())]
    linear = [(path, part) for path, part in layers if isinstance(part, nn.Linear)]
    if not linear:
        raise UserError(f"backbone {name!r} does not end in a linear layer; choose another")
    path, last = linear[-1]
    network.set_submodule(path, nn.Identity())
    return Features(network, path, last.in_features)


# both have branches that only their training needs
_OPTIONS = {"googlenet": {"init_weights": False}, "inception_v3": {"init_weights": False}}


def published(name: str) -> Published:
    """The first set of weights that torchvision has published for a network."""
    _check(name)
    return Published(next(iter(torchvision_models().get_model_weights(name))).url)


def _check(name: str) -> None:
    models = torchvision_models()
    names = models.list_models(module=models)
    if name not in names:
        raise UserError(f"no backbone {name!r} in torchvision; {suggest(name, names)}")
