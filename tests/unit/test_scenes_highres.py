"""Large scenes are the same however they are read, and only full size tells their class."""

from functools import cache

import cv2
import numpy as np
import pytest

from patchbench.datasets._scene_field import BLOCK_PX
from patchbench.datasets.scenes_highres import LEAST_PX, Dataset

SIDE_PX = LEAST_PX + 77  # a last strip is no whole block
SCENES = Dataset(image_size_px=SIDE_PX, n_images=4, n_telling=2)
SHRUNK_PX = 224
N_ORACLE = 60


def test_windows_are_parts_of_the_whole_and_blocks_are_forgotten(monkeypatch):
    from patchbench.datasets import _scene_field

    corner = SIDE_PX - 333, SIDE_PX - 600, 333, 600
    with SCENES.windows(1) as image:
        assert (image.height_px, image.width_px, image.n_channels) == (SIDE_PX, SIDE_PX, 3)
        whole, mask = image.read(*corner), image.mask(*corner)
    monkeypatch.setattr(_scene_field, "_CACHED_BLOCKS", 1)
    with SCENES.windows(1) as image:
        for window in [(0, 0, 40, 600), (90, 199, 201, 77), (251, 0, 82, 600), (332, 599, 1, 1)]:
            y, x, height, width = window
            part = np.s_[y : y + height, x : x + width]
            there = corner[0] + y, corner[1] + x, height, width
            np.testing.assert_array_equal(image.read(*there), whole[part])
            np.testing.assert_array_equal(image.mask(*there), mask[part])


def test_the_mask_is_on_as_many_bodies_as_tell_and_inside_their_blocks():
    mask = SCENES.windows(1).mask(0, 0, SIDE_PX, SIDE_PX)
    n_labels, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    assert n_labels - 1 == SCENES.n_telling
    assert (stats[1:, cv2.CC_STAT_AREA] > 500).all()
    assert not mask[::BLOCK_PX].any() and not mask[:, ::BLOCK_PX].any() and not mask[2048:].any()


def test_a_window_of_a_huge_scene_needs_its_blocks_alone():
    huge = Dataset(image_size_px=16_384, n_images=2)
    with huge.windows(0) as image:
        assert image.read(16_000, 9_000, 100, 90).std() > 1
        assert len(image._drawn) == 1


def test_records_are_the_windows_and_repeat_themselves():
    records = SCENES.records(None)
    pixels, mask = records[0].read()
    assert pixels.shape == (SIDE_PX, SIDE_PX, 3) and mask.any() and not mask.all()
    with SCENES.windows(0) as again:
        np.testing.assert_array_equal(pixels[:, :9], again.read(0, 0, SIDE_PX, 9))
    assert [r.class_name for r in records] == ["dots", "dots", "stripes", "stripes"]
    other = Dataset(image_size_px=SIDE_PX, n_images=4, n_telling=2, seed=1)
    assert (other.windows(0).read(0, 0, 50, 50) != pixels[:50, :50]).any()


@cache
def seen_by_an_oracle() -> dict[int, np.ndarray]:
    """What whoever knows the telling bodies sees of them, by the side that a block shrinks to."""
    scenes = Dataset(image_size_px=LEAST_PX, n_images=N_ORACLE)
    # in full, as a scene of 2,048 px shrunk to 224 px, and as one of 1,024 px would be
    sides_px = BLOCK_PX, BLOCK_PX * SHRUNK_PX // LEAST_PX, BLOCK_PX * SHRUNK_PX // 1024
    seen = {side_px: [] for side_px in sides_px}
    for i in range(N_ORACLE):
        with scenes.windows(i) as image:
            bodies = [grey_and_middle(image, *place) for place in sorted(image._telling)]
        for side_px in sides_px:
            found = [described(*body, side_px) for body in bodies]
            seen[side_px].append(np.mean(found, axis=0))
    return {side_px: np.array(found) for side_px, found in seen.items()}


def grey_and_middle(image, row, col):
    """A block in grey, and where in it, as shares of its side, its telling body is."""
    window = row * BLOCK_PX, col * BLOCK_PX, BLOCK_PX, BLOCK_PX
    grey = cv2.cvtColor(image.read(*window), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return grey, np.argwhere(image.mask(*window)).mean(axis=0) / BLOCK_PX


def described(grey, middle, side_px):
    """Spectrum and moments of the body of a block that is shrunk."""
    shrunk = cv2.resize(grey, (side_px, side_px), interpolation=cv2.INTER_AREA)
    half = max(3, round(12 * side_px / BLOCK_PX))
    y, x = ((middle * side_px).round().astype(int) - half).clip(0, side_px - 2 * half)
    body = shrunk[y : y + 2 * half, x : x + 2 * half]
    body = (body - body.mean()) / body.std()
    steps = [np.abs(np.diff(body, axis=axis)).mean() for axis in (0, 1)]
    spectrum = np.log1p(np.abs(np.fft.rfft2(body))).ravel()
    return np.concatenate([spectrum, [(body**3).mean(), (body**4).mean()], steps])


@pytest.mark.parametrize(
    ("side_px", "least", "most"), [(256, 0.95, 1.0), (28, 0.0, 0.7), (56, 0.85, 1.0)]
)
def test_shrinking_from_2048_px_loses_the_class_even_for_who_knows_where_it_is(
    side_px, least, most
):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features, labels = seen_by_an_oracle()[side_px], np.arange(N_ORACLE) % 2
    train, test = np.s_[: N_ORACLE // 2], np.s_[N_ORACLE // 2 :]
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    oracle.fit(features[train], labels[train])
    auc = roc_auc_score(labels[test], oracle.decision_function(features[test]))
    assert least <= auc <= most


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"image_size_px": 2047}, "image_size_px is 2047; these scenes are drawn from 2,048 px up"),
        ({"n_telling": 65}, "n_telling is 65; an image of 2048 px holds 1 to 64 bodies"),
        ({"n_classes": 7}, "n_classes is 7; choose 2 to 6"),
        ({"n_images": 1}, "n_images is 1; it takes at least one for each of 2 classes"),
    ],
)
def test_what_cannot_be_drawn_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        Dataset(**({"image_size_px": 2048, "n_telling": 2} | settings))
