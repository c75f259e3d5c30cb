"""Metrics with bootstrap intervals: all draws at once, and draw by draw with scikit-learn.

    .venv/bin/python benchmarks/bootstrap.py

Prints the seconds that 20 methods on the same 10,000 images take with 2,000 draws of images, 10
classes, on one core, by the clock and of the processor: for macro AUC and accuracy, and for all
metrics of `evaluate`. Then, timed in turn on fewer draws of one method, how many times longer a
loop over draws takes.
"""

import time
from collections.abc import Callable

import numpy as np
from _in_turn import ratio
from sklearn.metrics import accuracy_score, roc_auc_score
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from patchbench import metrics
from patchbench.auc import macro_auc
from patchbench.bootstrap import drawn_sums

N_METHODS, N_IMAGES, N_CLASSES = 20, 10_000, 10
N_DRAWS_IN_LOOP = 20


def made_up() -> tuple[np.ndarray, list[np.ndarray]]:
    """Labels, and the probabilities of methods from worse to better."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, N_CLASSES, N_IMAGES)
    found = []
    for skill in np.linspace(0.2, 2, N_METHODS):
        logits = rng.normal(size=(N_IMAGES, N_CLASSES)) + skill * np.eye(N_CLASSES)[labels]
        found.append(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    return labels, found


def seconds(work: Callable[[np.ndarray], object], methods: list[np.ndarray], what: str) -> None:
    """Time every method, the draws of images included."""
    metrics.draw_weights.cache_clear()
    watch, used = time.perf_counter(), time.process_time()
    for probabilities in tqdm(methods, what, leave=False):
        work(probabilities)
    watch, used = time.perf_counter() - watch, time.process_time() - used
    print(f"{what}: {watch:.1f} s, {used:.1f} s of processor time")


def compare(labels: np.ndarray, methods: list[np.ndarray]) -> None:
    """Print the seconds of all methods, then the ratio to a loop."""
    each = np.arange(N_IMAGES)

    def two_metrics(probabilities: np.ndarray) -> None:
        weights = metrics.draw_weights(N_IMAGES, 0)
        macro_auc(labels, probabilities, weights)
        drawn_sums([probabilities.argmax(axis=1) == labels], each, weights)

    print(f"{N_METHODS} methods, {N_IMAGES:,} images, {metrics.N_DRAWS:,} draws, one core")
    seconds(two_metrics, methods, "macro AUC and accuracy")
    seconds(lambda found: metrics.evaluate(labels, found, each, 0), methods, "all metrics")

    few = metrics.draw_weights(N_IMAGES, 1, N_DRAWS_IN_LOOP)[1:]
    probabilities = methods[-1]
    predicted = probabilities.argmax(axis=1)

    def loop() -> np.ndarray:
        found = []
        for row in few:
            auc = [
                roc_auc_score(labels == c, probabilities[:, c], sample_weight=row)
                for c in range(N_CLASSES)
            ]
            found.append((np.mean(auc), accuracy_score(labels, predicted, sample_weight=row)))
        return np.array(found).T

    def together() -> np.ndarray:
        right = drawn_sums([predicted == labels], each, few)[0] / N_IMAGES
        return np.stack([macro_auc(labels, probabilities, few), right])

    np.testing.assert_allclose(loop(), together(), atol=1e-9)
    longer = ratio(loop, together, rounds=3)
    print(f"macro AUC and accuracy, draw by draw: {longer:.1f} times as long")


if __name__ == "__main__":
    with threadpool_limits(1):
        compare(*made_up())
