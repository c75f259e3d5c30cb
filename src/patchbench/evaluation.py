"""From predictions to rows of the tables metrics, predictions and roc."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from patchbench.auc import FPR_GRID, macro_auc, macro_roc
from patchbench.bootstrap import draw_groups, numbered
from patchbench.metrics import evaluate
from patchbench.paired import difference
from patchbench.seeds import derive
from patchbench.study import NONE

# one seed for all methods: the same images are drawn for each, so that differences pair up
BOOTSTRAP_SEED = derive(0, "bootstrap")
PREFERRED_FUSION = "mean_probability"


class DecisionTables:
    """What the rules of one run decided, gathered as tables predictions, metrics and roc.

    Parameters
    ----------
    about : mapping
        dataset, patches, encoder, classifier and seed of the run.
    val_images, test_images : DataFrame
        Columns image_id, split and label; of test images also group.
    """

    def __init__(
        self, about: Mapping[str, Any], val_images: pd.DataFrame, test_images: pd.DataFrame
    ) -> None:
        self._about, self._val_images, self._test_images = about, val_images, test_images
        self.labels = test_images["label"].to_numpy()
        self.group_of = numbered(test_images["group"])
        self.decisions: dict[str, np.ndarray] = {}
        self._frames: dict[str, list[pd.DataFrame]] = {"predictions": [], "metrics": [], "roc": []}

    def add_votes(self, votes: np.ndarray, image_of: np.ndarray) -> None:
        """Score single test patches: their probabilities, (n_patches, n_classes), and images."""
        self._score("patch", NONE, self.labels[image_of], votes, image_of)

    def add(self, fusion: str, on_val: np.ndarray, on_test: np.ndarray) -> None:
        """Keep one rule's probabilities, (n_images, n_classes) each; score those on test."""
        self.decisions[fusion] = on_test
        for images, found in ((self._val_images, on_val), (self._test_images, on_test)):
            self._frames["predictions"].append(prediction_rows(images, fusion, found))
        self._score("image", fusion, self.labels, on_test, np.arange(len(on_test)))

    def _score(
        self, level: str, fusion: str, labels: np.ndarray, found: np.ndarray, image_of: np.ndarray
    ) -> None:
        rows = metric_rows(self._about, level, fusion, labels, found, image_of, self.group_of)
        self._frames["metrics"].append(rows)
        self._frames["roc"].append(roc_rows(level, fusion, labels, found))

    @property
    def n_decisions(self) -> int:
        """How many images were decided on, each rule counted by itself."""
        return len(self.decisions) * len(self.labels)

    def tables(self) -> dict[str, pd.DataFrame]:
        """The three tables, by name."""
        return {name: pd.concat(rows, ignore_index=True) for name, rows in self._frames.items()}


def metric_rows(
    about: Mapping[str, Any],
    level: str,
    fusion: str,
    labels: np.ndarray,
    probabilities: np.ndarray,
    image_of: np.ndarray,
    group_of: np.ndarray,
) -> pd.DataFrame:
    """Rows of table ``metrics`` for one set of test predictions.

    Parameters
    ----------
    about : mapping
        dataset, patches, encoder, classifier and seed of the run.
    level : {"patch", "image"}
    fusion : str
        Fusion entry, or "none".
    labels, probabilities, image_of, group_of
        See :func:`patchbench.metrics.evaluate`.
    """
    estimates = evaluate(labels, probabilities, image_of, BOOTSTRAP_SEED, group_of)
    rows = [{"metric": name, **e.columns, "n_draws": e.n_draws} for name, e in estimates.items()]
    run = run_columns(about) | {"fusion": fusion, "level": level}
    return pd.DataFrame(rows).assign(**run, n_images=int(image_of.max()) + 1)


def fusion_test_rows(
    about: Mapping[str, Any],
    labels: np.ndarray,
    decisions: Mapping[str, np.ndarray],
    group_of: np.ndarray,
    rival: str | None = None,
    rival_classifier: str = "",
) -> pd.DataFrame:
    """Rows of table ``fusion_tests``: every rule against the mean of probabilities, or the first.

    Parameters
    ----------
    about : mapping
        dataset, patches, encoder, classifier and seed of the run.
    labels : int array, (n_images,)
        True classes of the test images.
    decisions : mapping
        For each fusion entry its probabilities, (n_images, n_classes).
    group_of : int array, (n_images,)
        Group of each image, from 0; images of a group are drawn together.
    rival : str or None
        Which of them the others are compared with, if it is to be another.
    rival_classifier : str
        Whose votes the rival joined, if not those of the run itself.
    """
    rival = rival or preferred_fusion(decisions)
    weights = draw_groups(group_of, BOOTSTRAP_SEED)
    draws = {name: macro_auc(labels, found, weights) for name, found in decisions.items()}
    rows = []
    for name in decisions:
        found = difference(draws[name], draws[rival])
        ends = {"difference": found.value, "low": found.low, "high": found.high, "p": found.p}
        told = {"fusion": name, "rival": rival, "reason": found.reason or None}
        rows.append(run_columns(about) | told | ends)
    voted = rival_classifier or run_columns(about)["classifier"]
    return pd.DataFrame(rows).assign(rival_classifier=voted, n_images=len(labels))


def preferred_fusion(fusions: Iterable[str]) -> str:
    """Choose the mean of probabilities where it is among ``fusions``, else the first by name."""
    present = sorted(set(fusions))
    return PREFERRED_FUSION if PREFERRED_FUSION in present else (present or [NONE])[0]


def roc_rows(
    level: str, fusion: str, labels: np.ndarray, probabilities: np.ndarray
) -> pd.DataFrame:
    """Rows of table ``roc`` for one set of test predictions."""
    return pd.DataFrame(
        {
            "level": level,
            "fusion": fusion,
            "false_positive_rate": FPR_GRID,
            "true_positive_rate": macro_roc(labels, probabilities),
        }
    )


def prediction_rows(images: pd.DataFrame, fusion: str, probabilities: np.ndarray) -> pd.DataFrame:
    """Rows of table ``predictions``, one per row of ``images`` (image_id, split, label)."""
    return pd.DataFrame(
        {
            "image_id": images["image_id"].to_numpy(),
            "split": images["split"].to_numpy(),
            "label": images["label"].to_numpy(),
            "fusion": fusion,
            "predicted_label": probabilities.argmax(axis=1),
            "probabilities": list(probabilities),
        }
    )


def learned_rows(chosen: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of table ``learned``: the numbers a fusion rule has learned, and weights of places.

    ``chosen`` is what the rule says of itself; lists of anything else than places are left out.
    """
    rows = [
        {"setting": name, "y": None, "x": None, "value": value}
        for name, value in chosen.items()
        if value is None or isinstance(value, int | float)
    ]
    for (y, x), weight in zip(chosen.get("places", []), chosen.get("weights", []), strict=False):
        rows.append({"setting": "weight", "y": y, "x": x, "value": weight})
    return rows


def run_columns(about: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that name a run, with 'none' for what it has not: a classifier, a detector."""
    names = ("dataset", "patches", "encoder", "classifier")
    columns: dict[str, Any] = {name: about.get(name, NONE) for name in names}
    return columns | {"detector": about.get("detector", NONE), "seed": int(about.get("seed", 0))}
