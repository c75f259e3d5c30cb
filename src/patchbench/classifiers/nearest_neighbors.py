"""Votes of the k nearest train patches of a reference database, k chosen on val.

Cover & Hart, "Nearest neighbor pattern classification", IEEE Trans. Information Theory 13, 1967.
The search is exact (faiss: Johnson, Douze & Jegou, IEEE Trans. Big Data 7, 2021,
arXiv:1702.08734).
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from patchbench.errors import UserError
from patchbench.reference import (
    Database,
    Scaling,
    check_room,
    check_settings,
    query_chunks,
)
from patchbench.sampling import draw
from patchbench.scores import log_loss
from patchbench.seeds import derive


@dataclass(kw_only=True)
class Classifier:
    """k-nearest-neighbour patch classifier.

    Parameters
    ----------
    ks : list of int
        Candidate numbers of neighbours; the one with the lowest patch log-loss on val is kept,
        without val patches the smallest. Those above the size of the database are left out.
    smoothing : float
        Votes shared equally among all classes before shares are taken, so that none is 0.
    n_reference : int
        Most patches in the database: a random sample of the train patches, in which classes are
        as frequent as on train, since votes estimate how probable a class is.
    scaling : str
        ``standardise`` embeddings (columns to mean 0, deviation 1) or ``normalise`` them (rows
        to length 1).
    """

    ks: list[int] = field(default_factory=lambda: [1, 5, 25, 100])
    smoothing: float = 1.0
    n_reference: int = 20_000
    scaling: str = "standardise"
    seed: int = 0
    threads: int = 1
    control: ClassVar[bool] = False
    uses: ClassVar[str] = "embeddings"
    # the train patches and, at most, all of them as reference, scaled
    bytes_per_value: ClassVar[int] = 4 + 4
    summary: ClassVar[str] = "votes of the k nearest train patches (exact search), k chosen on val"
    source: ClassVar[str] = "Cover & Hart 1967; faiss"

    def __post_init__(self) -> None:
        check_settings(self.n_reference, self.scaling)
        if not self.ks or any(type(k) is not int or k < 1 for k in self.ks):
            raise ValueError(f"ks is {self.ks}; give whole numbers of neighbours, each at least 1")
        if self.smoothing <= 0:
            raise ValueError(f"smoothing is {self.smoothing}; it must be above 0")

    def fit(
        self,
        embeddings: np.ndarray,
        labels: np.ndarray,
        val_embeddings: np.ndarray,
        val_labels: np.ndarray,
        n_classes: int,
    ) -> None:
        """Draw the database, choose k.

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
        seed = derive(self.seed, "classifier", "nearest_neighbors")
        rows = draw(labels, self.n_reference, seed)
        self._scaling = Scaling(self.scaling).fit(embeddings)
        self._database = Database(self._scaling.of_rows(embeddings, rows), self.threads)
        self._labels, self._n_classes = labels[rows], n_classes
        candidates = [k for k in sorted(set(self.ks)) if k <= len(rows)]
        if not candidates:
            raise UserError(
                f"ks is {self.ks}, but the reference database holds only {len(rows)} patches; "
                "add a smaller k to ks or raise n_reference"
            )
        scores = self._log_shares(val_embeddings, candidates)
        losses = [log_loss(each, val_labels) for each in scores]
        self.k = candidates[int(np.argmin(losses))]

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """Log vote shares: float32 array, (n_patches, n_classes)."""
        return self._log_shares(embeddings, [self.k])[0]

    def _log_shares(self, embeddings: np.ndarray, ks: list[int]) -> np.ndarray:
        """Logs of smoothed vote shares for each k: float32 array, (len(ks), n, n_classes)."""
        found = np.empty((len(ks), len(embeddings), self._n_classes), np.float32)
        for part in query_chunks(*embeddings.shape):
            nearest = self._database.nearest(self._scaling(embeddings[part]), max(ks))
            votes_for = self._labels[nearest] + self._n_classes * np.arange(len(nearest))[:, None]
            for place, k in enumerate(ks):
                cells = votes_for[:, :k].ravel()
                votes = np.bincount(cells, minlength=len(nearest) * self._n_classes)
                share = (votes + self.smoothing / self._n_classes) / (k + self.smoothing)
                found[place, part] = np.log(share).reshape(-1, self._n_classes)
        return found

    def state(self) -> dict[str, np.ndarray]:
        """What was fitted, as arrays: the database, scaled, and its labels."""
        return self._scaling.state() | {
            "reference": self._database.patches,
            "labels": self._labels,
            "n_classes": np.array(self._n_classes),
            "k": np.array(self.k),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take back what :meth:`state` gave."""
        self._scaling = Scaling(self.scaling).restore(state)
        self._database = Database(state["reference"], self.threads)
        self._labels, self._n_classes = state["labels"], int(state["n_classes"])
        self.k = int(state["k"])
