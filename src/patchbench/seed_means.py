"""Macro AUC of methods with several seeds: their mean over seeds, draw by draw of the images.

The same draw of images scores all seeds, and whatever is compared with them, so the interval of a
mean, or of a difference of means, is one over images; the spread over seeds is another thing.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from patchbench.auc import macro_auc
from patchbench.bootstrap import draw_groups
from patchbench.decisions import PLACE, groups_of
from patchbench.evaluation import BOOTSTRAP_SEED
from patchbench.paired import Difference, difference
from patchbench.study import Study

_Images = tuple[str, ...]


class SeedMeans:
    """The methods of one dataset of a study; each is drawn once, when it is first asked for.

    Parameters
    ----------
    study : Study
    dataset : str
    """

    def __init__(self, study: Study, dataset: str) -> None:
        rows = study.predictions
        rows = rows[(rows["dataset"] == dataset) & (rows["split"] == "test")]
        self._rows = {tuple(map(str, key)): own for key, own in rows.groupby(PLACE, sort=False)}
        self._study, self._dataset = study, dataset
        self._drawn: dict[tuple[str, ...], tuple[_Images, np.ndarray] | None] = {}

    def difference(self, method: Mapping[str, Any], other: Mapping[str, Any]) -> Difference | None:
        """How much higher the mean AUC of one method is; None where images differ or are missing.

        Parameters
        ----------
        method, other : mapping
            Columns of a method, and ``fusion``.
        """
        own, rival = (self._draws(each) for each in (method, other))
        if own is None or rival is None or own[0] != rival[0]:
            return None
        return difference(own[1], rival[1])

    def _draws(self, method: Mapping[str, Any]) -> tuple[_Images, np.ndarray] | None:
        """The test images, and the mean over seeds as they are and in each draw: (1 + n_draws,)."""
        key = tuple(str(method[name]) for name in PLACE)
        if key not in self._drawn:
            self._drawn[key] = self._mean(self._rows[key]) if key in self._rows else None
        return self._drawn[key]

    def _mean(self, rows: pd.DataFrame) -> tuple[_Images, np.ndarray] | None:
        by_seed = [own.sort_values("image_id") for _, own in rows.groupby("seed")]
        images = {tuple(own["image_id"]) for own in by_seed}
        if len(images) > 1:
            return None
        shared = images.pop()
        weights = draw_groups(groups_of(self._study, self._dataset, shared), BOOTSTRAP_SEED)
        found = [
            macro_auc(own["label"].to_numpy(), np.stack(list(own["probabilities"])), weights)
            for own in by_seed
        ]
        return shared, np.mean(found, axis=0)
