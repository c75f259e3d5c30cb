"""Naive-Bayes Nearest Neighbour (NBNN): how near is the nearest train patch of each class.

Boiman, Shechtman & Irani, "In Defense of Nearest-Neighbor Based Image Classification", CVPR 2008.
There an image is of the class with the smallest sum, over its descriptors, of the squared
distance to the nearest descriptor of that class. Here patches are the descriptors and minus the
squared distance, over one bandwidth for all, is the logit: the fusion ``mean_logit`` then
decides exactly as NBNN does, and the bandwidth makes the probability of a single patch sensible.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patchbench.reference import (
    ClassDatabases,
    Scaling,
    best_bandwidth,
    check_room,
    check_settings,
)
from patchbench.sampling import draw_balanced
from patchbench.scores import placed
from patchbench.seeds import derive


@dataclass(kw_only=True)
class Classifier:
    """NBNN patch classifier.

    Parameters
    ----------
    n_reference : int
        Most reference patches of all classes together: a random sample of the train patches,
        as many of each class, since the nearest of many is nearer than the nearest of few.
    scaling : str
        ``standardise`` embeddings (columns to mean 0, deviation 1) or ``normalise`` them (rows
        to length 1).
    """

    n_reference: int = 20_000
    scaling: str = "standardise"
    seed: int = 0
    threads: int = 1
    control: ClassVar[bool] = False
    uses: ClassVar[str] = "embeddings"
    # the train patches and, at most, all of them as reference, scaled
    bytes_per_value: ClassVar[int] = 4 + 4
    summary: ClassVar[str] = (
        "minus the squared distance to the nearest train patch of each class, over a bandwidth "
        "chosen on val (NBNN with `mean_logit`)"
    )
    source: ClassVar[str] = "Boiman, Shechtman & Irani, CVPR 2008; faiss"

    def __post_init__(self) -> None:
        check_settings(self.n_reference, self.scaling)

    def fit(
        self,
        embeddings: np.ndarray,
        labels: np.ndarray,
        val_embeddings: np.ndarray,
        val_labels: np.ndarray,
        n_classes: int,
    ) -> None:
        """Draw a database for each class, choose the bandwidth.

        Parameters
        ----------
        embeddings, val_embeddings : float32 array, (n_patches, dim)
            Train and val patches.
        labels, val_labels : int array, (n_patches,)
            Labels of their images.
        n_classes : int
            Classes of the dataset.
        """
        check_room(self.n_reference, n_classes)
        rows = draw_balanced(labels, self.n_reference, derive(self.seed, "classifier", "nbnn"))
        rows = rows[np.argsort(labels[rows], kind="stable")]
        scaling = Scaling(self.scaling).fit(embeddings)
        reference = scaling.of_rows(embeddings, rows)
        self._databases = ClassDatabases(scaling, reference, labels[rows], self.threads)
        self._n_classes, classes = n_classes, self._databases.classes
        known = np.isin(val_labels, classes)
        columns = np.searchsorted(classes, val_labels[known])
        self.bandwidth = best_bandwidth(self.squared_distances(val_embeddings)[known], columns)

    def squared_distances(self, embeddings: np.ndarray) -> np.ndarray:
        """To the nearest reference patch of each class that has any: (n_patches, n_found)."""
        return self._databases.squared_distances(embeddings)

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """Minus squared distance over bandwidth: float32 array, (n_patches, n_classes)."""
        scores = -self.squared_distances(embeddings) / self.bandwidth
        return placed(scores, self._databases.classes, self._n_classes)

    def state(self) -> dict[str, np.ndarray]:
        """What was fitted, as arrays: the databases, scaled, and their labels."""
        return self._databases.state() | {
            "n_classes": np.array(self._n_classes),
            "bandwidth": np.array(self.bandwidth),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take back what :meth:`state` gave."""
        self._databases = ClassDatabases.restored(self.scaling, state, self.threads)
        self._n_classes = int(state["n_classes"])
        self.bandwidth = float(state["bandwidth"])
