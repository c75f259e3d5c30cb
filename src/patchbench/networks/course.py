"""A training between two epochs: all that changes in it, kept in a file and taken up again.

A training that was killed goes on after its last finished epoch and ends with the same bytes
as one that was left alone: weights, optimizer, schedule, sources of randomness and history are
all put back as they were.
"""

import json
import sys
import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from patchbench.cost import Stopwatch
from patchbench.io import DamagedFileError, read_state, write_state
from patchbench.networks.weights import from_arrays, to_arrays

# names in the file, or how they begin
_BEST, _OPTIMIZER, _RANDOM = "best.", "optimizer.", "random."
_REST, _KEY, _WORK = "rest", "key", "work_s"


class Best:
    """Remembers the weights of the epoch with the lowest val loss."""

    def __init__(self, network: nn.Module, last_epoch: int) -> None:
        self._network, self.loss = network, np.inf
        self.weights: dict[str, Tensor] | None = None
        self.epoch = last_epoch

    def offer(self, epoch: int, values: Mapping[str, float]) -> None:
        """Keep the present weights if they are the best so far."""
        if values and values["loss"] < self.loss:
            self.loss, self.epoch = values["loss"], epoch
            self.weights = deepcopy(self._network.state_dict())

    def put_back(self) -> None:
        """Give the network the weights that were kept, and leave it in eval mode."""
        if self.weights is not None:
            self._network.load_state_dict(self.weights)
        self._network.eval()


@dataclass
class Course:
    """All that changes while a network is trained.

    Attributes
    ----------
    network, optimizer, schedule
        What is trained, and by what.
    rng : Generator
        Order of the items and what is drawn for them.
    best : Best
        The weights to end with.
    measured : list of (epoch, split, measure, value)
        The history so far.
    epoch : int
        Epochs finished.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    rng: np.random.Generator
    best: Best
    measured: list[tuple[int, str, str, float]] = field(default_factory=list)
    epoch: int = 0

    def finish(self, epoch: int, train_loss: float, values: Mapping[str, float]) -> None:
        """Note what an epoch came to on train and, if there is anything, on val."""
        self.measured.append((epoch, "train", "loss", train_loss))
        self.measured += [(epoch, "val", measure, value) for measure, value in values.items()]
        self.best.offer(epoch, values)
        self.epoch = epoch

    def state(self) -> dict[str, np.ndarray]:
        """Everything, as named arrays; what is no array goes as JSON into one of them."""
        arrays = to_arrays(self.network)
        for name, value in (self.best.weights or {}).items():
            arrays[_BEST + name] = value.cpu().numpy()
        for number, parameter in enumerate(self._parameters()):
            for name, value in self.optimizer.state[parameter].items():
                arrays[f"{_OPTIMIZER}{number}.{name}"] = value.cpu().numpy()
        for device, generator in self._generators().items():
            arrays[_RANDOM + device] = generator.get_rng_state().cpu().numpy()
        rest = {
            "epoch": self.epoch,
            "measured": self.measured,
            "best": [self.best.epoch, self.best.loss],
            "rng": self.rng.bit_generator.state,
            "schedule": self.schedule.state_dict(),
            "groups": [_settings(group) for group in self.optimizer.param_groups],
        }
        return arrays | {_REST: np.frombuffer(json.dumps(rest).encode(), np.uint8)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what :meth:`state` gave."""
        rest = json.loads(arrays[_REST].tobytes())
        from_arrays(self.network, arrays)
        self.epoch = rest["epoch"]
        self.measured = [(epoch, split, of, value) for epoch, split, of, value in rest["measured"]]
        self.best.epoch, self.best.loss = rest["best"]
        weights = {n: torch.from_numpy(value) for n, value in _under(_BEST, arrays).items()}
        self.best.weights = weights or None
        self.rng.bit_generator.state = rest["rng"]
        for device, generator in self._generators().items():
            generator.set_rng_state(torch.from_numpy(arrays[_RANDOM + device]))
        self.schedule.load_state_dict(rest["schedule"])
        for group, settings in zip(self.optimizer.param_groups, rest["groups"], strict=True):
            group.update(settings | {"betas": tuple(settings["betas"])})
        for number, parameter in enumerate(self._parameters()):
            found = _under(f"{_OPTIMIZER}{number}.", arrays)
            self.optimizer.state[parameter] = {
                name: _laid_out(value, parameter) for name, value in found.items()
            }

    def _parameters(self) -> list[nn.Parameter]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def _generators(self) -> dict[str, Any]:
        """Modules with PyTorch's own sources of randomness; layers such as dropout draw there."""
        kinds = {"cpu"} | {parameter.device.type for parameter in self.network.parameters()}
        return {k: torch.random if k == "cpu" else torch.get_device_module(k) for k in kinds}


def _settings(group: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name != "params"}


def _under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {n.removeprefix(prefix): value for n, value in arrays.items() if n.startswith(prefix)}


def _laid_out(value: np.ndarray, parameter: nn.Parameter) -> Tensor:
    """A tensor with the memory layout of its parameter, since another may round otherwise."""
    tensor = torch.from_numpy(value)
    if tensor.shape != parameter.shape:  # the count of steps
        return tensor
    return torch.empty_like(parameter, requires_grad=False).copy_(tensor)


@dataclass
class Effort:
    """Time that a training took: starts that were killed count, the care of its file does not.

    Attributes
    ----------
    earlier_s : float
        Work of the epochs that were finished before a kill.
    keeping : Stopwatch
        Time spent on the file since.
    writing_s : float
        The part of it that went into writing.
    began_s : float
        When this start began, on the clock of `time.perf_counter`.
    """

    earlier_s: float = 0.0
    writing_s: float = 0.0
    keeping: Stopwatch = field(default_factory=Stopwatch)
    began_s: float = field(default_factory=time.perf_counter)

    @property
    def work_s(self) -> float:
        """Up to now."""
        return self.earlier_s + time.perf_counter() - self.began_s - self.keeping.elapsed_s


@dataclass(frozen=True)
class Checkpoint:
    """The file in which a training keeps how far it is; make it just before training.

    Attributes
    ----------
    path : Path
        Where; four times the size of the network.
    key : str
        What the training depends on. A file with another key is ignored.
    most_share : float
        The file is written after an epoch if writing has taken no more than this share of the
        training so far: a kill then costs more than one epoch only where epochs are short.
    effort : Effort
        Time that the training takes.
    """

    path: Path
    key: str = ""
    most_share: float = 0.03
    effort: Effort = field(default_factory=Effort)

    def bound_to(self, *parts: object) -> "Checkpoint":
        """The same file for a training that also depends on ``parts``: arrays, or by their repr."""
        digest = sha256(self.key.encode())
        for part in parts:
            digest.update(part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
        return replace(self, key=digest.hexdigest())

    def take_up(self, course: Course, what: str) -> None:
        """Bring a training that is about to begin to where the file says, if it is the same.

        A damaged file, and one of another training, is ignored with a sentence on standard
        error, and later overwritten.
        """
        with self.effort.keeping:
            found = self._read(what)
            if found:
                course.restore(found)
                self.effort.earlier_s = float(found[_WORK])
                _tell(f"training {what}: goes on after epoch {course.epoch}, kept in {self.path}")

    def _read(self, what: str) -> dict[str, np.ndarray]:
        """What the file holds for this very training; empty where that is nothing."""
        for half_written in self.path.parent.glob(f".{self.path.name}.*"):
            half_written.unlink()  # by a job that was killed while it wrote
        if not self.path.is_file():
            return {}
        try:
            found = read_state(self.path)
        except DamagedFileError:
            _tell(f"training {what}: {self.path} is damaged, so training starts anew")
            return {}
        if _KEY in found and found[_KEY].tobytes() == self.key.encode():
            return found
        _tell(
            f"training {what}: {self.path} is of a training with other settings, data or code, so "
            "training starts anew"
        )
        return {}

    def keep(self, course: Course) -> None:
        """Write how far the training is, in place of what was there, unless that costs too much."""
        work_s, watch = self.effort.work_s, Stopwatch()
        if self.effort.writing_s > self.most_share * work_s:
            return
        with self.effort.keeping, watch:
            key = np.frombuffer(self.key.encode(), np.uint8)
            write_state(self.path, course.state() | {_KEY: key, _WORK: np.array(work_s)})
        self.effort.writing_s += watch.elapsed_s

    def remove(self) -> None:
        """Take the file away: the training has ended, and its result is safe."""
        self.path.unlink(missing_ok=True)


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr)
