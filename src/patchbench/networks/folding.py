"""Merge batch norms into the convolutions before them: the same function in half the passes."""

from copy import deepcopy
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)


def folded(network: Network) -> Network:
    """Copy ``network`` for inference, without batch norms; other norms stay.

    Merged are the pairs that a module names in its attribute ``norm_after`` (convolution to
    norm), and every `Sequential` that is a convolution and its norm.
    """
    network = deepcopy(network).eval()
    for module in list(network.modules()):
        pairs: dict[str, str] = getattr(module, "norm_after", {})
        if isinstance(module, nn.Sequential) and _is_pair(module):
            pairs = {"0": "1"}
        for convolution, norm in pairs.items():
            if not isinstance(getattr(module, norm), nn.BatchNorm2d):
                continue
            fused = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
            setattr(module, convolution, fused)
            setattr(module, norm, nn.Identity())
    return network


def _is_pair(module: nn.Sequential) -> bool:
    kinds = (nn.Conv2d, nn.BatchNorm2d)
    return len(module) == len(kinds) and all(map(isinstance, module, kinds))
