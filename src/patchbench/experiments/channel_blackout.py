"""Take feature channels away before the last, linear step, the same for all images and classes.

This is what the program of a published replication of BagNet (Stanford CS229) did under the name
of patch blackout: it multiplied the weights of the last layer by one vector of zeros and ones, so
that channels went and no place of the image did. It did not rescale: with a quarter of the
channels left, logits are about four times smaller, and the log-loss grows from that alone.
Rescaled, what is left is divided by the share that is left. The bias stays.

For a classifier on standardised embeddings, a channel that is away stands at its mean over train.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from patchbench.bags import softmax
from patchbench.experiments._checks import check_count, check_fractions
from patchbench.seeds import derive
from patchbench.study import NONE
from patchbench.subject import MEAN_LOGIT, Channels, Subject
from patchbench.trials import Trials


@dataclass(kw_only=True)
class Experiment:
    """Channels set to zero.

    Parameters
    ----------
    fractions : list of float
        Shares to take away, 0 or more and below 1; rounded to whole channels, and one stays.
    n_draws : int
        How often chance is asked anew.
    """

    fractions: list[float] = field(
        default_factory=lambda: [0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95]
    )
    n_draws: int = 20
    seed: int = 0

    needs: ClassVar[str] = "channels"
    summary: ClassVar[str] = "feature channels set to zero before the last, linear step"
    source: ClassVar[str] = "cf. Srivastava et al., JMLR 15, 2014 (dropout)"

    def __post_init__(self) -> None:
        check_fractions(self.fractions)
        check_count(n_draws=self.n_draws)

    def rows(self, subject: Subject) -> Iterator[dict[str, Any]]:
        """Rows of table "experiments": ``amount`` is the share of channels taken away."""
        channels, trials = subject.channels, Trials(subject.labels, subject.group_of)
        if channels is None:
            raise ValueError("channel_blackout needs the last, linear step; give channels")
        fusion = NONE if subject.fusions == (NONE,) else MEAN_LOGIT
        everything = np.ones(len(channels.weights), dtype=bool)
        plain = trials.score([without(channels, everything, rescaled=True)])
        for policy, amount, masks in self.masks(len(everything)):
            for rescaled in (True, False):
                draws = (without(channels, kept, rescaled=rescaled) for kept in masks)
                told: dict[str, Any] = {"policy": policy, "fusion": fusion, "rescaled": rescaled}
                yield from trials.rows(trials.score(draws), plain, amount=amount, **told)

    def masks(self, dim: int) -> Iterator[tuple[str, float, np.ndarray]]:
        """Policy, share taken away, and channels kept: bool (n_draws, dim)."""
        rng = np.random.default_rng(derive(self.seed, "experiment", "channels"))
        goes = rng.permuted(np.tile(np.arange(dim), (self.n_draws, 1)), axis=1)
        for fraction in self.fractions:
            n_gone = min(int(fraction * dim + 0.5), dim - 1)
            yield "random", fraction, goes[: None if n_gone else 1] >= n_gone
        if dim > 1:
            even = np.arange(dim) % 2 == 0
            yield "alternating", 0.5, np.stack([even, ~even])


def without(channels: Channels, kept: np.ndarray, *, rescaled: bool) -> np.ndarray:
    """Decisions by the channels kept, bool (dim,): float64 array, (n_images, n_classes)."""
    features = channels.features[:, kept].astype(np.float64)
    evidence = features @ channels.weights[kept].astype(np.float64)
    return softmax(evidence / (kept.mean() if rescaled else 1.0) + channels.bias)
