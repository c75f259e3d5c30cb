"""Experiments against slow, obvious loops, and on methods whose answer is known."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from patchbench import plugins
from patchbench.asking import patch_method, whole_image_cnn
from patchbench.auc import macro_auc
from patchbench.bags import Bags, softmax
from patchbench.error_consistency import kappa
from patchbench.evaluation import BOOTSTRAP_SEED
from patchbench.experiments import channel_blackout, interaction, shuffle, spatial_blackout
from patchbench.metrics import draw_weights
from patchbench.subject import Channels, Subject, decided
from patchbench.trials import Trials
from unit._subjects import (
    IMAGE_PX,
    LABELS,
    N_CLASSES,
    N_IMAGES,
    PATCHES,
    SIDE_PX,
    STARTS,
    Classifier,
    Encoder,
    make_images,
    make_subject,
)

RNG = np.random.default_rng(3)


def run(experiment: Any, subject: Subject) -> pd.DataFrame:
    return pd.DataFrame(list(experiment.rows(subject)))


# ------------------------------------------------------------------------------ scoring


def test_one_bootstrap_for_all_draws_is_the_mean_of_the_bootstraps_of_each() -> None:
    draws = [softmax(RNG.normal(size=(N_IMAGES, N_CLASSES))).round(1) for _ in range(4)]
    score = Trials(LABELS, np.arange(N_IMAGES)).score(draws)["auc_macro"]
    weights = draw_weights(N_IMAGES, BOOTSTRAP_SEED)
    each = np.array([macro_auc(LABELS, probabilities, weights) for probabilities in draws])
    np.testing.assert_allclose(score.over_images, each.mean(axis=0))
    np.testing.assert_allclose(score.by_draw, each[:, 0])


def test_images_of_a_group_are_drawn_together() -> None:
    draws, halves = [softmax(RNG.normal(size=(N_IMAGES, N_CLASSES)))], np.arange(N_IMAGES) // 2
    score = Trials(LABELS, halves).score(draws)["accuracy"]
    right = draws[0].argmax(axis=1) == LABELS
    weights = draw_weights(N_IMAGES // 2, BOOTSTRAP_SEED)[:, halves]
    np.testing.assert_allclose(score.over_images, weights @ right / weights.sum(axis=1))


def test_accuracy_and_log_loss_are_means_over_images_and_draws() -> None:
    draws = [softmax(RNG.normal(size=(N_IMAGES, N_CLASSES))) for _ in range(3)]
    scores = Trials(LABELS, np.arange(N_IMAGES)).score(draws)
    right = [np.mean([p[i].argmax() == y for i, y in enumerate(LABELS)]) for p in draws]
    loss = [np.mean([-np.log(p[i, y]) for i, y in enumerate(LABELS)]) for p in draws]
    np.testing.assert_allclose(scores["accuracy"].by_draw, right)
    np.testing.assert_allclose(scores["log_loss"].by_draw, loss)
    assert scores["log_loss"].over_images[0] == pytest.approx(np.mean(loss))


def test_votes_that_say_nothing_say_nothing_however_few_are_left() -> None:
    rng = np.random.default_rng(0)
    votes = np.broadcast_to(rng.normal(size=N_CLASSES), (N_IMAGES, 9, N_CLASSES))
    subject = make_subject(
        votes=votes, cells=np.mgrid[:3, :3].reshape(2, -1).T, centers=rng.normal(size=(9, 2))
    )
    frame = run(spatial_blackout.Experiment(fractions=[0.1, 0.3, 0.6], n_draws=3), subject)
    assert (frame.loc[frame["measure"] == "auc_macro", "value"] == 0.5).all()


def test_images_of_one_class_have_no_auc_but_an_accuracy() -> None:
    scores = Trials(np.zeros(5, int), np.arange(5)).score([np.full((5, 2), 0.5)])
    assert np.isnan(scores["auc_macro"].over_images).all()
    assert scores["accuracy"].over_images[0] == 1


# ------------------------------------------------------------------------------ patches


@pytest.mark.parametrize("fusion", ["mean_probability", "mean_logit"])
def test_with_all_patches_decisions_are_those_of_the_fusion_rule(fusion: str) -> None:
    votes = RNG.normal(size=(N_IMAGES, 5, N_CLASSES))
    rule = plugins.build("fusions", fusion, {})
    sizes = np.full(N_IMAGES, 5)
    expected = rule.fuse(Bags(votes.reshape(-1, N_CLASSES), sizes, np.zeros((5 * N_IMAGES, 2))))
    np.testing.assert_allclose(decided(votes, fusion), expected)
    values = votes if fusion == "mean_logit" else softmax(votes)
    kept = np.ones(votes.shape[:2], bool)
    for rescaled in (True, False):
        found = spatial_blackout.fused(values, kept, fusion, rescaled)
        np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("rescaled", [True, False])
def test_fewer_patches_are_fused_as_a_loop_would(rescaled: bool) -> None:
    votes, kept = RNG.normal(size=(6, 5, N_CLASSES)), RNG.random((6, 5)) < 0.5
    kept[:, 0] = True
    found = spatial_blackout.fused(votes, kept, "mean_logit", rescaled)
    for image in range(6):
        logits = np.zeros(N_CLASSES)
        for patch in range(5):
            if kept[image, patch]:
                logits += votes[image, patch]
        logits /= kept[image].sum() if rescaled else 5
        np.testing.assert_allclose(found[image], softmax(logits))


def test_patches_go_in_the_order_that_the_policy_names() -> None:
    subject = make_subject()
    assert subject.votes is not None and subject.centers is not None
    confidence = softmax(subject.votes).max(axis=2)
    experiment = spatial_blackout.Experiment(fractions=[0.0, 0.5, 0.9999], n_draws=3)
    found = {(p, share): kept for p, share, kept in experiment.masks(subject, confidence)}
    half = {policy: kept for (policy, share), kept in found.items() if share == 0.5}
    n_patches = PATCHES**2
    assert all((kept.sum(axis=2) == n_patches // 2).all() for kept in half.values())
    for image in range(N_IMAGES):
        gone = ~half["most_confident_first"][0, image]
        assert confidence[image, gone].min() >= confidence[image, ~gone].max()
        gone = ~half["least_confident_first"][0, image]
        assert confidence[image, gone].max() <= confidence[image, ~gone].min()
    distance = np.hypot(*subject.centers.T)
    for kept in half["center_first"].reshape(-1, n_patches):
        assert distance[~kept].max() <= distance[kept].min() + 1e-9
    assert (half["border_first"].sum(axis=2) == n_patches // 2).all()
    assert (found["random", 0.9999].sum(axis=2) == 1).all()  # one always stays
    assert not (found["random", 0.9999] & ~half["random"]).any()  # what is gone stays gone
    boards = half["checkerboard"][:, 0].reshape(2, PATCHES, PATCHES)
    assert boards[0, 0, 0] and not boards[0, 0, 1] and (boards[0] == ~boards[1]).all()


def test_without_rescaling_the_order_stays_and_the_log_loss_does_not() -> None:
    frame = run(spatial_blackout.Experiment(fractions=[0.75], n_draws=5), make_subject())
    rows = frame[(frame["fusion"] == "mean_logit") & (frame["policy"] == "random")]
    value = rows.set_index(["measure", "rescaled"])["value"]
    assert value["accuracy", True] == pytest.approx(value["accuracy", False])
    assert value["log_loss", True] != pytest.approx(value["log_loss", False], abs=0.01)
    assert (rows["n_draws"] == 5).all() and (rows["draw_low"] <= rows["draw_high"]).all()


# ------------------------------------------------------------------------------ channels


def test_channels_are_taken_from_the_weights_as_the_published_program_did() -> None:
    channels = make_subject().channels
    assert channels is not None
    kept = np.array([True, False, True, True, False, False])
    for rescaled in (True, False):
        found = channel_blackout.without(channels, kept, rescaled=rescaled)
        weights = channels.weights * kept[:, None] / (0.5 if rescaled else 1)
        np.testing.assert_allclose(found, softmax(channels.features @ weights + channels.bias))


def test_all_channels_give_the_decision_by_the_mean_of_logits() -> None:
    subject = make_subject()
    assert subject.channels is not None and subject.votes is not None
    found = channel_blackout.without(subject.channels, np.ones(6, bool), rescaled=False)
    np.testing.assert_allclose(found, decided(subject.votes, "mean_logit"))


@pytest.mark.parametrize("name", ["logistic", "linear_svm", "own_head"])
@pytest.mark.parametrize("n_classes", [3, 4])
def test_a_linear_classifier_tells_what_its_scores_are_made_of(name: str, n_classes: int) -> None:
    rows = RNG.normal(size=(90, 5)).astype(np.float32)
    labels = np.arange(90) % 3
    classifier = plugins.build("classifiers", name, {}, seed=0, threads=1)
    if name == "own_head":
        classifier.adopt(RNG.normal(size=(n_classes, 5)), RNG.normal(size=n_classes))
    else:
        rows[np.arange(90), labels] += 1
        classifier.fit(rows.copy(), labels, rows[:30].copy(), labels[:30], n_classes)
    features, weights, bias = classifier.linear(rows)
    found, expected = features @ weights + bias, classifier.logits(rows)
    # a class without train patches may be put below the others in another way
    np.testing.assert_allclose(found[:, :3], expected[:, :3], atol=1e-4)
    assert name == "own_head" or n_classes == 3 or (found[:, 3] < found[:, :3].min(axis=1)).all()


# ------------------------------------------------------------------------------ tiles


def test_one_tile_is_the_image_itself() -> None:
    images = make_images()
    moves = shuffle.Moves.drawn(N_IMAGES, 1, False, np.random.default_rng(0))
    np.testing.assert_array_equal(moves.applied(images, np.arange(N_IMAGES)), images)


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("turned", [False, True])
def test_tiles_move_as_a_loop_would_move_them(k: int, turned: bool) -> None:
    images, places = make_images()[:4, :, :-1], np.array([2, 0, 3, 1])
    moves = shuffle.Moves.drawn(4, k, turned, np.random.default_rng(k))
    found = moves.applied(images, places)
    side = (IMAGE_PX - 1) // k
    top, left = (IMAGE_PX - k * side) // 2, (IMAGE_PX - 1 - k * side) // 2
    expected = images.copy()
    for image, place in enumerate(places):
        for to in range(k * k):
            source = moves.source[place, to]
            y, x = top + source // k * side, left + source % k * side
            tile = np.rot90(images[image, y : y + side, x : x + side], moves.turns[place, to])
            y, x = top + to // k * side, left + to % k * side
            expected[image, y : y + side, x : x + side] = tile
    np.testing.assert_array_equal(found, expected)
    for before, after in zip(images, found, strict=True):
        assert sorted(before.reshape(-1, 3).tolist()) == sorted(after.reshape(-1, 3).tolist())


def test_patches_that_are_the_tiles_do_not_care_where_they_stand() -> None:
    frame = run(shuffle.Experiment(tiles_per_side=[1, 2, PATCHES], n_draws=2), make_subject())
    plain = frame[frame["policy"] == "shuffled"]
    assert plain["difference"].abs().max() < 1e-9


def test_turning_matters_where_a_corner_of_the_patch_does_but_not_to_its_mean() -> None:
    experiment = shuffle.Experiment(tiles_per_side=[PATCHES], n_draws=2)
    changes = {
        corner: run(experiment, make_subject(corner=corner))
        .query("policy == 'shuffled_and_turned'")["difference"]
        .abs()
        .max()
        for corner in (0.0, 1.0)
    }
    assert changes[0.0] < 1e-9 < changes[1.0]


def test_who_looks_at_the_arrangement_falls() -> None:
    images = np.zeros((N_IMAGES, IMAGE_PX, IMAGE_PX, 3), np.uint8)
    for image, label in enumerate(LABELS):
        images[image, label * 8 : label * 8 + 8] = 200  # the class is where the bright bar is

    def ask(pixels: np.ndarray) -> np.ndarray:
        bars = pixels.reshape(len(pixels), N_CLASSES, 8, IMAGE_PX, 3).mean(axis=(2, 3, 4))
        return bars[:, None] / 20

    subject = Subject(
        labels=LABELS, group_of=np.arange(N_IMAGES), fusions=("none",), images=images, ask=ask
    )
    frame = run(shuffle.Experiment(tiles_per_side=[1, 3], n_draws=3), subject)
    auc = frame[(frame["measure"] == "auc_macro") & (frame["policy"] == "shuffled")]
    auc = auc.set_index("amount")
    assert auc["value"][1.0] == 1 and auc["value"][3.0] < 0.7
    assert auc["difference_high"][3.0] < 0 and auc["p"][3.0] < 0.01


def test_more_tiles_than_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="the images are 6 px"):
        shuffle.Experiment().check_image(6)


# ------------------------------------------------------------------------------ parts


def parts_of(ask: Any, labels: np.ndarray = LABELS) -> pd.Series:
    each = np.arange(len(labels))
    subject = Subject(
        labels=labels, group_of=each, fusions=("none",), images=make_images(), ask=ask
    )
    frame = run(interaction.Experiment(sides_px=[4, 8]), subject)
    return frame.set_index(["measure", "policy", "amount"])["value"]


def test_what_is_a_sum_over_pixels_has_parts_that_act_on_their_own() -> None:
    weights = RNG.normal(size=(IMAGE_PX * IMAGE_PX * 3, N_CLASSES))
    found = parts_of(lambda pixels: (pixels.reshape(len(pixels), -1) @ weights)[:, None])
    np.testing.assert_allclose(found["pearson_r"], 1, atol=1e-9)
    np.testing.assert_allclose(found["joint_drop"], found["sum_of_drops"])


def test_what_needs_both_halves_at_once_has_parts_that_do_not() -> None:
    def ask(pixels: np.ndarray) -> np.ndarray:
        spread = pixels.reshape(len(pixels), 2, -1).astype(float).std(axis=2)
        both = (spread - 55).prod(axis=1) ** 3
        return np.stack([both, 0 * both, 0 * both], axis=1)[:, None]

    assert (parts_of(ask)["pearson_r"].xs(8.0, level="amount") < 0.9).all()


def test_parts_stay_where_they_are_and_never_touch() -> None:
    covered = np.zeros((IMAGE_PX, IMAGE_PX), int)
    for rows, cols in interaction.boxes(IMAGE_PX, IMAGE_PX, 7, 3):
        covered[rows, cols] += 1
    assert covered.max() == 1 and covered.sum() == 9 * 49
    lines = covered.any(axis=0).astype(int)
    assert (np.diff(lines, prepend=0) == 1).sum() == 3  # three apart, with room between
    with pytest.raises(ValueError, match="would touch; use smaller or fewer parts"):
        interaction.Experiment(sides_px=[8], parts_per_side=3).check_image(IMAGE_PX)


def test_correlation_is_that_of_numpy_and_undefined_where_nothing_varies() -> None:
    x, y = RNG.normal(size=(2, 30)) + 5
    weights = RNG.integers(0, 3, (4, 30))
    found = interaction.pearson(x, y, weights)
    for row, counts in enumerate(weights):
        pair = np.repeat(x, counts), np.repeat(y, counts)
        assert found[row] == pytest.approx(np.corrcoef(*pair)[0, 1])
    assert np.isnan(interaction.pearson(np.ones(30), y, weights)).all()


# ------------------------------------------------------------------------------ asking


def test_asking_a_patch_method_is_cutting_encoding_and_classifying() -> None:
    images = make_images()[:3]
    found = patch_method(Encoder(), Classifier(), STARTS, STARTS, SIDE_PX)(images)
    for image in range(3):
        for patch in range(PATCHES**2):
            y, x = STARTS[patch // PATCHES], STARTS[patch % PATCHES]
            pixels = images[image, y : y + SIDE_PX, x : x + SIDE_PX]
            expected = Classifier().logits(Encoder().encode(pixels[None]))[0]
            np.testing.assert_allclose(found[image, patch], expected)


@pytest.mark.parametrize("kind", ["bagnet9", "resnet18"])
def test_the_channels_of_a_cnn_give_its_logits(kind: str) -> None:
    from patchbench.networks.last_layer import channels_of
    from patchbench.networks.pixels import Scale
    from patchbench.networks.whole_image import open_cnn

    small = {"width": 2, "layers": [1, 1, 1, 1]} if kind == "bagnet9" else {}
    cnn = open_cnn(kind, small, seed=0, device="cpu", threads=1)
    images, rows = make_images(), np.array([3, 1, 2])
    cnn._scale, cnn._network = Scale.of(images, rows), cnn._build(N_CLASSES).eval()
    channels: Channels = channels_of(cnn, images, rows)
    logits = whole_image_cnn(cnn)(images[rows])
    assert logits.shape == (3, 1, N_CLASSES)
    found = channels.features @ channels.weights + channels.bias
    np.testing.assert_allclose(found, logits[:, 0], rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------------------ errors


def test_kappa_is_that_of_scikit_learn_in_every_draw() -> None:
    right, other = RNG.random((2, 40)) < 0.7
    weights = draw_weights(40, 0, 20)
    found = kappa(right, other, weights)
    for row, counts in enumerate(weights.astype(int)):
        pair = np.repeat(right, counts), np.repeat(other, counts)
        assert found[row] == pytest.approx(cohen_kappa_score(*pair))


def test_kappa_is_not_defined_where_both_are_always_right() -> None:
    assert np.isnan(kappa(np.ones(5, bool), np.ones(5, bool), np.ones((1, 5)))).all()
    assert kappa(np.ones(5, bool), np.eye(5, dtype=bool)[0], np.ones((1, 5)))[0] == 0
