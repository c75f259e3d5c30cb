"""Choose a setting of a rule on images that nothing was fitted on."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from patchbench.bags import Bags


def lowest_log_loss(
    candidates: Iterable[float], fuse: Callable[[float], np.ndarray], labels: np.ndarray
) -> float:
    """The candidate whose decisions have the lowest log-loss; of equal ones the first.

    Parameters
    ----------
    candidates : iterable of float
        The harmless one first, so that a setting is changed only where that helps.
    fuse : callable
        From a candidate to probabilities, (n_images, n_classes).
    labels : int array, (n_images,)
    """

    def loss(candidate: float) -> float:
        of_true_class = fuse(candidate)[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(of_true_class, 1e-12)).mean())

    return min(candidates, key=loss)


@dataclass
class ChosenOnVal(ABC):
    """A rule with one number, the candidate that is best on val by log-loss.

    Parameters
    ----------
    candidates : list of float
        Above 0.
    """

    candidates: list[float]

    number: ClassVar[str]  # what the number is called
    harmless: ClassVar[float]  # tried before all candidates: leaves the plain rule as it is

    def __post_init__(self) -> None:
        if not self.candidates or min(self.candidates) <= 0:
            raise ValueError(
                f"candidates is {self.candidates}; give at least one {self.number} above 0"
            )
        self.value = self.harmless

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Choose the number with the lowest log-loss on these (val) images."""
        tried = [self.harmless, *self.candidates]
        self.value = lowest_log_loss(tried, lambda value: self._fuse(bags, value), labels)
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        return self._fuse(bags, self.value)

    @property
    def chosen(self) -> dict[str, float | None]:
        """What was fitted; None is infinite."""
        return {self.number: self.value if np.isfinite(self.value) else None}

    @staticmethod
    @abstractmethod
    def _fuse(bags: Bags, value: float) -> np.ndarray:
        """Probabilities of each image with this value: float array, (n_images, n_classes)."""
