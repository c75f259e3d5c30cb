"""Every fusion rule, present and future, keeps the same promises and is what it says it is."""

import math
from copy import copy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbench import plugins
from patchbench.bags import Bags, softmax
from patchbench.cost import Stopwatch
from patchbench.deciding import decide_timed
from patchbench.errors import UserError

ALL = plugins.available("fusions")
# test_pooling.py holds those that work on embeddings to the same promises
NAMES = [name for name in ALL if plugins.load("fusions", name).Fusion.uses != "embeddings"]
BY_NOISE = {name for name in NAMES if plugins.load("fusions", name).Fusion.uses == "noise"}
DETECTORS = ("spectral_residual", "gradcam", "background_clusters")
# a classifier on top may learn anything
STACKS = {"stacking_grid", "stacking_summary"}


GRID = np.stack(np.meshgrid([-0.6, 0, 0.6], [-0.6, 0, 0.6]), axis=-1).reshape(-1, 2)


def random_bags(seed: int, n_images: int = 12, n_classes: int = 3, ties: bool = False) -> Bags:
    """Some images with some of the places of a grid each."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, n_images)
    logits = rng.normal(scale=3, size=(sizes.sum(), n_classes))
    if ties:
        logits = logits.round()
    centers = np.concatenate([rng.permutation(GRID)[:size] for size in sizes])
    scores = rng.normal(size=(len(DETECTORS), sizes.sum())).round(1)
    noise = dict(zip(DETECTORS, scores, strict=True))
    return Bags(logits.astype(np.float32), sizes, centers, noise)


def part(bags: Bags, rows, sizes, **changed) -> Bags:
    """Some rows of bags, in another order or with something changed."""
    noise = {name: scores[rows] for name, scores in bags.noise.items()}
    fields = {"patch_logits": bags.patch_logits[rows], "centers": bags.centers[rows]}
    return Bags(**fields | {"bag_sizes": np.asarray(sizes), "noise": noise} | changed)


def plain(logits, sizes, centers) -> Bags:
    """Bags that detectors find equally noisy everywhere."""
    noise = dict.fromkeys(DETECTORS, np.zeros(len(logits)))
    return Bags(np.asarray(logits), np.asarray(sizes), np.asarray(centers), noise)


@cache
def fitted(name: str):
    """The rule, fitted once on images that no test asks it about."""
    bags = random_bags(2001, n_images=24)
    return plugins.build("fusions", name, {}).fit(bags, np.arange(24) % 3)


def images(bags: Bags):
    """The bags one by one."""
    ends = np.cumsum(bags.bag_sizes)
    for start, end in zip(ends - bags.bag_sizes, ends, strict=True):
        yield part(bags, np.arange(start, end), [end - start])


@pytest.mark.parametrize("name", ALL)
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
    fused = fitted(name).fuse(bags)
    assert fused.shape == (12, 3)
    assert (fused >= 0).all()
    np.testing.assert_allclose(fused.sum(axis=1), 1, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_images_do_not_influence_each_other(name: str) -> None:
    bags = random_bags(1)
    rule = fitted(name)
    alone = np.concatenate([rule.fuse(one) for one in images(bags)])
    np.testing.assert_allclose(rule.fuse(bags), alone, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_order_agnostic_rules_are_blind_to_place(name: str) -> None:
    bags = random_bags(2)
    rule = fitted(name)
    rng = np.random.default_rng(0)
    shuffled, moved = [], []
    for one in images(bags):
        order = rng.permutation(len(one.patch_logits))
        same = np.arange(len(order))
        shuffled.append(rule.fuse(part(one, order, one.bag_sizes)))
        moved.append(rule.fuse(part(one, same, one.bag_sizes, centers=one.centers[order])))
    # the order of rows is never information; the place is, for those who use it
    np.testing.assert_allclose(rule.fuse(bags), np.concatenate(shuffled), atol=1e-9)
    if not rule.uses_position:
        np.testing.assert_allclose(rule.fuse(bags), np.concatenate(moved), atol=1e-9)
    assert rule.order_agnostic != rule.uses_position


@pytest.mark.parametrize("name", sorted(set(NAMES) - STACKS))
def test_one_patch_decides_alone(name: str) -> None:
    bags = plain([[0.0, 2.0, 1.0]], [1], np.zeros((1, 2)))
    fused = fitted(name).fuse(bags)
    assert fused.argmax() == 1


@pytest.mark.parametrize("name", NAMES)
def test_huge_logits_do_not_overflow(name: str) -> None:
    logits = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 0], [1e4, 0, -1e4]])
    bags = plain(logits, [2, 1], np.zeros((3, 2)))
    fused = fitted(name).fuse(bags)
    assert np.isfinite(fused).all()
    if name not in STACKS:
        assert fused[1].argmax() == 0


def scaled(scores):
    return np.asarray(scores) / np.sum(scores)


def kept_mean(p, keep):
    """Mean of what is left of each class's probabilities, sorted, when some are cut off."""
    return scaled([np.mean(keep(sorted(column))) for column in p.T])


def vote(row):
    return (row == row.max()) / (row == row.max()).sum()


def weighted(p, weights):
    return np.average(p, axis=0, weights=weights if np.sum(weights) > 0 else None)


def in_box(u, side):
    return [float(max(abs(a)) <= side) for a in u]


def product(p, prior):
    """Bayes' rule in exact order: one patch after the other."""
    logs = np.log(prior)
    for row in np.log(p):
        logs = logs + row - np.log(prior)
    return softmax(logs)


# each rule once more, for one image: its logits, probabilities, centres and the fitted rule
SLOW = {
    "majority_vote": lambda z, p, u, rule: np.mean([vote(row) for row in z], axis=0),
    "weighted_vote": lambda z, p, u, rule: (
        scaled(v * rule._weights)
        if (v := np.mean([vote(row) for row in z], axis=0)) @ rule._weights > 0
        else v
    ),
    "mean_probability": lambda z, p, u, rule: np.mean(p, axis=0),
    "mean_logit": lambda z, p, u, rule: softmax(np.mean(z.astype(float), axis=0)),
    "log_opinion_pool": lambda z, p, u, rule: scaled(np.prod(p ** (rule.value / len(p)), axis=0)),
    "product_with_prior": lambda z, p, u, rule: product(p, np.exp(rule._log_prior)),
    "max_probability": lambda z, p, u, rule: scaled(p.max(axis=0)),
    "median_probability": lambda z, p, u, rule: scaled(np.median(p, axis=0)),
    "trimmed_mean": lambda z, p, u, rule: kept_mean(
        p, lambda x: x[int(0.2 * len(x)) : len(x) - int(0.2 * len(x))]
    ),
    "top_k_mean": lambda z, p, u, rule: kept_mean(p, lambda x: x[-math.ceil(0.2 * len(x)) :]),
    "noisy_or": lambda z, p, u, rule: scaled(1 - np.prod(1 - p, axis=0)),
    "log_sum_exp": lambda z, p, u, rule: scaled(
        np.log(np.mean(np.exp(rule.value * p), axis=0)) / rule.value
    ),
    "generalized_mean": lambda z, p, u, rule: scaled(
        np.mean(p**rule.value, axis=0) ** (1 / rule.value)
    ),
    "confidence_weight": lambda z, p, u, rule: weighted(p, [max(row) for row in p]),
    "entropy_weight": lambda z, p, u, rule: weighted(
        p, [1 + sum(x * np.log(x) for x in row if x > 0) / np.log(len(row)) for row in p]
    ),
    "center_gaussian": lambda z, p, u, rule: weighted(
        p, [np.exp(-(a @ a) / (2 * rule.value**2)) for a in u]
    ),
    "center_cone": lambda z, p, u, rule: weighted(p, [1 - math.hypot(*a) / 2**0.5 for a in u]),
    "center_box": lambda z, p, u, rule: weighted(p, in_box(u, rule.value)),
}


def cleanliness(scores):
    """One less the share of patches that are less noisy, equal ones half, itself half."""
    return [1 - (np.sum(scores < s) + np.sum(scores == s) / 2) / len(scores) for s in scores]


def by_place(z, p, u, rule):
    """Probabilities of the places that the rule knows, one after the other."""
    at = {tuple(np.round(place, 4)): row for place, row in zip(u, p, strict=True)}
    return [at.get(tuple(cell), p.mean(axis=0)) for cell in rule._cells]


def weights_of_places(u, rule):
    weights = {tuple(c): np.exp(w) for c, w in zip(rule._cells, rule._log_weights, strict=True)}
    average = np.mean(list(weights.values()))
    return [weights.get(tuple(np.round(place, 4)), average) for place in u]


def summary(z, p, u, rule):
    ranked = -np.sort(-p, axis=0)
    quartiles = [ranked[int(np.rint(q * (len(p) - 1)))] for q in (0.25, 0.5, 0.75)]
    votes = np.mean([vote(row) for row in z], axis=0)
    return np.concatenate([p.mean(axis=0), p.std(axis=0), p.max(axis=0), votes, *quartiles])


SLOW |= {
    "position_weights": lambda z, p, u, rule: weighted(p, weights_of_places(u, rule)),
    "stacking_grid": lambda z, p, u, rule: rule._stack.predict_proba(
        [np.concatenate(by_place(z, p, u, rule))]
    )[0],
    "stacking_summary": lambda z, p, u, rule: rule._stack.predict_proba([summary(z, p, u, rule)])[
        0
    ],
}
# rules of one patch are that patch's probabilities, but for those that count votes
VOTES = {"majority_vote", "weighted_vote"}
# more evidence for a class makes the patch weigh more, for all classes
WEIGHS_BY_CONTENT = {"confidence_weight", "entropy_weight"}


def slowly(name, one, rule):
    """One image, decided by the slow form."""
    p = softmax(one.patch_logits)
    if name in BY_NOISE:
        return weighted(p, cleanliness(one.noise[rule.detector]))
    return SLOW[name](one.patch_logits, p, one.centers, rule)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), ties=st.booleans())
def test_a_rule_equals_a_slow_loop(name: str, seed: int, ties: bool) -> None:
    bags = random_bags(seed, ties=ties)
    rule = fitted(name)
    if name not in SLOW and name not in BY_NOISE:
        pytest.fail(f"add the slow, obvious form of {name} to SLOW")
    slow = [slowly(name, one, rule) for one in images(bags)]
    np.testing.assert_allclose(rule.fuse(bags), slow, atol=1e-9)


@pytest.mark.parametrize("name", sorted(set(NAMES) - VOTES - STACKS))
def test_the_only_patch_is_the_image(name: str) -> None:
    bags = random_bags(4)
    one = part(bags, np.arange(5), np.ones(5, int))
    rule = copy(fitted(name))
    if name == "log_opinion_pool":
        rule.value = 1.0
    np.testing.assert_allclose(rule.fuse(one), one.probabilities, atol=1e-9)


@pytest.mark.parametrize("name", sorted(set(NAMES) - WEIGHS_BY_CONTENT - STACKS))
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000))
def test_more_evidence_for_a_class_never_lowers_its_score(name: str, seed: int) -> None:
    bags = random_bags(seed)
    rule, rng = fitted(name), np.random.default_rng(seed)
    patch, label = rng.integers(len(bags.patch_logits)), rng.integers(3)
    more = bags.patch_logits.copy()
    more[patch, label] += rng.uniform(0, 3)
    before = rule.fuse(bags)[:, label]
    after = rule.fuse(replace(bags, patch_logits=more))[:, label]
    assert (after >= before - 1e-12).all()


@pytest.mark.parametrize(
    "name", sorted(WEIGHS_BY_CONTENT | BY_NOISE | {"center_cone", "center_box"})
)
def test_equal_weights_are_the_mean(name: str) -> None:
    rng = np.random.default_rng(6)
    # patches alike but for the class they favour, all as far from the middle
    logits = np.stack([rng.permutation([2.0, 0.5, -1.0]) for _ in range(12)])
    angles = rng.uniform(0, 6, 12)
    centers = 0.3 * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    bags = plain(logits, [5, 1, 6], centers)
    expected = bags.mean(bags.probabilities)
    np.testing.assert_allclose(fitted(name).fuse(bags), expected, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_certain_patches_are_no_trouble(name: str) -> None:
    logits = np.array([[800.0, -800.0, 0.0], [-800.0, 800.0, 0.0], [800.0, 0.0, -800.0]] * 2)
    bags = plain(logits, [1, 2, 3], np.ones((6, 2)))
    with np.errstate(all="raise", under="ignore"):
        fused = fitted(name).fuse(bags)
    assert np.isfinite(fused).all()
    np.testing.assert_allclose(fused.sum(axis=1), 1)
    assert fused[0].argmax() == 0


def test_votes_for_a_class_weigh_how_often_they_are_right() -> None:
    logits = np.eye(3)[[0, 0, 0, 0, 1, 1, 2, 2]] * 4.0
    bags = Bags(logits, np.ones(8, int), np.zeros((8, 2)))
    rule = plugins.build("fusions", "weighted_vote", {}).fit(
        bags, np.array([0, 0, 0, 1, 1, 2, 0, 1])
    )
    # right 3 of 4, 1 of 2, 0 of 2 times; one right and one wrong more each
    expected = np.log([2 * 4 / 2, 2 * 2 / 2, 2 * 1 / 3])
    np.testing.assert_allclose(rule.chosen["weights"], np.maximum(expected, 0))


def test_the_centre_is_used_only_where_it_helps() -> None:
    rng = np.random.default_rng(0)
    centers = np.tile(np.array([[0.0, 0.0], [0.9, 0.9]]), (50, 1))
    labels = rng.integers(0, 2, 50)
    logits = rng.normal(size=(100, 2))
    logits[::2] += 4 * np.eye(2)[labels]  # the middle patch knows
    logits[1::2] += 4 * np.eye(2)[1 - labels]  # the corner patch is wrong
    helps = Bags(logits, np.full(50, 2), centers)
    assert plugins.build("fusions", "center_gaussian", {}).fit(helps, labels).value == 0.2
    hurts = Bags(logits, np.full(50, 2), centers[::-1])
    assert plugins.build("fusions", "center_gaussian", {}).fit(hurts, labels).value == np.inf


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


def test_images_without_a_weight_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    middle, border = [[0.0, 0.0], [0.9, 0.0]], [[0.9, 0.9], [-0.9, 0.0]]
    bags = plain(np.zeros((6, 2)), np.full(3, 2), np.array([*border, *middle, *border]))
    rules = {name: copy(fitted(name)) for name in ("center_box", "mean_probability")}
    rules["center_box"].value = 0.5
    decide_timed(rules, bags, Stopwatch())
    assert capsys.readouterr().err == (
        "fusions.center_box: in 2 of 3 images no patch has a weight above 0, so all count alike "
        "there\n"
    )


def arranged(n_images: int, seed: int) -> tuple[Bags, np.ndarray]:
    """Two patches each, alike in both classes but for which of them stands where."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n_images) % 2
    first = np.stack([labels, 1 - labels], axis=1).ravel()
    logits = 3 * np.eye(2)[first] + rng.normal(size=(2 * n_images, 2))
    centers = np.tile([[0.0, -0.5], [0.0, 0.5]], (n_images, 1))
    return plain(logits, np.full(n_images, 2), centers), labels


def test_only_rules_that_know_the_place_learn_an_arrangement() -> None:
    bags, labels = arranged(60, 0)
    test, true = arranged(200, 1)
    for name in NAMES:
        rule = plugins.build("fusions", name, {}).fit(bags, labels)
        right = (rule.fuse(test).argmax(axis=1) == true).mean()
        if name in ("position_weights", "stacking_grid"):
            assert right > 0.9, name
        elif rule.order_agnostic:
            assert 0.35 < right < 0.65, name


def test_learned_weights_lie_where_the_truth_is_and_are_told() -> None:
    bags, labels = arranged(60, 2)
    rule = plugins.build("fusions", "position_weights", {}).fit(bags, labels)
    told = rule.chosen
    assert told["places"] == [[0.0, -0.5], [0.0, 0.5]]
    assert told["weights"][0] > 0.8 and sum(told["weights"]) == pytest.approx(1)


@pytest.mark.parametrize("name", sorted(STACKS))
def test_a_class_that_val_lacks_is_named(name: str) -> None:
    bags = random_bags(7)
    with pytest.raises(UserError, match=rf"fusions\.{name}: no val image is of class 2"):
        plugins.build("fusions", name, {}).fit(bags, np.arange(12) % 2)


@pytest.mark.parametrize("name", sorted(BY_NOISE))
def test_a_detector_that_did_not_run_is_named(name: str) -> None:
    bags = random_bags(8)
    with pytest.raises(UserError, match="no scores of the detector"):
        fitted(name).fuse(replace(bags, noise={"random": np.zeros(len(bags.patch_logits))}))
