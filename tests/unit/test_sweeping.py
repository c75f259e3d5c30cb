"""Fitting and scoring on a choice of patches: the right share, all images, no luck."""

import numpy as np
import pandas as pd
import pytest

from patchbench import plugins
from patchbench.auc import macro_auc
from patchbench.bags import Bags
from patchbench.bootstrap import draw_groups
from patchbench.evaluation import BOOTSTRAP_SEED
from patchbench.io import write_array
from patchbench.split_bags import SplitBags
from patchbench.sweeping import FUSED, IMAGE, Bench, best_on_val

N_IMAGES, PER_IMAGE, N_CLASSES = 12, 6, 3
N = N_IMAGES * PER_IMAGE
LABELS = np.repeat(np.arange(N_IMAGES) % N_CLASSES, PER_IMAGE)
SCENES = np.arange(N_IMAGES) // 2  # two images of a scene are drawn together


def patches(first: int) -> pd.DataFrame:
    """Index of as many patches, whose embeddings begin at a row of the one shard."""
    image_row = np.repeat(np.arange(N_IMAGES), PER_IMAGE)
    return pd.DataFrame(
        {"image_row": image_row, "label": LABELS, "shard": 0, "offset": first + np.arange(N)}
    )


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A bench on embeddings that tell the class, but for noise."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("bench") / "embeddings.npy"
    rows = rng.normal(size=(2 * N, 4)).astype(np.float32)
    rows[:, :N_CLASSES] += 1.5 * np.eye(N_CLASSES)[np.tile(LABELS, 2)]
    write_array(path, rows)
    classifier = plugins.build("classifiers", "logistic", {"strengths": [1.0]}, seed=0, threads=1)
    classifier.fit(rows[:N].copy(), LABELS, rows[N:].copy(), LABELS, N_CLASSES)
    rule = plugins.build("fusions", "max_probability", {})
    parts = patches(0), patches(N), [path], rng.uniform(-1, 1, (N, 2))
    return Bench(classifier, *parts, ("max_probability", rule), 0, np.arange(N), SCENES)


def test_every_step_drops_the_share_asked_for(bench: Bench) -> None:
    scores = np.random.default_rng(1).random((2, N))
    for step, outcome in bench.steps(*scores, [0.5]):
        if step.use == "weight":
            assert (step.removed_train, step.removed_test) == (0, 0)
            assert (FUSED in outcome.draws) == (step.applied == "train")
            continue
        asked = {"train": (0.5, 0.0), "test": (0.0, 0.5), "both": (0.5, 0.5)}[step.applied]
        assert (step.removed_train, step.removed_test) == pytest.approx(asked)
        assert outcome.fusions[FUSED] == "max_probability"


def test_an_image_noisier_than_all_of_train_is_still_decided(bench: Bench) -> None:
    """Its patches have no weight among those of train, but no others speak for it."""
    for image in (0, N_IMAGES // 2, N_IMAGES - 1):
        train, test = np.zeros(N), np.zeros(N)
        test[image * PER_IMAGE : (image + 1) * PER_IMAGE] = 9.0
        for _, outcome in bench.steps(train, test, [0.9]):
            assert outcome.n_images == N_IMAGES
            assert np.isfinite(outcome.draws[IMAGE][0])


def test_nothing_dropped_is_the_plain_result(bench: Bench) -> None:
    plain = bench.outcome(bench.plain, np.ones(N))
    scores = np.random.default_rng(2).random((2, N))
    steps = [(step, found) for step, found in bench.steps(*scores, [0.0]) if step.use == "filter"]
    for _, outcome in steps:
        for level, draws in plain.draws.items():
            np.testing.assert_allclose(outcome.draws[level], draws)


def test_the_lot_is_drawn_several_times_and_averaged(bench: Bench) -> None:
    """The mean of five lots differs less from another mean of five than single lots do."""
    found = {step.key: outcome for step, outcome in bench.at_random(np.empty(0), None, [0.7])}
    assert set(found) >= {("filter", place, 0.7) for place in ("train", "test", "both")}
    rng = np.random.default_rng(3)
    single = [
        outcome.draws[IMAGE][0]
        for _ in range(8)
        for step, outcome in bench.steps(rng.random(N), rng.random(N), [0.7])
        if step.key == ("filter", "test", 0.7)
    ]
    mean = found["filter", "test", 0.7].draws[IMAGE][0]
    assert min(single) <= mean <= max(single)
    assert mean not in single  # AUC of so few images are few values; a mean of five is none


def test_the_rule_is_chosen_on_val_and_the_plainest_of_equal_ones() -> None:
    rng = np.random.default_rng(4)
    centers = np.tile([[0.0, 0.0], [0.9, 0.9]], (40, 1))
    labels = np.arange(40) % 2
    logits = rng.normal(size=(80, 2))
    logits[::2] += 4 * np.eye(2)[labels]  # the middle patch knows
    val = SplitBags(Bags(logits, np.full(40, 2), centers), pd.DataFrame({"label": labels}))
    rules = {name: {} for name in ("center_gaussian", "mean_probability", "majority_vote")}
    assert best_on_val(rules, val)[0] == "center_gaussian"
    certain = SplitBags(
        Bags(1e3 * np.eye(2)[labels], np.ones(40, int), np.zeros((40, 2))), val.images
    )
    assert best_on_val(rules, certain)[0] == "mean_probability"


def test_images_of_a_group_are_drawn_together(bench: Bench) -> None:
    decided = bench.outcome(bench.plain, np.ones(N)).draws[IMAGE]
    bags = Bags(bench.plain.logits, np.full(N_IMAGES, PER_IMAGE), np.zeros((N, 2)))
    mean = bags.mean(bags.probabilities, np.ones(N))
    together = macro_auc(LABELS[::PER_IMAGE], mean, draw_groups(SCENES, BOOTSTRAP_SEED))
    np.testing.assert_allclose(decided, together)
