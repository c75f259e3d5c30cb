"""Fit and score on a choice of patches: dropped or weighed, in training, in test, or in both."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench import noise, plugins
from patchbench.auc import auc_draws, macro_auc
from patchbench.bags import Bags
from patchbench.bootstrap import draw_groups
from patchbench.cost import Stopwatch
from patchbench.cross_fit import decide
from patchbench.evaluation import BOOTSTRAP_SEED, PREFERRED_FUSION
from patchbench.noise import Kept
from patchbench.patch_logits import patch_logits
from patchbench.patchset import gather
from patchbench.seeds import derive
from patchbench.split_bags import SplitBags
from patchbench.study import NONE

N_LOTS = 5
FILTER, WEIGHT = "filter", "weight"
PATCH, IMAGE, FUSED = "patch", "image", "fused"


@dataclass(frozen=True)
class Step:
    """One thing done with a detector's scores."""

    use: str
    applied: str
    fraction: float
    removed_train: float = 0.0
    removed_test: float = 0.0
    n_by_floor: int = 0

    @property
    def key(self) -> tuple[str, str, float]:
        """What it has in common with the same step of another detector."""
        return self.use, self.applied, self.fraction


@dataclass(frozen=True)
class Outcome:
    """AUC of a fit on the test images and on each draw of them.

    Attributes
    ----------
    draws : dict
        By level, float (1 + n_draws,): single patches; images by the mean of probabilities;
        images by the rule that is best on val, unless test patches are weighed.
    fusions : dict
        The rule of each level.
    fit_s, n_images : float, int
        Seconds of the fit, and test images.
    """

    draws: dict[str, np.ndarray]
    fusions: dict[str, str]
    fit_s: float
    n_images: int

    @classmethod
    def averaged(cls, found: Sequence["Outcome"]) -> "Outcome":
        """Mean over several draws of the lot."""
        draws = {
            level: np.mean([one.draws[level] for one in found], axis=0) for level in found[0].draws
        }
        return replace(found[0], draws=draws)


class Bench:
    """Train and test patches of one encoder, and how to fit and score on a choice of them.

    Parameters
    ----------
    classifier : Classifier
        Fitted on all patches; its settings stay as they were chosen.
    train, test : DataFrame
        Rows of table "patches", image after image; those of train fit into memory.
    shards : list of Path
        Embeddings of all patches.
    centers : float array, (n_test, 2)
        Centres of the test patches.
    rule : (str, Fusion)
        The fusion rule that is best on val, and its name.
    seed : int
        Seed of the study.
    scored : int array, (n_train,)
        Which of the scored train patches these are.
    group_of : int array, (n_test_images,)
        Group of each test image, from 0; images of a group are drawn together.
    """

    def __init__(
        self,
        classifier: Any,
        train: pd.DataFrame,
        test: pd.DataFrame,
        shards: list[Path],
        centers: np.ndarray,
        rule: tuple[str, Any],
        seed: int,
        scored: np.ndarray,
        group_of: np.ndarray,
    ) -> None:
        self._classifier, self._rule, self._seed = classifier, rule, derive(seed, "sweep")
        self.watch = Stopwatch()
        self._train, self._labels = gather(shards, train), train["label"].to_numpy()
        self._test, self._shards, self._centers = test, shards, centers
        self._test_labels = test["label"].to_numpy()
        self.n_train, self.n_test = len(train), len(test)
        self._image_of, self._test_image_of = (
            np.unique(part["image_row"].to_numpy(), return_inverse=True)[1]
            for part in (train, test)
        )
        self._draws = draw_groups(group_of, BOOTSTRAP_SEED)
        first = np.searchsorted(self._test_image_of, np.arange(self._draws.shape[1]))
        self._image_labels = self._test_labels[first]
        self._scored = scored

    @cached_property
    def plain(self) -> "Fitted":
        """The fit on all train patches."""
        return self.fit(np.ones(self.n_train))

    def fit(self, weights: np.ndarray) -> "Fitted":
        """Fit on the train patches whose weight is above 0, each as heavy as that."""
        rows, watch = weights > 0, Stopwatch()
        given = None if (weights[rows] == 1).all() else weights[rows]
        with self.watch, watch:
            fitted = self._classifier.refitted(self._train[rows], self._labels[rows], given)
            logits = patch_logits(fitted, self._shards, self._test)
        return Fitted(logits, watch.elapsed_s)

    def outcome(self, fitted: "Fitted", weights: np.ndarray) -> Outcome:
        """Score test patches whose weight is above 0; every image has at least one."""
        rows = weights > 0
        labels, image_of = self._test_labels[rows], self._test_image_of[rows]
        sizes = np.bincount(image_of, minlength=len(self._image_labels))
        bags, shares = Bags(fitted.logits[rows], sizes, self._centers[rows]), weights[rows]
        name, rule = self._rule
        decisions = {IMAGE: bags.mean(bags.probabilities, shares)}
        if (shares == 1).all():
            decisions[FUSED] = rule.fuse(bags)
        draws = {PATCH: auc_draws(labels, bags.probabilities, image_of, self._draws)} | {
            level: macro_auc(self._image_labels, found, self._draws)
            for level, found in decisions.items()
        }
        fusions = {PATCH: NONE, IMAGE: PREFERRED_FUSION, FUSED: name}
        return Outcome(draws, fusions, fitted.seconds, len(self._image_labels))

    def at_random(
        self, train: np.ndarray, test: np.ndarray | None, fractions: list[float]
    ) -> Iterator[tuple[Step, Outcome]]:
        """As `steps` with scores drawn anew, averaged: one draw of the lot would be luck."""
        del train, test  # as good as any
        rng = np.random.default_rng(self._seed)
        n_scored = int(self._scored.max()) + 1
        lots = [(rng.random(n_scored), rng.random(self.n_test)) for _ in range(N_LOTS)]
        for together in zip(*(self.steps(*lot, fractions) for lot in lots), strict=True):
            yield together[0][0], Outcome.averaged([outcome for _, outcome in together])

    def steps(
        self, train: np.ndarray, test: np.ndarray | None, fractions: list[float]
    ) -> Iterator[tuple[Step, Outcome]]:
        """Everything that is done with a detector's scores of train and, if any, test patches."""
        train, everything = train[self._scored], np.ones(self.n_test)
        for use, fraction in [(FILTER, fraction) for fraction in fractions] + [(WEIGHT, np.nan)]:
            weights, in_train = self._in_train(train, fraction)
            fitted = self.fit(weights)
            yield (
                Step(use, "train", fraction, *_told(in_train, 0)),
                self.outcome(fitted, everything),
            )
            if test is None:
                continue
            at_test, in_test = self._in_test(test, train, fraction)
            told = _told(in_test, 1)
            yield Step(use, "test", fraction, *told), self.outcome(self.plain, at_test)
            both = (_told(in_train, 0)[0], told[1], in_train.n_by_floor + in_test.n_by_floor)
            yield Step(use, "both", fraction, *both), self.outcome(fitted, at_test)

    def _in_train(self, scores: np.ndarray, fraction: float) -> tuple[np.ndarray, Kept]:
        """Weight of each train patch, and who was dropped."""
        if np.isnan(fraction):
            return _by_rank(scores, scores)
        kept = noise.without_worst(scores, fraction, self._image_of, self._seed)
        return kept.rows.astype(np.float64), kept

    def _in_test(
        self, scores: np.ndarray, reference: np.ndarray, fraction: float
    ) -> tuple[np.ndarray, Kept]:
        """Weight of each test patch, and who was dropped."""
        if np.isnan(fraction):
            return _by_rank(scores, reference)
        kept = noise.without_worst_of_each(scores, fraction, self._test_image_of, self._seed)
        return kept.rows.astype(np.float64), kept


def best_on_val(fusions: Mapping[str, Any], val: SplitBags[Bags]) -> tuple[str, Any]:
    """Name of the rule with the highest AUC on val, and the rule; of equal ones the plainest."""
    everything = np.ones((1, len(val.labels)))
    build = {name: partial(plugins.build, "fusions", name, spec) for name, spec in fusions.items()}

    def rank(name: str) -> tuple[float, bool, str]:
        auc = macro_auc(val.labels, decide(build[name], val.bags, val.labels), everything)[0]
        return -float(auc), name != PREFERRED_FUSION, name

    best = min(build, key=rank)
    return best, build[best]().fit(val.bags, val.labels)


def _by_rank(scores: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, Kept]:
    """Weights from 1 to just above 0, by the share of train patches that are cleaner."""
    weights = 1 - noise.noisiness_among(scores, reference)
    # a test patch that is noisier than all of train still counts where its image has no other
    least = 0.5 / len(reference)
    return np.maximum(weights, least), Kept(np.ones(len(scores), dtype=bool), 0)


@dataclass(frozen=True)
class Fitted:
    """Logits of all test patches, float32 (n_patches, n_classes), and how long the fit took."""

    logits: np.ndarray
    seconds: float


def _told(kept: Kept, place: int) -> tuple[float, float, int]:
    """Share removed in train (place 0) or test (place 1), and how many only the floor kept."""
    removed = [0.0, 0.0]
    removed[place] = float(1 - kept.rows.mean())
    return removed[0], removed[1], kept.n_by_floor
