"""Which images are browsed, and which of their patches are said to have decided."""

import numpy as np
import pytest

from patchbench import plugins
from patchbench.bags import Bags
from patchbench.influence import influence
from patchbench.stages._browser import N_SHOWN, REASONS, choose, shown_classes
from patchbench.stages._browser_votes import PER_UNIT, whole


def some_bags(sizes: tuple[int, ...] = (4, 1, 6), n_classes: int = 3) -> Bags:
    rng = np.random.default_rng(0)
    n_patches = sum(sizes)
    logits, centers = rng.normal(size=(n_patches, n_classes)), rng.uniform(-1, 1, (n_patches, 2))
    noise = {"spectral_residual": rng.random(n_patches)}
    return Bags(logits, np.array(sizes), centers, noise)


@pytest.mark.parametrize(
    "name", ["mean_logit", "max_probability", "center_cone", "saliency_weight"]
)
def test_influence_is_what_a_decision_loses_without_a_patch(name: str) -> None:
    bags = some_bags()
    rule = plugins.build("fusions", name, {}).fit(bags, np.array([0, 1, 2]))
    found, decided = influence(rule.fuse, bags), rule.fuse(bags)
    for image, start in enumerate(bags.starts):
        size, label = bags.bag_sizes[image], decided[image].argmax()
        for row in range(start, start + size):
            left = [other for other in range(start, start + size) if other != row]
            if not left:
                assert np.isnan(found[row])
                continue
            own = {key: values[left] for key, values in bags.noise.items()}
            rest = Bags(bags.patch_logits[left], np.array([size - 1]), bags.centers[left], own)
            expected = decided[image, label] - rule.fuse(rest)[0, label]
            assert found[row] == pytest.approx(expected, abs=1e-12)


def test_only_the_best_patch_counts_for_the_rule_that_asks_only_it() -> None:
    logits = np.log([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]])
    bags = Bags(logits, np.array([3]), np.zeros((3, 2)))
    rule = plugins.build("fusions", "max_probability", {})
    assert influence(rule.fuse, bags).argmax() == 0
    assert influence(rule.fuse, bags)[1] == 0


def test_every_class_is_browsed_and_images_that_methods_fail_on() -> None:
    labels, rng = np.repeat(np.arange(4), 25), np.random.default_rng(1)
    right = rng.choice([0.0, 0.25, 0.5, 1.0], len(labels))
    rows, reasons = choose(labels, right, 12, seed=0)
    assert np.bincount(labels[rows]).tolist() == [3, 3, 3, 3]
    assert len(set(rows)) == 12
    named = np.array(REASONS)[reasons]
    assert (right[rows[named == "methods disagree"]] == 0.5).all()
    assert (right[rows[named == "most often wrong"]] == 0.0).all()
    again, _ = choose(labels, right, 12, seed=0)
    assert (again == rows).all()


def test_nothing_is_called_wrong_or_divided_where_all_methods_are_right() -> None:
    rows, reasons = choose(np.array([0, 0, 0, 1, 1]), np.ones(5), 12, seed=0)
    assert sorted(rows) == [0, 1, 2, 3, 4]
    assert (reasons == 0).all()


def test_the_true_class_is_shown_among_those_most_spoken_for() -> None:
    mean = np.random.default_rng(2).dirichlet(np.ones(40), 6)
    labels = mean.argmin(axis=1)
    shown = shown_classes(labels, mean)
    assert shown.shape == (6, N_SHOWN)
    for row, label, own in zip(shown, labels, mean, strict=True):
        assert label in row and own.argmax() in row
    assert shown_classes(labels[:1] % 3, mean[:1, :3]).tolist() == [[0, 1, 2]]


def test_numbers_are_kept_in_whole_parts_and_never_wrap_around() -> None:
    found = whole(np.array([0.12345, -1.0, np.nan, 5.0, -5.0]))
    assert found.tolist() == [1234, -PER_UNIT, 0, 32767, -32767]
    assert found.dtype == np.int16
