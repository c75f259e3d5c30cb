"""Every rule that decides from embeddings keeps the same promises and is what it says it is."""

from functools import cache

import numpy as np
import pytest

from patchbench import plugins
from patchbench.embedded import EmbeddedBags
from patchbench.errors import UserError

NAMES = [
    name
    for name in plugins.available("fusions")
    if plugins.load("fusions", name).Fusion.uses == "embeddings"
]
ATTENDING = ("abmil", "gated_abmil", "additive_mil", "position_transformer")
QUICK = {"epochs": 12, "width": 8, "lr": 0.01, "batch_size": 6}
DIM, N_CLASSES = 5, 3
GRID = np.stack(np.meshgrid([-0.6, 0, 0.6], [-0.6, 0, 0.6]), axis=-1).reshape(-1, 2)
# float32 sums of one image alone and among others round differently
CLOSE = 2e-5


def make(seed: int, n_images: int = 24) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images some of whose patches lean to their class: embeddings, sizes, centres, labels."""
    rng = np.random.default_rng(seed)
    sizes, labels = rng.integers(1, 9, n_images), np.arange(n_images) % N_CLASSES
    embeddings = rng.normal(size=(sizes.sum(), DIM))
    own = np.repeat(labels, sizes)
    embeddings[np.arange(len(own)), own] += 3 * (rng.random(len(own)) < 0.7)
    centers = np.concatenate([rng.permutation(GRID)[:size] for size in sizes])
    return embeddings.astype(np.float32), sizes, centers, labels


def bags_of(made) -> EmbeddedBags:
    return EmbeddedBags.of(*made[:3])


def fit(name: str):
    """The rule, fitted on images that no test asks it about."""
    spec = QUICK if name in ATTENDING else {}
    train, val = make(1, 60), make(2)
    rule = plugins.build("fusions", name, spec, seed=0, device="cpu", threads=1)
    return rule.fit(bags_of(train), train[3], bags_of(val), val[3], N_CLASSES)


fitted = cache(fit)


@pytest.mark.parametrize("name", NAMES)
def test_decisions_are_probabilities_and_mostly_right(name: str) -> None:
    made = make(3, 90)
    fused = fitted(name).fuse(bags_of(made))
    assert fused.shape == (90, N_CLASSES)
    assert (fused >= 0).all()
    np.testing.assert_allclose(fused.sum(axis=1), 1, atol=1e-6)
    assert (fused.argmax(axis=1) == made[3]).mean() > 0.6


@pytest.mark.parametrize("name", NAMES)
def test_images_do_not_influence_each_other(name: str) -> None:
    made = make(4)
    alone, start = [], 0
    for size in made[1]:
        rows = slice(start, start + size)
        one = EmbeddedBags.of(made[0][rows], np.array([size]), made[2][rows])
        alone.append(fitted(name).fuse(one))
        start += size
    np.testing.assert_allclose(fitted(name).fuse(bags_of(made)), np.concatenate(alone), atol=CLOSE)


@pytest.mark.parametrize("name", NAMES)
def test_order_agnostic_rules_are_blind_to_place(name: str) -> None:
    embeddings, sizes, centers, _ = make(5)
    rule, rng = fitted(name), np.random.default_rng(0)
    starts = np.cumsum(sizes) - sizes
    order = np.concatenate([s + rng.permutation(n) for s, n in zip(starts, sizes, strict=True)])
    before = rule.fuse(EmbeddedBags.of(embeddings, sizes, centers))
    shuffled = rule.fuse(EmbeddedBags.of(embeddings[order], sizes, centers[order]))
    moved = rule.fuse(EmbeddedBags.of(embeddings, sizes, centers[order]))
    np.testing.assert_allclose(before, shuffled, atol=CLOSE)
    assert rule.order_agnostic != rule.uses_position
    if rule.order_agnostic:
        np.testing.assert_allclose(before, moved, atol=CLOSE)
    else:
        assert np.abs(before - moved).max() > 100 * CLOSE


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_rule_decides_the_same(name: str) -> None:
    rule, bags = fitted(name), bags_of(make(6))
    spec = QUICK if name in ATTENDING else {}
    other = plugins.build("fusions", name, spec, seed=0, device="cpu", threads=1)
    other.restore(rule.state())
    np.testing.assert_array_equal(rule.fuse(bags), other.fuse(bags))
    assert other.chosen == rule.chosen


@pytest.mark.parametrize("name", NAMES)
def test_one_seed_gives_one_rule(name: str) -> None:
    bags = bags_of(make(7))
    np.testing.assert_array_equal(fitted(name).fuse(bags), fit(name).fuse(bags))


@pytest.mark.parametrize("name", ATTENDING)
def test_attention_is_shared_out_among_the_patches_of_an_image(name: str) -> None:
    made = make(8)
    attention = fitted(name).attention(bags_of(made))
    assert (attention >= 0).all()
    sums = np.add.reduceat(attention, np.cumsum(made[1]) - made[1])
    np.testing.assert_allclose(sums, 1, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_class_that_train_lacks_is_named(name: str) -> None:
    train, val = make(1), make(2)
    rule = plugins.build("fusions", name, {}, seed=0, device="cpu", threads=1)
    with pytest.raises(UserError, match=rf"fusions\.{name}: no train image is of class 2"):
        rule.fit(bags_of(train), train[3] % 2, bags_of(val), val[3], N_CLASSES)


def test_pooled_rows_are_what_slow_loops_give() -> None:
    embeddings, sizes, centers, _ = make(9)
    bags = EmbeddedBags.of(embeddings, sizes, centers)
    parts = np.split(embeddings.astype(np.float64), np.cumsum(sizes)[:-1])
    for name, slow in (("embedding_mean", np.mean), ("embedding_max", np.max)):
        pool = plugins.load("fusions", name).Fusion.pool
        expected = [slow(one, axis=0) for one in parts]
        np.testing.assert_allclose(bags.pooled(pool), expected, rtol=1e-6)


def test_nbnn_decides_by_the_sum_of_squared_distances() -> None:
    made = make(10)
    rule = fitted("nbnn")
    reference, labels = rule.state()["reference"], rule.state()["labels"]
    embeddings = made[0] / np.linalg.norm(made[0], axis=1, keepdims=True)
    parts = np.split(embeddings, np.cumsum(made[1])[:-1])
    expected = [
        np.argmin(
            [
                sum(((reference[labels == c] - x) ** 2).sum(axis=1).min() for x in one)
                for c in range(N_CLASSES)
            ]
        )
        for one in parts
    ]
    assert rule.fuse(bags_of(made)).argmax(axis=1).tolist() == expected


def test_what_additive_pooling_decides_is_a_sum_over_patches() -> None:
    """Every patch's part is known: of the same patch twice it is the patch's own."""
    embeddings, _, centers, _ = make(11)
    one = EmbeddedBags.of(embeddings[:1], np.array([1]), centers[:1])
    twice = EmbeddedBags.of(embeddings[[0, 0]], np.array([2]), centers[[0, 0]])
    rule = fitted("additive_mil")
    np.testing.assert_allclose(rule.fuse(one), rule.fuse(twice), atol=CLOSE)


def test_a_transformer_learns_an_arrangement_that_no_order_agnostic_rule_can() -> None:
    rng = np.random.default_rng(0)

    def arranged(n_images: int):
        labels = np.arange(n_images) % 2
        first = np.stack([labels, 1 - labels], axis=1).ravel()
        embeddings = 2 * np.eye(2)[first] + 0.3 * rng.normal(size=(2 * n_images, 2))
        centers = np.tile([[-0.5, 0.0], [0.5, 0.0]], (n_images, 1))
        return EmbeddedBags.of(embeddings, np.full(n_images, 2), centers), labels

    train, val, test = arranged(120), arranged(40), arranged(200)
    for name in ("position_transformer", "abmil", "embedding_max"):
        spec = {"epochs": 15, "width": 16, "lr": 0.005} if name in ATTENDING else {}
        rule = plugins.build("fusions", name, spec, seed=0, device="cpu", threads=1)
        rule.fit(*train, *val, 2)
        right = (rule.fuse(test[0]).argmax(axis=1) == test[1]).mean()
        assert right > 0.95 if name == "position_transformer" else 0.35 < right < 0.65, name


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("position_transformer", {"width": 30}, "width is 30 and n_heads is 4"),
        ("abmil", {"dropout": 1.0}, "dropout is 1.0; give a number from 0 to below 1"),
        ("abmil", {"epochs": 0}, "epochs is 0"),
        ("embedding_mean", {"strengths": []}, r"strengths is \[\]"),
        ("nbnn", {"n_reference": 0}, "n_reference is 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name: str, spec: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        plugins.build("fusions", name, spec, seed=0, device="cpu", threads=1)
