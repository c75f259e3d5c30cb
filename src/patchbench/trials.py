"""Score an experiment: many draws of what is removed or moved, two kinds of spread kept apart.

A value is the mean over draws. Its interval is over images, which are drawn with replacement
(bootstrap); how far single draws lie apart is told beside it. Every value is compared in pairs
with the same images left as they are.

The AUC is a mean over pairs of images, so its mean over draws is the AUC of the mean table of
wins: one bootstrap serves all draws, exactly.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from patchbench.bootstrap import COVERAGE, draw_groups, estimate
from patchbench.evaluation import BOOTSTRAP_SEED
from patchbench.paired import Difference, difference
from patchbench.reasons import NOT_COMPARED, joined
from patchbench.study import NONE

MEASURES = ("auc_macro", "accuracy", "log_loss")
_DIGITS = 12


@dataclass(frozen=True)
class Score:
    """One measure: bootstrap over images of the mean over draws, and each draw by itself.

    Attributes
    ----------
    over_images : float array, (1 + N_DRAWS,)
        First the images as they are.
    by_draw : float array, (n_draws,)
    """

    over_images: np.ndarray
    by_draw: np.ndarray


@dataclass
class Trials:
    """Test images of which decisions are scored again and again.

    Parameters
    ----------
    labels : int array, (n_images,)
        True classes.
    group_of : int array, (n_images,)
        Group of each image, from 0; images of a group are drawn together.
    """

    labels: np.ndarray
    group_of: np.ndarray
    weights: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        weights = draw_groups(self.group_of, BOOTSTRAP_SEED)
        self.weights = weights.astype(np.float64)
        self._totals = self.weights.sum(axis=1)
        present = np.unique(self.labels)
        sides = [(int(c), self.labels == c) for c in present]
        self._classes = sides if len(present) > 1 else []
        # weights of the images of each class and of the others, column after column
        self._sides = [(self.weights[:, own], self.weights[:, ~own]) for _, own in self._classes]

    def score(self, draws: Iterable[np.ndarray]) -> dict[str, Score]:
        """Every measure of `MEASURES` for decisions (n_images, n_classes), one array per draw."""
        wins: list[Any] = [0.0] * len(self._classes)
        auc, right, losses = [], [], []
        for probabilities in draws:
            # what differs in the last digits of a sum only is a tie
            rounded = probabilities.round(_DIGITS)
            of_draw = [_wins(own, rounded[:, c]) for c, own in self._classes]
            wins = [total + table for total, table in zip(wins, of_draw, strict=True)]
            means = [table.mean() for table in of_draw]
            auc.append(np.mean(means) if means else np.nan)
            own = probabilities[np.arange(len(self.labels)), self.labels]
            right.append(probabilities.argmax(axis=1) == self.labels)
            losses.append(-np.log(np.maximum(own, 1e-12)))
        tables = [table / len(auc) for table in wins]
        return {
            "auc_macro": Score(self._auc(tables), np.array(auc)),
            "accuracy": self._mean(np.array(right, dtype=np.float64)),
            "log_loss": self._mean(np.array(losses)),
        }

    def _mean(self, values: np.ndarray) -> Score:
        """Of values (n_draws, n_images)."""
        over_images = self.weights @ values.mean(axis=0) / self._totals
        return Score(over_images, values.mean(axis=1))

    def _auc(self, tables: list[np.ndarray]) -> np.ndarray:
        found = [np.full(len(self.weights), np.nan)] if not tables else []
        for (positive, negative), wins in zip(self._sides, tables, strict=True):
            total = np.einsum("dn,dn->d", positive @ wins, negative)
            pairs = positive.sum(axis=1) * negative.sum(axis=1)
            nothing = np.full(len(pairs), np.nan)
            found.append(np.divide(total, pairs, out=nothing, where=pairs > 0))
        mean: np.ndarray = np.mean(found, axis=0)
        return mean

    def rows(
        self,
        scores: Mapping[str, Score],
        untouched: Mapping[str, Score],
        *,
        policy: str,
        amount: float,
        fusion: str = NONE,
        rescaled: bool | None = None,
    ) -> list[dict[str, Any]]:
        """Rows of table "experiments", one per measure, without the columns that name the run."""
        place = {"policy": policy, "amount": amount, "fusion": fusion, "rescaled": rescaled}
        return [
            place
            | {"measure": measure}
            | row(score, untouched[measure])
            | {"n_images": len(self.labels)}
            for measure, score in scores.items()
        ]


def row(score: Score, untouched: Score | None = None) -> dict[str, Any]:
    """Value, interval, spread of the draws and paired difference of one measure."""
    found = estimate(score.over_images)
    told = Difference(reason=NOT_COMPARED)
    if untouched is not None:
        told = difference(score.over_images, untouched.over_images)
    apart = {"difference": told.value, "difference_low": told.low, "difference_high": told.high}
    reason = joined({"value": found.reason, "difference": told.reason})
    n_draws, tail = len(score.by_draw), (1 - COVERAGE) / 2
    ends = np.full(2, np.nan) if n_draws == 1 else np.quantile(score.by_draw, [tail, 1 - tail])
    spread = {"draw_low": float(ends[0]), "draw_high": float(ends[1]), "n_draws": n_draws}
    return found.numbers | spread | apart | {"p": told.p, "reason": reason}


def _wins(own: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """How each image of a class fares against each other one: 1, 0, or half for a tie."""
    positive, negative = scores[own][:, None], scores[~own][None]
    table: np.ndarray = (positive > negative) + 0.5 * (positive == negative)
    return table
