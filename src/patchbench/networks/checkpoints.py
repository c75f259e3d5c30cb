"""Read checkpoints safely, and start networks from them.

A checkpoint is a pickle, and a pickle can run code. Only tensors are read here; a file that
holds anything else is refused, and none of it is run.
"""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from patchbench.errors import UserError


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read a state dict, bare or under ``state_dict``, with or without ``module.`` before names.

    Raises
    ------
    UserError
        If the file is missing, cut off, no checkpoint, or holds more than tensors.
    """
    try:
        with warnings.catch_warnings():
            # what PyTorch has to say of odd pickles ends in one of the errors below
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"there is no file of weights at {path}") from None
    except pickle.UnpicklingError as error:
        if "truncated" in str(error) or "invalid load key" in str(error):
            raise UserError(_damaged(path)) from error
        raise UserError(
            f"{path} holds more than weights, and loading it could run code, so it is refused; "
            "save the state dict alone (torch.save(network.state_dict(), path))"
        ) from error
    except Exception as error:  # what a mangled file raises depends on where it is mangled
        raise UserError(_damaged(path)) from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not (isinstance(content, Mapping) and all(map(torch.is_tensor, content.values()))):
        raise UserError(f"{path} holds no state dict; save network.state_dict() alone")
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def _damaged(path: Path) -> str:
    return f"{path} is no PyTorch checkpoint or is cut off; delete it and fetch it again"


def start_from(
    network: nn.Module, path: Path | None, replaceable: str, freeze: bool = False
) -> None:
    """Give a network the weights of a checkpoint.

    Parameters
    ----------
    network : Module
        Whatever has the checkpoint's architecture.
    path : Path or None
        The checkpoint; None where the caller was given none, which is an error.
    replaceable : str
        The last layer: parameters whose names begin so stay as they are where the file has
        none of that shape (the number of classes differs), and are left out where the network
        has none.
    freeze : bool
        Let nothing but that layer learn.

    Raises
    ------
    UserError
        If the file cannot be read, or a name or shape is not the network's.
    """
    if path is None:
        raise UserError("weights were asked for, but no file of weights was handed over")
    found, wanted = read_checkpoint(path), network.state_dict()
    holes = [name for name, value in found.items() if not value.isfinite().all()]
    if holes:
        raise UserError(f"{path} has NaN or infinite values in {holes[0]}; take another file")
    found = {n: v for n, v in found.items() if n in wanted or not n.startswith(replaceable)}
    other_head = any(
        name.startswith(replaceable) and (name not in found or found[name].shape != value.shape)
        for name, value in wanted.items()
    )
    if other_head:
        found |= {n: value for n, value in wanted.items() if n.startswith(replaceable)}
    if (problem := _mismatch(found, wanted)) is not None:
        raise UserError(
            f"{path} does not fit the network: {problem}; give the settings that it was "
            "trained with, or another file"
        )
    counters = {name: value for name, value in wanted.items() if name not in found}
    network.load_state_dict(found | counters)
    for name, parameter in network.named_parameters():
        parameter.requires_grad = not freeze or name.startswith(replaceable)


def _mismatch(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """The first difference in names or shapes, in words; batch counters may be missing."""
    for name, value in wanted.items():
        if name not in found:
            if name.endswith("num_batches_tracked"):
                continue
            return f"it lacks {name}"
        if found[name].shape != value.shape:
            have, want = (tuple(tensor.shape) for tensor in (found[name], value))
            return f"{name} has shape {have} and should have {want}"
    unknown = next((name for name in found if name not in wanted), None)
    return None if unknown is None else f"it has {unknown}, which the network has not"
