"""The one loop that trains every network here.

AdamW with decoupled weight decay on the weights alone (Loshchilov & Hutter, ICLR 2019,
arXiv:1711.05101) and one cycle of the learning rate (Smith & Topin, 2019, arXiv:1708.07120);
the weights of the epoch with the lowest val loss are kept.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from patchbench import tables
from patchbench.errors import UserError
from patchbench.networks.settings import Plan
from patchbench.progress import progress

BatchLoss = Callable[[np.ndarray, np.random.Generator], Tensor]
Validation = Callable[[], dict[str, float]]

_WARM_UP_SHARE = 0.2
# as the learning rate rises, the first of Adam's betas falls by so much, and the reverse
_BETA_SWING = 0.05


def train(
    network: nn.Module,
    batch_loss: BatchLoss,
    n_items: int,
    validation: Validation,
    plan: Plan,
    seed: int,
    what: str,
) -> pd.DataFrame:
    """Train ``network`` in place and leave it, in eval mode, with its best weights.

    Parameters
    ----------
    network : Module
        What to train, already on its device.
    batch_loss : callable
        ``batch_loss(rows, rng)``: mean loss of the chosen items, ``rows`` being int (n,).
    n_items : int
        Items per epoch.
    validation : callable
        Measures on val, among them ``loss``; empty where there is nothing to validate on,
        and then the last epoch is kept. Called in eval mode, without gradients.
    plan : Plan
        How long and how fast; without epochs, nothing happens and the history is empty.
    seed : int
        Order of the items and everything ``batch_loss`` draws.
    what : str
        Name for progress and messages.

    Returns
    -------
    history : DataFrame
        Table "history". A loss that is no number any more is a UserError.
    """
    rng = np.random.default_rng(seed)
    n_batches = max(1, n_items // plan.batch_size)
    optimizer, schedule = _optimizer(network, plan, plan.epochs * n_batches)
    measured: list[tuple[int, str, str, float]] = []
    best = _Best(network, plan.epochs)

    def step(rows: np.ndarray) -> float:
        loss = batch_loss(rows, rng)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        return loss.item() * len(rows)

    for epoch in progress(range(1, plan.epochs + 1), f"training {what}", "epoch"):
        network.train()
        total = sum(map(step, np.array_split(rng.permutation(n_items), n_batches)))
        _check(total, what, epoch, plan)
        measured.append((epoch, "train", "loss", total / n_items))
        network.eval()
        with torch.inference_mode():
            values = validation()
        measured += [(epoch, "val", measure, value) for measure, value in values.items()]
        best.offer(epoch, values)
    best.put_back()
    return _history(measured, best.epoch)


class _Best:
    """Remembers the weights of the epoch with the lowest val loss."""

    def __init__(self, network: nn.Module, last_epoch: int) -> None:
        self._network, self._loss = network, np.inf
        self._weights: dict[str, Any] | None = None
        self.epoch = last_epoch

    def offer(self, epoch: int, values: dict[str, float]) -> None:
        """Keep the present weights if they are the best so far."""
        if values and values["loss"] < self._loss:
            self._loss, self.epoch = values["loss"], epoch
            self._weights = deepcopy(self._network.state_dict())

    def put_back(self) -> None:
        """Give the network the weights that were kept, and leave it in eval mode."""
        if self._weights is not None:
            self._network.load_state_dict(self._weights)
        self._network.eval()


def _optimizer(
    network: nn.Module, plan: Plan, n_steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": plan.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=plan.lr, betas=plan.betas)
    if plan.schedule == "constant" or not n_steps:
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    # the schedule divides by the steps of its rise less one, so a rise of one step is no rise
    one_step = abs(_WARM_UP_SHARE * n_steps - 1) < 1e-6
    share = 1.5 * _WARM_UP_SHARE if one_step else _WARM_UP_SHARE
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        plan.lr,
        total_steps=n_steps,
        pct_start=share,
        max_momentum=plan.betas[0] + _BETA_SWING,
        base_momentum=plan.betas[0] - _BETA_SWING,
    )


def _check(total: float, what: str, epoch: int, plan: Plan) -> None:
    if not np.isfinite(total):
        raise UserError(
            f"training {what}: the loss is no longer a number in epoch {epoch}; "
            f"lower lr (now {plan.lr})"
        )


def _history(measured: list[tuple[int, str, str, float]], best_epoch: int) -> pd.DataFrame:
    history = pd.DataFrame(measured, columns=["epoch", "split", "measure", "value"])
    history["kept"] = history["epoch"] == best_epoch
    return history[list(tables.COLUMNS["history"])]
