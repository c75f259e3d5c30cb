"""Take patches away from test images and fuse the rest, to see which patches carry the decision.

Patches are never encoded again: their logits are what they were, and only fewer are joined.
The patches of every image are dropped in an order: at random, the most or the least confident
first, from the centre or from the border; or every second cell of a checkerboard. Rescaled, the
mean is over the patches that are left; not rescaled, the sum over those left is divided by the
number of all, so that every dropped patch counts as a vote of zero: the order of classes hardly
changes, but logits shrink, which alone makes the log-loss worse.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from patchbench.bags import softmax
from patchbench.experiments._checks import check_count, check_fractions
from patchbench.seeds import derive
from patchbench.subject import MEAN_LOGIT, MEAN_PROBABILITY, Subject
from patchbench.trials import Trials

VARIANTS = ((MEAN_PROBABILITY, True), (MEAN_LOGIT, True), (MEAN_LOGIT, False))
CHECKERBOARD = "checkerboard"

Order = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Confidence (n_images, n_patches) and distance from the middle (n_patches,) to when a patch
goes, lowest first; where patches are alike, chance decides."""

ORDERS: dict[str, Order] = {
    "random": lambda confidence, distance: np.zeros_like(confidence),
    "most_confident_first": lambda confidence, distance: -confidence,
    "least_confident_first": lambda confidence, distance: confidence,
    "center_first": lambda confidence, distance: np.broadcast_to(distance, confidence.shape),
    "border_first": lambda confidence, distance: np.broadcast_to(-distance, confidence.shape),
}


@dataclass(kw_only=True)
class Experiment:
    """Patches dropped from test images.

    Parameters
    ----------
    fractions : list of float
        Shares to drop, 0 or more and below 1; rounded to whole patches, and one always stays.
    n_draws : int
        How often chance is asked anew.
    """

    fractions: list[float] = field(
        default_factory=lambda: [0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95]
    )
    n_draws: int = 20
    seed: int = 0

    needs: ClassVar[str] = "votes"
    summary: ClassVar[str] = "patches dropped from test images, the rest fused again"
    source: ClassVar[str] = "cf. Brendel & Bethge, ICLR 2019, arXiv:1904.00760"

    def __post_init__(self) -> None:
        check_fractions(self.fractions)
        check_count(n_draws=self.n_draws)

    def rows(self, subject: Subject) -> Iterator[dict[str, Any]]:
        """Rows of table "experiments": ``amount`` is the share of patches dropped."""
        votes, trials = subject.votes, Trials(subject.labels, subject.group_of)
        if votes is None:
            raise ValueError("spatial_blackout needs the logits of patches; give votes")
        values = {MEAN_LOGIT: votes.astype(np.float64), MEAN_PROBABILITY: softmax(votes)}
        everything = np.ones(votes.shape[:2], dtype=bool)
        untouched = {
            (fusion, rescaled): trials.score([fused(values[fusion], everything, fusion, rescaled)])
            for fusion, rescaled in VARIANTS
        }
        for policy, amount, masks in self.masks(subject, values[MEAN_PROBABILITY].max(axis=2)):
            for (fusion, rescaled), plain in untouched.items():
                draws = (fused(values[fusion], kept, fusion, rescaled) for kept in masks)
                told: dict[str, Any] = {"policy": policy, "fusion": fusion, "rescaled": rescaled}
                yield from trials.rows(trials.score(draws), plain, amount=amount, **told)

    def masks(
        self, subject: Subject, confidence: np.ndarray
    ) -> Iterator[tuple[str, float, np.ndarray]]:
        """Policy, share dropped, and patches kept: bool (n_draws, n_images, n_patches).

        Each draw drops the same patches first, however many more go.
        """
        centers, cells = subject.centers, subject.cells
        if centers is None or cells is None:
            raise ValueError("spatial_blackout needs the places of patches; give centers and cells")
        n_images, n_patches = confidence.shape
        # equal distances differ in their last digits
        distance = np.hypot(*centers.T).round(9)
        for policy, order in ORDERS.items():
            rng = np.random.default_rng(derive(self.seed, "experiment", "spatial", policy))
            when, n_draws = order(confidence, distance), self.n_draws
            ranked = np.sort(confidence, axis=1)
            if "confident" in policy and (np.diff(ranked, axis=1) != 0).all():
                n_draws = 1  # nothing is left to the lot
            chance = rng.random((n_draws, n_images, n_patches))
            goes = np.lexsort((chance, np.broadcast_to(when, chance.shape))).argsort(axis=-1)
            for fraction in self.fractions:
                n_gone = min(int(fraction * n_patches + 0.5), n_patches - 1)
                yield policy, fraction, goes[: None if n_gone else 1] >= n_gone
        black = cells.sum(axis=1) % 2 == 0
        if black.any() and not black.all():
            boards = np.stack([black, ~black])[:, None]
            both = np.broadcast_to(boards, (2, n_images, n_patches))
            yield CHECKERBOARD, 0.5, both  # of the two boards one keeps what the other drops


def fused(values: np.ndarray, kept: np.ndarray, fusion: str, rescaled: bool) -> np.ndarray:
    """Decisions by the patches that are kept: float64 array, (n_images, n_classes).

    Parameters
    ----------
    values : float array, (n_images, n_patches, n_classes)
        Logits for mean_logit, probabilities for mean_probability.
    kept : bool array, (n_images, n_patches)
    fusion : str
    rescaled : bool
        Whether the mean is over the patches kept, not over all.
    """
    total = (kept[:, None].astype(np.float64) @ values)[:, 0]
    n_counted = kept.sum(axis=1, keepdims=True) if rescaled else kept.shape[1]
    mean: np.ndarray = total / n_counted
    return softmax(mean) if fusion == MEAN_LOGIT else mean
