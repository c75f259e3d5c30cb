"""Networks to named arrays and back, so that a fitted model can be written without pickling."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from patchbench.errors import UserError

PREFIX = "network."


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
