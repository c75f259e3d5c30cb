"""Every fusion rule, present and future, keeps the same promises and is what it says it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbench import plugins
from patchbench.bags import Bags, softmax
from patchbench.errors import UserError

NAMES = plugins.available("fusions")


def random_bags(seed: int, n_images: int = 12, n_classes: int = 3, ties: bool = False) -> Bags:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, n_images)
    logits = rng.normal(scale=3, size=(sizes.sum(), n_classes))
    if ties:
        logits = logits.round()
    return Bags(logits.astype(np.float32), sizes, rng.uniform(-1, 1, (sizes.sum(), 2)))


def fitted(name: str, bags: Bags):
    labels = np.arange(len(bags.bag_sizes)) % bags.patch_logits.shape[1]
    return plugins.build("fusions", name, {}).fit(bags, labels)


def images(bags: Bags):
    """The bags one by one."""
    ends = np.cumsum(bags.bag_sizes)
    for start, end in zip(ends - bags.bag_sizes, ends, strict=True):
        size = np.array([end - start])
        yield Bags(bags.patch_logits[start:end], size, bags.centers[start:end])


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_says_what_it_is(name: str) -> None:
    rule = plugins.load("fusions", name).Fusion
    assert plugins.load("fusions", name).__doc__
    assert rule.summary
    assert rule.source
    for flag in ("order_agnostic", "uses_position", "fitted"):
        assert isinstance(getattr(rule, flag), bool)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), ties=st.booleans())
def test_probabilities_are_probabilities(name: str, seed: int, ties: bool) -> None:
    bags = random_bags(seed, ties=ties)
    fused = fitted(name, bags).fuse(bags)
    assert fused.shape == (12, 3)
    assert (fused >= 0).all()
    np.testing.assert_allclose(fused.sum(axis=1), 1, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_images_do_not_influence_each_other(name: str) -> None:
    bags = random_bags(1)
    rule = fitted(name, bags)
    alone = np.concatenate([rule.fuse(one) for one in images(bags)])
    np.testing.assert_allclose(rule.fuse(bags), alone, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_order_agnostic_rules_are_blind_to_place(name: str) -> None:
    bags = random_bags(2)
    rule = fitted(name, bags)
    rng = np.random.default_rng(0)
    shuffled, moved = [], []
    for one in images(bags):
        order = rng.permutation(len(one.patch_logits))
        shuffled.append(rule.fuse(Bags(one.patch_logits[order], one.bag_sizes, one.centers[order])))
        moved.append(rule.fuse(Bags(one.patch_logits, one.bag_sizes, one.centers[order])))
    # the order of rows is never information; the place is, for those who use it
    np.testing.assert_allclose(rule.fuse(bags), np.concatenate(shuffled), atol=1e-9)
    if not rule.uses_position:
        np.testing.assert_allclose(rule.fuse(bags), np.concatenate(moved), atol=1e-9)
    assert rule.order_agnostic != rule.uses_position


@pytest.mark.parametrize("name", NAMES)
def test_one_patch_decides_alone(name: str) -> None:
    bags = Bags(np.array([[0.0, 2.0, 1.0]]), np.array([1]), np.zeros((1, 2)))
    fused = fitted(name, random_bags(3)).fuse(bags)
    assert fused.argmax() == 1


@pytest.mark.parametrize("name", NAMES)
def test_huge_logits_do_not_overflow(name: str) -> None:
    bags = Bags(np.array([[1e4, -1e4], [-1e4, 1e4], [1e4, 0]]), np.array([2, 1]), np.zeros((3, 2)))
    fused = fitted(name, bags).fuse(bags)
    assert np.isfinite(fused).all()
    assert fused[1].argmax() == 0


SLOW = {
    "majority_vote": lambda z, u, rule: np.mean(
        [(row == row.max()) / (row == row.max()).sum() for row in z], axis=0
    ),
    "mean_probability": lambda z, u, rule: np.mean([softmax(row) for row in z], axis=0),
    "mean_logit": lambda z, u, rule: softmax(np.mean(z.astype(float), axis=0)),
    "max_probability": lambda z, u, rule: (m := softmax(z).max(axis=0)) / m.sum(),
    "center_gaussian": lambda z, u, rule: np.average(
        softmax(z), axis=0, weights=[np.exp(-(a @ a) / (2 * rule.width**2)) for a in u]
    ),
}


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), ties=st.booleans())
def test_a_rule_equals_a_slow_loop(name: str, seed: int, ties: bool) -> None:
    bags = random_bags(seed, ties=ties)
    rule = fitted(name, bags)
    if name not in SLOW:
        pytest.fail(f"add the slow, obvious form of {name} to SLOW")
    slow = [SLOW[name](one.patch_logits, one.centers, rule) for one in images(bags)]
    np.testing.assert_allclose(rule.fuse(bags), slow, atol=1e-9)


def test_the_centre_is_used_only_where_it_helps() -> None:
    rng = np.random.default_rng(0)
    centers = np.tile(np.array([[0.0, 0.0], [0.9, 0.9]]), (50, 1))
    labels = rng.integers(0, 2, 50)
    logits = rng.normal(size=(100, 2))
    logits[::2] += 4 * np.eye(2)[labels]  # the middle patch knows
    logits[1::2] += 4 * np.eye(2)[1 - labels]  # the corner patch is wrong
    helps = Bags(logits, np.full(50, 2), centers)
    assert plugins.build("fusions", "center_gaussian", {}).fit(helps, labels).width == 0.2
    hurts = Bags(logits, np.full(50, 2), centers[::-1])
    assert plugins.build("fusions", "center_gaussian", {}).fit(hurts, labels).width == np.inf


@pytest.mark.parametrize(
    ("logits", "sizes", "message"),
    [
        (np.zeros((3, 2)), [2, 2], "bag_sizes sums to 4 but there are 3 patches"),
        (np.zeros((3, 2)), [3, 0], "image 1 has no patches"),
        (np.array([[0, 0], [0, np.nan], [0, 0]]), [1, 2], r"patch 1 \(image 1\)"),
        (np.array([[0, 0], [0, 0], [np.inf, 0]]), [1, 2], r"patch 2 \(image 1\)"),
    ],
)
def test_impossible_bags_are_named(logits: np.ndarray, sizes: list[int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Bags(logits, np.array(sizes), np.zeros((3, 2)))


def test_all_zero_weights_fall_back_to_the_mean() -> None:
    bags = random_bags(5)
    values = bags.probabilities
    np.testing.assert_allclose(bags.mean(values, np.zeros(len(values))), bags.mean(values))
