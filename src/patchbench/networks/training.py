"""The one loop that trains every network here.

AdamW with decoupled weight decay on the weights alone (Loshchilov & Hutter, ICLR 2019,
arXiv:1711.05101) and one cycle of the learning rate (Smith & Topin, 2019, arXiv:1708.07120);
the weights of the epoch with the lowest val loss are kept.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from patchbench import tables
from patchbench.errors import UserError
from patchbench.networks.course import Best, Checkpoint, Course
from patchbench.networks.settings import Plan
from patchbench.networks.weights import to_arrays
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
    checkpoint: Checkpoint | None = None,
) -> pd.DataFrame:
    """Train ``network`` in place and leave it, in eval mode, with its best weights.

    Parameters
    ----------
    network : Module
        What to train, already on its device; where parameters are frozen, batch norms among
        them keep their statistics.
    batch_loss : callable
        ``batch_loss(rows, rng)``: mean loss of the chosen items, ``rows`` being int (n,). One
        without a gradient says that the parameters were given theirs already.
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
    checkpoint : Checkpoint or None
        Where to keep how far the training is between epochs, bound to the data and whatever else
        ``batch_loss`` depends on; if it holds an earlier start of this very training, the
        epochs finished then are not trained again. The caller removes it.

    Returns
    -------
    history : DataFrame
        Table "history". A loss that is no number any more is a UserError.
    """
    rng = np.random.default_rng(seed)
    n_batches = max(1, n_items // plan.batch_size)
    optimizer, schedule = _optimizer(network, plan, plan.epochs * n_batches)
    course = Course(network, optimizer, schedule, rng, Best(network, plan.epochs))
    if checkpoint is not None:
        with checkpoint.effort.keeping:
            start = to_arrays(network).values()
            checkpoint = checkpoint.bound_to(torch.__version__, plan, seed, n_items, *start)
        checkpoint.take_up(course, what)

    def step(rows: np.ndarray) -> float:
        optimizer.zero_grad()
        loss = batch_loss(rows, rng)
        if loss.requires_grad:
            torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        return loss.item() * len(rows)

    epochs = range(course.epoch + 1, plan.epochs + 1)
    for epoch in progress(epochs, f"training {what}", "epoch"):
        _let_learn(network)
        total = sum(map(step, np.array_split(rng.permutation(n_items), n_batches)))
        _check(total, what, epoch, plan)
        network.eval()
        with torch.inference_mode():
            values = validation()
        course.finish(epoch, total / n_items, values)
        if checkpoint is not None and epoch < plan.epochs:  # after the last, the result is next
            checkpoint.keep(course)
    course.best.put_back()
    return _history(course.measured, course.best.epoch)


def _let_learn(network: nn.Module) -> None:
    """Switch to training mode; of a network that is frozen in part, only what learns."""
    network.train()
    if all(parameter.requires_grad for parameter in network.parameters()):
        return
    for module in network.modules():
        if not any(parameter.requires_grad for parameter in module.parameters()):
            module.eval()


def _optimizer(
    network: nn.Module, plan: Plan, n_steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": plan.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=plan.lr, betas=plan.betas, fused=True)
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
