"""What every method of a study decided on the same test images, ready to be compared.

A method stands here with the fusion rule that is best on val, so that test only judges. Images
are drawn once for all methods, groups of images together where the dataset names groups: images
of one scene are not independent of each other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from patchbench import results_table as results
from patchbench.bootstrap import N_DRAWS, draw_groups
from patchbench.evaluation import BOOTSTRAP_SEED
from patchbench.metrics import metric_draws
from patchbench.paired import draws_for
from patchbench.study import Study

PLACE = [*results.METHOD, "fusion"]


@dataclass(frozen=True)
class Decided:
    """One method with one fusion rule.

    Attributes
    ----------
    method : dict
        Row of :func:`patchbench.results_table.scores`.
    seeds : tuple of int
        Those it was run with.
    probabilities : dict
        By seed, float64 (n_images, n_classes); a seed whose test images are others is missing.
    """

    method: dict[str, Any]
    seeds: tuple[int, ...]
    probabilities: dict[int, np.ndarray]

    @property
    def place(self) -> dict[str, str]:
        """The columns that name it: of a method, and ``fusion``."""
        return {name: str(self.method[name]) for name in PLACE}


@dataclass(frozen=True)
class Decisions:
    """All methods on the test images of one dataset.

    Attributes
    ----------
    dataset : str
    labels : int array, (n_images,)
        True classes.
    group_of : int array, (n_images,)
        Group of each image, from 0 in order of appearance.
    frame : DataFrame
        The methods, as :func:`patchbench.results_table.scores` has them, best first.
    methods : list of Decided
        In the same order.
    """

    dataset: str
    labels: np.ndarray
    group_of: np.ndarray
    frame: pd.DataFrame
    methods: list[Decided]

    @property
    def n_groups(self) -> int:
        """Groups of images; as many as images where none share one."""
        return int(self.group_of.max(initial=-1)) + 1

    @property
    def n_draws(self) -> int:
        """How many draws tests need, for as many methods."""
        return draws_for(len(self.methods), len(self.labels))

    def weights(self, n_draws: int = N_DRAWS) -> np.ndarray:
        """The same draws for all methods: (1 + n_draws, n_images)."""
        return draw_groups(self.group_of, BOOTSTRAP_SEED, n_draws)

    def others(self, every: "Decisions") -> "Decisions":
        """Those methods of ``every`` that are not among these."""
        own = [method.place for method in self.methods]
        return replace(every, methods=[m for m in every.methods if m.place not in own])

    def counts(self) -> dict[str, int]:
        """Columns ``n_images`` and ``n_groups``."""
        return {"n_images": len(self.labels), "n_groups": self.n_groups}


Draws = dict[int, dict[str, np.ndarray]]
"""For each seed and metric the value, then that in each draw: float64, (1 + n_draws,)."""


def drawn(decisions: Decisions, decided: Decided) -> Draws:
    """All metrics of a method for every draw of images, seed by seed."""
    image_of, weights = np.arange(len(decisions.labels)), decisions.weights()
    return {
        seed: metric_draws(decisions.labels, found, image_of, weights)
        for seed, found in decided.probabilities.items()
    }


def decisions(study: Study, dataset: str, *, every_rule: bool = False) -> Decisions:
    """Gather the decisions of every method, each with its rule best on val, or with every rule."""
    frame = results.scores(study, dataset, "image")
    if not every_rule:
        frame = results.with_fusion_chosen_on_val(study, dataset, frame)
    by_method = _predictions(study, dataset, frame)
    images = max((rows for found in by_method.values() for rows in found.values()),
                 key=len, default=study.predictions.iloc[:0])  # fmt: skip
    order = images["image_id"].to_numpy()
    methods = [
        Decided(
            {str(name): value for name, value in row.items()},
            _seeds(study, dataset, row),
            {
                seed: found
                for seed, rows in sorted(by_method.get(_key(row), {}).items())
                if (found := _in_order(rows, order)) is not None
            },
        )
        for row in frame.to_dict("records")
    ]
    groups = groups_of(study, dataset, order)
    return Decisions(dataset, images["label"].to_numpy(), groups, frame, methods)


def _key(row: Mapping[Any, Any]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in PLACE)


def _predictions(
    study: Study, dataset: str, frame: pd.DataFrame
) -> dict[tuple[str, ...], dict[int, pd.DataFrame]]:
    """Test predictions of these methods, by method and seed."""
    rows = study.predictions
    rows = rows[(rows["dataset"] == dataset) & (rows["split"] == "test")]
    rows = rows.merge(frame[PLACE].drop_duplicates(), on=PLACE)
    found: dict[tuple[str, ...], dict[int, pd.DataFrame]] = {}
    for key, own in rows.groupby([*PLACE, "seed"], sort=False):
        *method, seed = (str(part) for part in key)
        found.setdefault(tuple(method), {})[int(seed)] = own
    return found


def _seeds(study: Study, dataset: str, row: Mapping[Any, Any]) -> tuple[int, ...]:
    rows = study.metrics[study.metrics["dataset"] == dataset]
    for name in PLACE:
        rows = rows[rows[name] == row[name]]
    return tuple(sorted(int(seed) for seed in rows["seed"].unique()))


def _in_order(rows: pd.DataFrame, order: np.ndarray) -> np.ndarray | None:
    """Probabilities of the images of ``order``; None where the images are others."""
    own = rows["image_id"].to_numpy()
    if not np.array_equal(own, order):
        if len(own) != len(order) or set(own) != set(order):
            return None
        rows = rows.set_index("image_id").loc[order]
    return np.stack(rows["probabilities"].to_list()).astype(np.float64)


def groups_of(study: Study, dataset: str, order: Iterable[str]) -> np.ndarray:
    """Group of each image, numbered in order of appearance; its own where none is known."""
    rows = study.images[study.images["dataset"] == dataset]
    named = dict(zip(rows["image_id"], rows["group"], strict=True))
    numbers: dict[tuple[str, bool], int] = {}
    return np.array(
        [
            # a group may be called as an image of another group
            numbers.setdefault((named.get(image, image), image in named), len(numbers))
            for image in order
        ],
        dtype=np.int64,
    )
