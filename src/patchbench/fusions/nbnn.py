"""Naive-Bayes Nearest Neighbour over the bag: the class whose train patches are nearest in all.

Boiman, Shechtman & Irani, "In Defense of Nearest-Neighbor Based Image Classification", CVPR 2008.
An image is of the class with the smallest sum, over its patches, of the squared distance to the
nearest train patch of that class. Here the mean, over one bandwidth chosen on val, so that images
with more patches are not surer; the decision is the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import softmax
from patchbench.embedded import EmbeddedBags
from patchbench.fusions._stacking import refuse_missing_classes
from patchbench.reference import (
    ClassDatabases,
    Scaling,
    best_bandwidth,
    check_room,
    check_settings,
)
from patchbench.sampling import draw_balanced
from patchbench.seeds import derive


@dataclass(kw_only=True)
class Fusion:
    """NBNN decides on whole images.

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
    scaling: str = "normalise"
    seed: int = 0
    device: str = "cpu"
    threads: int = 1
    uses: ClassVar[str] = "embeddings"
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = True
    summary: ClassVar[str] = "smallest mean squared distance to the train patches of a class"
    source: ClassVar[str] = "Boiman, Shechtman & Irani 2008"

    def __post_init__(self) -> None:
        check_settings(self.n_reference, self.scaling)

    def fit(
        self,
        train: EmbeddedBags,
        labels: np.ndarray,
        val: EmbeddedBags,
        val_labels: np.ndarray,
        n_classes: int,
    ) -> Self:
        """Draw a database for each class from train, choose the bandwidth on val."""
        check_room(self.n_reference, n_classes)
        refuse_missing_classes(labels, n_classes, "nbnn", "train")
        own = labels[train.image_of]
        drawn = draw_balanced(own, self.n_reference, derive(self.seed, "fusion", "nbnn"))
        rows, order = train.take(drawn), np.argsort(own[drawn], kind="stable")
        scaling = Scaling(self.scaling).fit(rows)
        reference = scaling.of_rows(rows, order)
        self._databases = ClassDatabases(scaling, reference, own[drawn][order], self.threads)
        self.bandwidth = best_bandwidth(self._distances(val), val_labels)
        return self

    def fuse(self, bags: EmbeddedBags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        return softmax(-self._distances(bags) / self.bandwidth)

    @property
    def chosen(self) -> dict[str, float]:
        """What was fitted, apart from the database."""
        return {"bandwidth": self.bandwidth}

    def state(self) -> dict[str, np.ndarray]:
        """What was fitted, as arrays: the databases, scaled, and their labels."""
        return self._databases.state() | {"bandwidth": np.array(self.bandwidth)}

    def restore(self, state: Mapping[str, np.ndarray]) -> Self:
        """Take back what :meth:`state` gave."""
        self._databases = ClassDatabases.restored(self.scaling, state, self.threads)
        self.bandwidth = float(state["bandwidth"])
        return self

    def _distances(self, bags: EmbeddedBags) -> np.ndarray:
        """Mean squared distance to the nearest reference patch of each class, by image."""

        def pool(embeddings: np.ndarray, starts: np.ndarray) -> np.ndarray:
            found = self._databases.squared_distances(embeddings).astype(float)
            sizes = np.diff(np.append(starts, len(embeddings)))
            mean: np.ndarray = np.add.reduceat(found, starts, axis=0) / sizes[:, None]
            return mean

        return bags.pooled(pool)
