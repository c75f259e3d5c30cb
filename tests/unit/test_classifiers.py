"""Each patch classifier against its definition, written slowly."""

from typing import Any

import numpy as np
import pytest

from patchbench import features, plugins
from patchbench.bags import Bags, softmax
from patchbench.classifiers import linear_svm, nbnn, nearest_neighbors, own_head
from patchbench.errors import UserError
from patchbench.features import chunks, column_statistics
from patchbench.fusions import mean_logit
from patchbench.sampling import draw, draw_balanced
from patchbench.scores import log_loss


def overlapping(n: int, seed: int, n_classes: int = 3) -> tuple[np.ndarray, ...]:
    """Gaussian classes that no classifier can tell apart without mistakes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    means = np.random.default_rng(99).normal(size=(n_classes, 6)) * 0.7
    return (means[labels] + rng.normal(size=(n, 6))).astype(np.float32), labels


def fit(classifier: Any, n_classes: int = 3, n: int = 300) -> Any:
    train, val = overlapping(n, 1, n_classes), overlapping(200, 2, n_classes)
    classifier.fit(*train, *val, n_classes)
    return classifier


def scaled(rows: np.ndarray, train: np.ndarray, scaling: str) -> np.ndarray:
    if scaling == "normalise":
        return rows / np.sqrt((rows.astype(float) ** 2).sum(axis=1, keepdims=True))
    return (rows.astype(float) - train.mean(axis=0)) / train.std(axis=0)


@pytest.mark.parametrize("scaling", ["standardise", "normalise"])
def test_nearest_neighbours_count_votes(scaling: str) -> None:
    classifier = fit(nearest_neighbors.Classifier(ks=[1, 7, 30], scaling=scaling))
    (train, labels), (test, _) = overlapping(300, 1), overlapping(40, 3)
    reference, queries = scaled(train, train, scaling), scaled(test, train, scaling)
    assert classifier.k in (7, 30)
    for query, logits in zip(queries, classifier.logits(test), strict=True):
        order = np.argsort([((query - row) ** 2).sum() for row in reference])[: classifier.k]
        votes = [sum(labels[i] == c for i in order) for c in range(3)]
        shares = [(v + 1 / 3) / (classifier.k + 1) for v in votes]
        np.testing.assert_allclose(logits, np.log(shares), rtol=1e-5)


def test_k_is_the_best_on_val() -> None:
    val, val_labels = overlapping(200, 2)
    chosen = fit(nearest_neighbors.Classifier(ks=[1, 7, 30]))
    losses = {
        k: log_loss(fit(nearest_neighbors.Classifier(ks=[k])).logits(val), val_labels)
        for k in (1, 7, 30)
    }
    assert chosen.k == min(losses, key=lambda k: losses[k])


@pytest.mark.parametrize("scaling", ["standardise", "normalise"])
def test_nbnn_is_the_distance_to_the_nearest_of_each_class(scaling: str) -> None:
    classifier = fit(nbnn.Classifier(scaling=scaling))
    (train, labels), (test, _) = overlapping(300, 1), overlapping(40, 3)
    reference, queries = scaled(train, train, scaling), scaled(test, train, scaling)
    for query, logits in zip(queries, classifier.logits(test), strict=True):
        nearest = [
            min(((query - row) ** 2).sum() for row in reference[labels == c]) for c in range(3)
        ]
        np.testing.assert_allclose(logits, -np.array(nearest) / classifier.bandwidth, rtol=1e-4)


def test_nbnn_and_mean_logit_decide_as_published() -> None:
    classifier = fit(nbnn.Classifier())
    patches, sizes = overlapping(60, 4)[0], np.array([10, 25, 25])
    bags = Bags(classifier.logits(patches), sizes, np.zeros((60, 2)))
    distances = np.split(classifier.squared_distances(patches), np.cumsum(sizes)[:-1])
    published = [int(each.sum(axis=0).argmin()) for each in distances]
    assert mean_logit.Fusion().fuse(bags).argmax(axis=1).tolist() == published


def test_the_bandwidth_is_the_best_on_val() -> None:
    classifier = fit(nbnn.Classifier())
    val, val_labels = overlapping(200, 2)
    distances = classifier.squared_distances(val)
    best = log_loss(-distances / classifier.bandwidth, val_labels)
    for factor in (0.5, 0.9, 1.1, 2):
        assert log_loss(-distances / (factor * classifier.bandwidth), val_labels) > best


def test_equal_distances_leave_nbnn_without_an_opinion() -> None:
    classifier, same = nbnn.Classifier(), np.ones((20, 4), np.float32)
    labels = np.arange(20) % 2
    classifier.fit(same, labels, same.copy(), labels, 2)
    assert (classifier.logits(same) == 0).all()


@pytest.mark.parametrize("module", [nbnn, nearest_neighbors])
def test_the_database_is_no_larger_than_allowed(module: Any) -> None:
    classifier = fit(module.Classifier(n_reference=60))
    state = classifier.state()
    assert len(state["reference"]) == len(state["labels"]) == 60
    counts = np.bincount(state["labels"])
    assert (counts == 20).all() if module is nbnn else counts.min() > 5
    again = fit(module.Classifier(n_reference=60)).state()
    np.testing.assert_array_equal(state["reference"], again["reference"])
    other = fit(module.Classifier(n_reference=60, seed=1)).state()
    assert (state["reference"] != other["reference"]).any()


def test_a_support_vector_machine_is_calibrated() -> None:
    classifier = fit(linear_svm.Classifier(), n=1500)
    test, labels = overlapping(3000, 5)
    raw, logits = classifier.scores(test), classifier.logits(test)
    assert log_loss(logits, labels) < log_loss(raw, labels) - 0.02
    assert expected_calibration_error(logits, labels) < 0.04
    assert expected_calibration_error(raw, labels) > 2 * expected_calibration_error(logits, labels)


def expected_calibration_error(logits: np.ndarray, labels: np.ndarray) -> float:
    """Gap between confidence and accuracy, over ten bins of confidence."""
    probabilities = softmax(logits)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * 10).astype(int), 9)
    gaps = [
        (bins == b).mean() * abs(confidence[bins == b].mean() - right[bins == b].mean())
        for b in np.unique(bins)
    ]
    return float(sum(gaps))


def test_perfect_margins_get_a_finite_slope() -> None:
    labels = np.arange(60) % 3
    slope, offsets = linear_svm.calibrated(np.eye(3)[labels] * 2 - 1, labels)
    assert 1 < slope < 50
    np.testing.assert_allclose(offsets, 0, atol=1e-3)


def test_margins_that_tell_nothing_become_class_frequencies() -> None:
    labels = np.repeat([0, 1, 1, 1], 250)
    slope, offsets = linear_svm.calibrated(np.zeros((1000, 2)), labels)
    np.testing.assert_allclose(softmax(offsets), [0.25, 0.75], atol=1e-3)
    noise = np.random.default_rng(0).normal(size=(1000, 2))
    # nothing to calibrate on
    slope, offsets = linear_svm.calibrated(np.empty((0, 2)), np.empty(0, int))
    assert slope == 1 and offsets.tolist() == [0, 0]
    # scores that point the wrong way are ignored, never turned round
    slope, _ = linear_svm.calibrated(noise - 3 * np.eye(2)[labels], labels)
    assert slope == 0


def test_the_own_head_is_a_linear_map() -> None:
    rng = np.random.default_rng(0)
    weights, bias, patches = rng.normal(size=(4, 8)), rng.normal(size=4), rng.normal(size=(9, 8))
    classifier = own_head.Classifier()
    classifier.adopt(weights, bias)
    expected = [
        [bias[c] + sum(weights[c, i] * patch[i] for i in range(8)) for c in range(4)]
        for patch in patches
    ]
    np.testing.assert_allclose(classifier.logits(patches.astype(np.float32)), expected, rtol=1e-4)
    with pytest.raises(ValueError, match=r"\(8, 4\).*\(4,\)"):
        classifier.adopt(weights.T, bias)


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        ("nearest_neighbors", {"ks": [0, 5]}, r"ks is \[0, 5\].*at least 1"),
        ("nearest_neighbors", {"ks": []}, r"ks is \[\]"),
        ("nearest_neighbors", {"ks": [2.5]}, r"ks is \[2\.5\]; "),
        ("nearest_neighbors", {"smoothing": 0}, "smoothing is 0"),
        ("nearest_neighbors", {"n_reference": 0}, "n_reference is 0"),
        ("nbnn", {"n_reference": 0}, "n_reference is 0"),
        ("nbnn", {"scaling": "none"}, "scaling is 'none'; choose one of standardise, normalise"),
        ("linear_svm", {"strengths": [0]}, r"strengths is \[0\]"),
        ("linear_svm", {"max_iterations": 0}, "max_iterations is 0"),
        ("own_head", {"C": 1}, "no setting 'C'"),
    ],
)
def test_a_wrong_setting_is_named(kind: str, spec: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"classifiers.{kind}: {message}"):
        plugins.build("classifiers", kind, spec, seed=0, threads=1)


def test_more_neighbours_than_patches_are_left_out_or_refused() -> None:
    assert fit(nearest_neighbors.Classifier(ks=[5, 301])).k == 5
    with pytest.raises(UserError, match=r"ks is \[301\].*only 300 patches.*smaller k"):
        fit(nearest_neighbors.Classifier(ks=[301]))


@pytest.mark.parametrize("module", [nbnn, nearest_neighbors])
def test_a_class_must_have_room_in_the_database(module: Any) -> None:
    with pytest.raises(UserError, match=r"n_reference is 2.*3 classes.*raise n_reference"):
        fit(module.Classifier(n_reference=2))


def test_column_statistics_are_exact_with_large_means() -> None:
    rows = np.random.default_rng(0).normal(1000, [[1, 0.1, 0]], size=(20_000, 3))
    rows = rows.astype(np.float32)
    mean, scale = column_statistics(rows)
    np.testing.assert_allclose(mean, rows.astype(float).mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(scale[:2], rows.astype(float).std(axis=0)[:2], rtol=1e-6)
    assert 0 < scale[2] < 1e-5


@pytest.mark.parametrize("dim", [0, 1, 64, 3072, 10_000_000])
def test_a_chunk_takes_as_much_memory_whatever_its_width(dim: int) -> None:
    parts = list(chunks(5000, dim))
    assert [row for part in parts for row in range(5000)[part]] == list(range(5000))
    n_rows = len(range(5000)[parts[0]])
    assert n_rows == 1 or n_rows * dim * 8 <= 16 * 2**20
    assert n_rows == 5000 or (n_rows + 1) * dim * 8 > 16 * 2**20
    assert all(len(range(5000)[part]) <= 700 for part in chunks(5000, dim, 700))


def test_column_statistics_of_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = overlapping(1000, 0)[0]
    whole = column_statistics(rows)
    monkeypatch.setattr(features, "_CHUNK_BYTES", 8 * 6 * 7)
    for part, all_at_once in zip(column_statistics(rows), whole, strict=True):
        np.testing.assert_allclose(part, all_at_once, rtol=1e-6, atol=1e-8)


def test_the_log_loss_of_nothing_is_0() -> None:
    assert log_loss(np.empty((0, 3)), np.empty(0, int)) == 0


def test_a_drawn_sample_misses_no_class() -> None:
    labels = np.repeat([0, 1, 2, 3], [5000, 4000, 1, 1])
    for seed in range(5):
        rows = draw(labels, 100, seed)
        assert len(np.unique(rows)) == 100
        assert (np.diff(rows) > 0).all()
        counts = np.bincount(labels[rows])
        assert counts[2] == counts[3] == 1 and 40 < counts[0] < 70
    assert draw(labels, 9002, 0).tolist() == list(range(9002))


def test_a_balanced_sample_gives_the_rest_of_small_classes_to_others() -> None:
    labels = np.repeat([0, 1, 2], [5000, 10, 300])
    rows = draw_balanced(labels, 210, 0)
    assert np.bincount(labels[rows]).tolist() == [100, 10, 100]
    assert len(np.unique(rows)) == 210
