"""Move networks: to a device, to named arrays, and back.

Named arrays can be written without pickling, so reading a fitted network runs no code.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from patchbench.errors import UserError

PREFIX = "network."

Network = TypeVar("Network", bound=nn.Module)


def placed(network: Network, device: str) -> Network:
    """Bring ``network`` to ``device``, its weights laid out channels last."""
    network.to(device)
    # modules are moved in place; the stubs do not know that channels last is for them too
    module: Any = network
    module.to(memory_format=torch.channels_last)
    return network


def to_arrays(network: nn.Module) -> dict[str, np.ndarray]:
    """Copy parameters and buffers; keys are state-dict names after ``network.``."""
    state = network.state_dict()
    return {
        PREFIX + key: np.array(value.cpu().contiguous().numpy()) for key, value in state.items()
    }


def from_arrays(network: nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Put back what :func:`to_arrays` took; other keys of ``arrays`` are ignored.

    Raises
    ------
    UserError
        If names or shapes are not those of the network.
    """
    state = {
        key.removeprefix(PREFIX): torch.from_numpy(np.array(value))
        for key, value in arrays.items()
        if key.startswith(PREFIX)
    }
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(
            "the fitted network has other layers than the settings ask for; fit it again"
        ) from error
