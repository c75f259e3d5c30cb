"""Ignore the patches that detectors find noisy, more and more of them, and see what it does.

Each detector drops the noisiest share of patches, or weighs patches by how clean they are: in
training only, in test only, in both. Every result is compared on the same test images with
keeping everything and with dropping as many at random. Writes ``sweep.parquet``.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench import noise, plugins
from patchbench.auc import auc_draws, macro_auc
from patchbench.bags import Bags, softmax
from patchbench.cost import Stopwatch, Work
from patchbench.evaluation import BOOTSTRAP_SEED, run_columns
from patchbench.io import provenance, read_array, read_state, read_table, write_table
from patchbench.metrics import draw_weights, estimate
from patchbench.noise import Kept
from patchbench.paired import difference
from patchbench.patchset import gather
from patchbench.progress import progress
from patchbench.sampling import row_limits, sample
from patchbench.study import NONE

RANDOM = "random"
FILTER, WEIGHT = "filter", "weight"
APPLIED = ("train", "test", "both")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--classifier", required=True, help="entry of the config's classifiers")
    parser.add_argument("--spec", type=json.loads, default={}, help="JSON: settings of the entry")
    parser.add_argument("--state", type=Path, required=True, help="classifier.npz, fitted")
    parser.add_argument("--index", type=Path, required=True, help="index.parquet of the patches")
    parser.add_argument("--embeddings", type=Path, nargs="+", required=True, help="all shards")
    parser.add_argument("--scores", type=Path, required=True, help="scores.npz, by stage detect")
    parser.add_argument("--fractions", type=float, nargs="+", required=True, help="shares to drop")
    parser.add_argument("--max-fit-mib", type=int, default=1024, help="most memory of a fit")
    parser.add_argument("--out", type=Path, required=True, help="sweep.parquet to write")


def run(args: argparse.Namespace) -> Work:
    """Fit and score once for every detector, share and place; random first, to compare with."""
    scores = read_state(args.scores)
    bench = Bench.open(args)
    names = sorted({name.partition("/")[2] for name in scores}, key=lambda name: name != RANDOM)
    plain = bench.outcome(bench.plain, np.ones(bench.n_test))
    at_random = dict[tuple[str, str, float], Outcome]()
    rows = [_row(args.about, NONE, _KEEP_ALL, plain, level) for level in LEVELS]
    for name in progress(names, "sweeping", "detector"):
        given = scores[f"train/{name}"], scores.get(f"test/{name}")
        for step, outcome in bench.steps(*given, args.fractions):
            if name == RANDOM:
                at_random[step.key] = outcome
            rival = at_random.get(step.key)
            for level in LEVELS:
                rows.append(
                    _row(args.about, name, step, outcome, level)
                    | _against("", outcome.draws[level], plain.draws[level])
                    | _against(
                        "random_", outcome.draws[level], rival.draws[level] if rival else None
                    )
                )
    origin = provenance("sweep", args.code, args.spec)
    write_table(args.out, pd.DataFrame(rows), "sweep", origin)
    return Work(len(rows), "result", work_s=bench.watch.elapsed_s)


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


_KEEP_ALL = Step(FILTER, "both", 0.0)


@dataclass(frozen=True)
class Outcome:
    """AUC of a fit, at patch and at image level, on the test images and on each draw of them."""

    draws: dict[str, np.ndarray]
    fit_s: float
    n_images: int


LEVELS = ("patch", "image")


class Bench:
    """Train and test patches of one encoder, and how to fit and score on a choice of them."""

    def __init__(
        self, classifier: Any, train: pd.DataFrame, test: pd.DataFrame, shards: list[Path]
    ) -> None:
        self._classifier, self.watch = classifier, Stopwatch()
        self._train, self._labels = gather(shards, train), train["label"].to_numpy()
        self._test, self._test_labels = gather(shards, test), test["label"].to_numpy()
        self.n_train, self.n_test = len(train), len(test)
        self._image_of, self._test_image_of = (
            np.unique(part["image_row"].to_numpy(), return_inverse=True)[1]
            for part in (train, test)
        )
        self._draws = draw_weights(int(self._test_image_of[-1]) + 1, BOOTSTRAP_SEED)
        first = np.searchsorted(self._test_image_of, np.arange(self._draws.shape[1]))
        self._image_labels = self._test_labels[first]
        self._chosen = np.arange(len(train))

    @classmethod
    def open(cls, args: argparse.Namespace) -> "Bench":
        """Gather what memory has room for; settings of the classifier stay as they were chosen."""
        classifier = plugins.build(
            "classifiers", args.classifier, args.spec, seed=args.seed, threads=args.threads
        )
        classifier.restore(read_state(args.state))
        plugins.preload(type(classifier).__module__)
        index = read_table(args.index, "patches")
        train, test = (
            index[index["split"] == split].reset_index(drop=True) for split in ("train", "test")
        )
        dim = read_array(args.embeddings[0]).shape[1]
        # the fit works on a copy of what stays here
        limit = row_limits(args.max_fit_mib, dim, classifier.bytes_per_value + 4, 0)[0]
        chosen = sample(train, limit, args.seed)
        bench = cls(classifier, chosen.reset_index(drop=True), test, args.embeddings)
        bench._chosen = chosen.index.to_numpy()
        return bench

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
            probabilities = softmax(fitted.logits(self._test))
        return Fitted(probabilities, watch.elapsed_s)

    def outcome(self, fitted: "Fitted", weights: np.ndarray) -> Outcome:
        """Score test patches whose weight is above 0; an image is their weighted mean vote."""
        rows = weights > 0
        votes, labels, image_of = (
            part[rows] for part in (fitted.probabilities, self._test_labels, self._test_image_of)
        )
        bags = Bags(votes, np.bincount(image_of), np.zeros((len(votes), 2)))
        decisions = bags.mean(votes, weights[rows])
        draws = {
            "patch": auc_draws(labels, votes, image_of, self._draws),
            "image": macro_auc(self._image_labels, decisions, self._draws),
        }
        return Outcome(draws, fitted.seconds, len(self._image_labels))

    def steps(
        self, train: np.ndarray, test: np.ndarray | None, fractions: list[float]
    ) -> Iterator[tuple[Step, Outcome]]:
        """Everything that is done with a detector's scores of train and, if any, test patches."""
        train, everything = train[self._chosen], np.ones(self.n_test)
        for use, fraction in [(FILTER, fraction) for fraction in fractions] + [(WEIGHT, np.nan)]:
            weights, in_train = self._weights(train, train, self._image_of, fraction)
            fitted = self.fit(weights)
            yield (
                Step(use, "train", fraction, *_told(in_train, 0)),
                self.outcome(fitted, everything),
            )
            if test is None:
                continue
            at_test, in_test = self._weights(test, train, self._test_image_of, fraction)
            told = _told(in_test, 1)
            yield Step(use, "test", fraction, *told), self.outcome(self.plain, at_test)
            both = (_told(in_train, 0)[0], told[1], in_train.n_by_floor + in_test.n_by_floor)
            yield Step(use, "both", fraction, *both), self.outcome(fitted, at_test)

    @staticmethod
    def _weights(
        scores: np.ndarray, reference: np.ndarray, image_of: np.ndarray, fraction: float
    ) -> tuple[np.ndarray, Kept]:
        """Weight of each patch, by its rank among the train patches, and who was dropped."""
        noisiness = noise.noisiness_among(scores, reference)
        if np.isnan(fraction):
            return 1 - noisiness, Kept(np.ones(len(scores), dtype=bool), 0)
        if scores is reference:
            kept = noise.without_worst(scores, fraction, image_of)
        else:
            kept = noise.below(noisiness, 1 - fraction, image_of)
        return kept.rows.astype(np.float64), kept


@dataclass(frozen=True)
class Fitted:
    """Votes of all test patches, float64 (n_patches, n_classes), and how long the fit took."""

    probabilities: np.ndarray
    seconds: float


def _told(kept: Kept, place: int) -> tuple[float, float, int]:
    """Share removed in train (place 0) or test (place 1), and how many only the floor kept."""
    removed = [0.0, 0.0]
    removed[place] = float(1 - kept.rows.mean())
    return removed[0], removed[1], kept.n_by_floor


def _row(
    about: dict[str, Any], detector: str, step: Step, outcome: Outcome, level: str
) -> dict[str, Any]:
    named = {k: v for k, v in run_columns(about).items() if k != "fusion"}
    found = estimate(outcome.draws[level])
    same = _against("", None, None) | _against("random_", None, None)
    return (
        named
        | {"detector": detector, "level": level}
        | vars(step)
        | {"value": found.value, "low": found.low, "high": found.high, "fit_s": outcome.fit_s}
        | {"n_images": outcome.n_images}
        | same
    )


def _against(prefix: str, draws: np.ndarray | None, other: np.ndarray | None) -> dict[str, float]:
    names = [f"{prefix}{name}" for name in ("difference", "difference_low", "difference_high", "p")]
    if draws is None or other is None:
        return dict.fromkeys(names, float("nan"))
    found = difference(draws, other)
    return dict(zip(names, (found.value, found.low, found.high, found.p), strict=True))
