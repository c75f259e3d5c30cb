"""Control: the class frequencies of the train split, whatever the patch looks like."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass(kw_only=True)
class Classifier:
    """Every patch gets the same logits; AUC must be 0.5."""

    seed: int = 0
    threads: int = 1
    control: ClassVar[bool] = True
    uses: ClassVar[str] = "nothing"
    summary: ClassVar[str] = "control: class frequencies of the train split"
    source: ClassVar[str] = "-"

    def fit(
        self,
        embeddings: np.ndarray,
        labels: np.ndarray,
        val_embeddings: np.ndarray,
        val_labels: np.ndarray,
        n_classes: int,
    ) -> None:
        """Count the labels; one is added to each class, so that none has frequency 0."""
        counts = np.bincount(labels, minlength=n_classes)
        self.log_prior = np.log((counts + 1) / (counts.sum() + n_classes))

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """Log frequencies, repeated: float32 array, (n_patches, n_classes)."""
        return np.tile(self.log_prior.astype(np.float32), (len(embeddings), 1))

    def state(self) -> dict[str, np.ndarray]:
        """What was fitted, as arrays."""
        return {"log_prior": self.log_prior}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take back what :meth:`state` gave."""
        self.log_prior = state["log_prior"]
