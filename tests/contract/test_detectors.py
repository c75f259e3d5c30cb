"""Promises of every noisy-patch detector, found by file name."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from patchbench import noise, plugins
from patchbench.auc import weighted_auc
from patchbench.bags import softmax
from patchbench.io import provenance, write_array
from patchbench.splits import assign_folds

NAMES = plugins.available("detectors")
BLIND = [n for n in NAMES if not plugins.load("detectors", n).Detector.uses_labels]
N_IMAGES, GRID, SIDE, N_CLASSES = 24, 4, 16, 3
PER_IMAGE = GRID * GRID
ORIGIN = provenance("test", "", {})


def make_view(folder: Path, seed: int = 0) -> noise.PatchView:
    """Images of noise with a bright bump in the middle; everything that a detector may ask for."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (N_IMAGES, GRID * SIDE, GRID * SIDE, 3)).astype(np.uint8)
    images[:, SIDE:-SIDE, SIDE:-SIDE] *= 4
    rows, cols = (part.ravel() for part in np.mgrid[:GRID, :GRID])
    n = N_IMAGES * PER_IMAGE
    index = pd.DataFrame(
        {
            "y_px": np.tile(rows * SIDE, N_IMAGES),
            "x_px": np.tile(cols * SIDE, N_IMAGES),
            "height_px": SIDE,
            "width_px": SIDE,
            "shard": 0,
            "offset": np.arange(n),
        }
    )
    image_of = np.repeat(np.arange(N_IMAGES), PER_IMAGE)
    pixels = np.stack(
        [
            images[i, y : y + SIDE, x : x + SIDE]
            for i, y, x in zip(image_of, index["y_px"], index["x_px"], strict=True)
        ]
    )
    embeddings = rng.normal(size=(n, 8)).astype(np.float32)
    folder.mkdir(exist_ok=True)
    write_array(folder / "pixels.npy", pixels, ORIGIN)
    write_array(folder / "embeddings.npy", embeddings, ORIGIN)
    labels = rng.permutation(np.arange(N_IMAGES) % N_CLASSES)
    folds = assign_folds(labels, [str(i) for i in range(N_IMAGES)], 2, 0)
    inner = np.isin(rows, (1, 2)) & np.isin(cols, (1, 2))
    centers = np.stack([(rows + 0.5) * 2 / GRID - 1, (cols + 0.5) * 2 / GRID - 1], axis=1)
    return noise.PatchView(
        image_of=image_of,
        centers=np.tile(centers, (N_IMAGES, 1)),
        index=index,
        n_classes=N_CLASSES,
        image=lambda i: images[i],
        pixels=[folder / "pixels.npy"],
        embeddings=[folder / "embeddings.npy"],
        labels=labels[image_of],
        folds=folds[image_of],
        probabilities=softmax(rng.normal(size=(n, N_CLASSES))).astype(np.float32),
        saliency=rng.random(n) + np.tile(inner, N_IMAGES),
        foreground=np.tile(inner, N_IMAGES).astype(float),
    )


def fitted(name: str, view: noise.PatchView, seed: int = 0) -> Any:
    detector = plugins.build("detectors", name, {}, seed=seed, threads=1)
    detector.fit(view)
    return detector


@pytest.mark.parametrize("name", NAMES)
def test_every_patch_gets_a_finite_score_and_the_same_one_again(name: str, tmp_path: Path) -> None:
    view = make_view(tmp_path)
    scores = fitted(name, view).score(view)
    assert scores.shape == (len(view),) and np.isfinite(scores).all()
    assert np.array_equal(scores, fitted(name, view).score(view))


@pytest.mark.parametrize("name", NAMES)
def test_a_detector_says_what_it_is(name: str) -> None:
    cls = plugins.load("detectors", name).Detector
    known = ("nothing", "place", "pixels", "images", "saliency", "probabilities", "embeddings")
    assert cls.uses in (*known, "masks")
    assert cls.summary and cls.source and isinstance(cls.control, bool)
    assert {"seed", "threads"} <= {f.name for f in fields(cls)}


@pytest.mark.parametrize("name", NAMES)
def test_without_labels_test_patches_are_scored_unless_it_says_so(
    name: str, tmp_path: Path
) -> None:
    view = make_view(tmp_path)
    detector, blind = fitted(name, view), replace(view, labels=None, folds=None)
    if detector.uses_labels:
        with pytest.raises(ValueError, match="labels"):
            detector.score(blind)
    else:
        assert np.isfinite(detector.score(blind)).all()


@pytest.mark.parametrize("name", [n for n in BLIND if n != "random"])
def test_the_score_of_a_test_patch_depends_on_its_image_only(name: str, tmp_path: Path) -> None:
    view = make_view(tmp_path)
    detector = fitted(name, view)
    half = view.image_of < N_IMAGES // 2
    part = {
        f.name: value[half]
        for f in fields(view)
        if isinstance(value := getattr(view, f.name), np.ndarray)
    }
    alone = detector.score(replace(view, index=view.index[half], **part))
    np.testing.assert_allclose(alone, detector.score(view)[half], rtol=1e-6)


@pytest.mark.parametrize(
    "name", ["low_variance", "center_prior", "spectral_residual", "gradcam", "oracle_mask"]
)
def test_a_plain_rim_around_a_busy_middle_is_found(name: str, tmp_path: Path) -> None:
    view = make_view(tmp_path)
    assert view.foreground is not None
    scores = fitted(name, view).score(view)
    background = view.foreground == 0
    assert weighted_auc(background, scores, np.ones((1, len(view))))[0] > 0.8


def with_planted_labels(folder: Path) -> tuple[noise.PatchView, np.ndarray]:
    """Half the patches of each image carry a mark of their image that recurs nowhere else.

    Whoever has seen the label of the image can tell these patches by how well they are known;
    nothing else tells them.
    """
    view = make_view(folder, seed=1)
    rng = np.random.default_rng(2)
    dim, marked = 256, np.zeros(len(view), dtype=bool)
    embeddings = rng.normal(size=(len(view), dim)).astype(np.float32)
    for image in range(N_IMAGES):
        own = rng.permutation(np.flatnonzero(view.image_of == image))[: PER_IMAGE // 2]
        mark = rng.normal(size=dim) * np.sqrt(2)
        embeddings[own] = (mark + rng.normal(size=(len(own), dim)) * 0.05) / np.sqrt(2)
        marked[own] = True
    write_array(folder / "embeddings.npy", embeddings, ORIGIN)
    return view, marked


def probabilities(view: noise.PatchView, *, out_of_fold: bool) -> np.ndarray:
    """What a patch classifier says of train patches, fitted as stage ``detect`` fits it, or not."""
    classifier = plugins.build("classifiers", "logistic", {"strengths": [1.0]}, seed=0, threads=1)
    rows = next(part for _, part in view.embedding_chunks())
    labels, folds = view.labels, view.folds
    assert labels is not None and folds is not None
    classifier.fit(rows.copy(), labels, rows[:0].copy(), labels[:0], N_CLASSES)
    if not out_of_fold:
        return softmax(classifier.logits(rows)).astype(np.float32)
    found = np.empty((len(view), N_CLASSES), np.float32)
    for fold in np.unique(folds):
        other = classifier.refitted(rows[folds != fold], labels[folds != fold])
        found[folds == fold] = softmax(other.logits(rows[folds == fold]))
    return found


@pytest.mark.parametrize("name", BLIND)
def test_the_label_of_an_image_does_not_reach_the_scores_of_its_patches(
    name: str, tmp_path: Path
) -> None:
    """Not even through what was learned: that comes from other folds."""
    view, _ = with_planted_labels(tmp_path)
    assert view.labels is not None and view.folds is not None
    before = replace(view, probabilities=probabilities(view, out_of_fold=True))
    first = view.folds == 0
    relabelled = replace(view, labels=np.where(first, (view.labels + 1) % N_CLASSES, view.labels))
    after = replace(relabelled, probabilities=probabilities(relabelled, out_of_fold=True))
    scores = [fitted(name, seen).score(seen) for seen in (before, after)]
    np.testing.assert_array_equal(scores[0][first], scores[1][first])


# background_clusters knows without any label which marks recur in other images
@pytest.mark.parametrize("name", [n for n in NAMES if n != "background_clusters"])
def test_no_detector_finds_what_only_a_leak_of_labels_could_tell(name: str, tmp_path: Path) -> None:
    view, marked = with_planted_labels(tmp_path)
    rng = np.random.default_rng(5)
    view = replace(
        view,
        probabilities=probabilities(view, out_of_fold=True),
        saliency=rng.random(len(view)),
    )
    scores = fitted(name, view).score(view)
    found = weighted_auc(~marked, scores, np.ones((1, len(view))))[0]
    # 384 patches, half of them marked: the standard error of an AUC by chance is 0.03
    assert abs(found - 0.5) < 0.1


@pytest.mark.parametrize("name", ["small_loss", "confident_learning", "background_clusters"])
def test_that_test_would_see_a_leak(name: str, tmp_path: Path) -> None:
    view, marked = with_planted_labels(tmp_path)
    leaking = probabilities(view, out_of_fold=False)
    view = replace(view, probabilities=leaking, folds=None)
    scores = fitted(name, view).score(view)
    assert abs(weighted_auc(~marked, scores, np.ones((1, len(view))))[0] - 0.5) > 0.15
