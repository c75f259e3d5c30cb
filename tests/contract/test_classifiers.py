"""Every patch classifier, present and future, keeps the same promises."""

import numpy as np
import pytest

from patchbench import plugins
from patchbench.bags import softmax

NAMES = plugins.available("classifiers")


def problem(n_classes: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, 400)
    means = 2 * rng.normal(size=(n_classes, 10))
    embeddings = (means[labels] + rng.normal(size=(400, 10))).astype(np.float32)
    return embeddings[:250], labels[:250], embeddings[250:], labels[250:]


def fitted(name: str, n_classes: int = 3, seed: int = 0):
    classifier = plugins.build("classifiers", name, {}, seed=0)
    classifier.fit(*problem(n_classes, seed), n_classes)
    return classifier


@pytest.mark.parametrize("name", NAMES)
def test_a_classifier_says_what_it_is(name: str) -> None:
    module = plugins.load("classifiers", name)
    assert module.__doc__
    assert module.Classifier.summary
    assert module.Classifier.source
    assert isinstance(module.Classifier.control, bool)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("name", NAMES)
def test_logits_have_a_column_per_class(name: str, n_classes: int) -> None:
    classifier = fitted(name, n_classes)
    logits = classifier.logits(problem(n_classes)[2])
    assert logits.shape == (150, n_classes)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_patch_does_not_depend_on_its_neighbours(name: str) -> None:
    classifier, patches = fitted(name), problem(3)[2]
    alone = np.concatenate([classifier.logits(patches[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(classifier.logits(patches)[:20], alone, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_classifier_gives_the_same_bytes(name: str) -> None:
    classifier, patches = fitted(name), problem(3)[2]
    other = plugins.build("classifiers", name, {}, seed=0)
    other.restore(classifier.state())
    np.testing.assert_array_equal(classifier.logits(patches), other.logits(patches))
    again = fitted(name)
    np.testing.assert_array_equal(classifier.logits(patches), again.logits(patches))


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("name", NAMES)
def test_controls_know_nothing_and_the_others_learn(name: str, n_classes: int) -> None:
    _, _, val, val_labels = problem(n_classes)
    classifier = fitted(name, n_classes)
    probabilities = softmax(classifier.logits(val))
    accuracy = (probabilities.argmax(axis=1) == val_labels).mean()
    if classifier.control:
        assert len(np.unique(probabilities, axis=0)) == 1
    else:
        assert accuracy > 0.85


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_feature_does_no_harm(name: str) -> None:
    train, labels, val, val_labels = problem(3)
    train[:, 0], val[:, 0] = 7, 7
    classifier = plugins.build("classifiers", name, {}, seed=0)
    classifier.fit(train, labels, val, val_labels, 3)
    assert np.isfinite(classifier.logits(val)).all()
