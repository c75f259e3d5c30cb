"""Every patch classifier, present and future, keeps the same promises."""

from typing import Any

import numpy as np
import pytest

from patchbench import plugins
from patchbench.bags import softmax

NAMES = plugins.available("classifiers")
FITTED = [n for n in NAMES if plugins.load("classifiers", n).Classifier.uses != "head"]


def problem(n_classes: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, 400)
    means = 2 * rng.normal(size=(n_classes, 10))
    embeddings = (means[labels] + rng.normal(size=(400, 10))).astype(np.float32)
    return embeddings[:250], labels[:250], embeddings[250:], labels[250:]


def head(n_classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What training would come to: the discriminant of Gaussians around the class means."""
    train, labels, _, _ = problem(n_classes, seed)
    means = np.stack([train[labels == each].mean(axis=0) for each in range(n_classes)])
    return means, -np.square(means).sum(axis=1) / 2


def unfitted(name: str) -> Any:
    return plugins.build("classifiers", name, {}, seed=0, threads=1)


def fitted(name: str, n_classes: int = 3, seed: int = 0) -> Any:
    classifier = unfitted(name)
    if classifier.uses == "head":
        classifier.adopt(*head(n_classes, seed))
    else:
        classifier.fit(*problem(n_classes, seed), n_classes)
    return classifier


@pytest.mark.parametrize("name", NAMES)
def test_a_classifier_says_what_it_is(name: str) -> None:
    module = plugins.load("classifiers", name)
    assert module.__doc__
    assert module.Classifier.summary
    assert module.Classifier.source
    assert isinstance(module.Classifier.control, bool)
    assert module.Classifier.uses in ("embeddings", "nothing", "head")
    if module.Classifier.uses == "embeddings":
        assert module.Classifier.bytes_per_value >= 4


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("name", NAMES)
def test_logits_have_a_column_per_class(name: str, n_classes: int) -> None:
    classifier = fitted(name, n_classes)
    logits = classifier.logits(problem(n_classes)[2])
    assert logits.shape == (150, n_classes)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    assert classifier.logits(problem(n_classes)[2][:0]).shape == (0, n_classes)


@pytest.mark.parametrize("name", NAMES)
def test_a_patch_does_not_depend_on_its_neighbours(name: str) -> None:
    classifier, patches = fitted(name), problem(3)[2]
    alone = np.concatenate([classifier.logits(patches[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(classifier.logits(patches)[:20], alone, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_logits_leave_the_embeddings_as_they_are(name: str) -> None:
    classifier, patches = fitted(name), problem(3)[2]
    patches.setflags(write=False)
    classifier.logits(patches)
    np.testing.assert_array_equal(patches, problem(3)[2])


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_classifier_gives_the_same_bytes(name: str) -> None:
    classifier, patches = fitted(name), problem(3)[2]
    other = unfitted(name)
    other.restore({key: np.asarray(value) for key, value in classifier.state().items()})
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


@pytest.mark.parametrize("name", FITTED)
def test_a_constant_feature_does_no_harm(name: str) -> None:
    train, labels, val, val_labels = problem(3)
    train[:, 0], val[:, 0] = 7, 7
    classifier = unfitted(name)
    classifier.fit(train, labels, val.copy(), val_labels, 3)
    accuracy = (classifier.logits(val).argmax(axis=1) == val_labels).mean()
    assert classifier.control or accuracy > 0.85


@pytest.mark.parametrize("absent", [0, 1, 3])
@pytest.mark.parametrize("name", FITTED)
def test_a_class_without_train_patches_never_wins(name: str, absent: int) -> None:
    train, labels, val, val_labels = problem(4)
    classifier = unfitted(name)
    classifier.fit(train[labels != absent], labels[labels != absent], val.copy(), val_labels, 4)
    # also where a patch is unlike everything that was seen
    logits = classifier.logits(np.concatenate([val, 100 * val]))
    assert logits.shape == (300, 4)
    assert np.isfinite(logits).all()
    assert absent not in logits.argmax(axis=1)
    assert logits.mean(axis=0).argmax() != absent


@pytest.mark.parametrize("name", FITTED)
def test_only_two_of_three_classes_are_enough_to_fit(name: str) -> None:
    train, labels, val, val_labels = problem(3)
    some, known = labels != 1, val_labels != 1
    classifier = unfitted(name)
    classifier.fit(train[some], labels[some], val.copy(), val_labels, 3)
    accuracy = (classifier.logits(val)[known].argmax(axis=1) == val_labels[known]).mean()
    assert classifier.control or accuracy > 0.85


@pytest.mark.parametrize("name", FITTED)
def test_a_fit_without_val_patches_takes_the_first_setting(name: str) -> None:
    train, labels, val, val_labels = problem(3)
    classifier = unfitted(name)
    classifier.fit(train, labels, val[:0].copy(), val_labels[:0], 3)
    logits = classifier.logits(val)
    assert logits.shape == (150, 3) and np.isfinite(logits).all()
    # the strongest regularisation may keep class frequencies alone on top, yet tells patches apart
    assert (len(np.unique(logits, axis=0)) == 1) is classifier.control
    assert getattr(classifier, "strength", 0.0001) == 0.0001
    assert all(np.isfinite(value).all() for value in classifier.state().values())


@pytest.mark.parametrize("name", NAMES)
def test_more_threads_give_the_same(name: str) -> None:
    patches = problem(3)[2]
    other = plugins.build("classifiers", name, {}, seed=0, threads=2)
    other.restore(fitted(name).state())
    np.testing.assert_array_equal(fitted(name).logits(patches), other.logits(patches))
