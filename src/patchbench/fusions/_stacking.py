"""A second classifier, on top of what the patches of an image say together."""

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np

from patchbench.bags import Bags
from patchbench.cross_fit import n_folds
from patchbench.errors import UserError

STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)
_ROUNDS = 1000


def refuse_missing_classes(
    labels: np.ndarray, n_classes: int, rule: str, split: str = "val"
) -> None:
    """Refuse to learn from images among which a class is missing.

    Raises
    ------
    UserError
        Naming the class: it could never be decided for, whatever its patches say.
    """
    missing = sorted(set(range(n_classes)) - set(labels.tolist()))
    if missing:
        raise UserError(
            f"fusions.{rule}: no {split} image is of class {missing[0]}, so nothing can be learned "
            f"of it; move images of each class to {split}, or leave this rule out"
        )


def fit_stack(features: np.ndarray, labels: np.ndarray, seed: int = 0) -> Any:
    """Logistic regression on standardised features (n_images, n_features).

    Its strength is chosen by the log-loss of folds; of few images it is the weakest of `STRENGTHS`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    stack = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTHS[0], max_iter=_ROUNDS))
    if (folds := n_folds(labels)) == 0:
        return stack.fit(features, labels)
    search = GridSearchCV(
        stack,
        {"logisticregression__C": STRENGTHS},
        scoring="neg_log_loss",
        cv=StratifiedKFold(folds, shuffle=True, random_state=seed),
    )
    return search.fit(features, labels).best_estimator_


class Stack(ABC):
    """A rule that learns from features of images; subclasses say what these are."""

    def fit(self, bags: Bags, labels: np.ndarray) -> Self:
        """Learn from these (val) images."""
        rule = type(self).__module__.rpartition(".")[2]
        refuse_missing_classes(labels, bags.patch_logits.shape[1], rule)
        self._stack: Any = fit_stack(self._features(bags), labels)
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        found: np.ndarray = self._stack.predict_proba(self._features(bags))
        return found

    @property
    def chosen(self) -> dict[str, float]:
        """What was fitted, apart from the weights."""
        return {"strength": float(self._stack[-1].C)}

    @abstractmethod
    def _features(self, bags: Bags) -> np.ndarray:
        """One row an image, float array (n_images, n_features)."""
