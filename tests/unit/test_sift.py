"""SIFT sees the patch alone, and each descriptor for itself."""

import cv2
import numpy as np
import pytest

from patchbench.encoders.sift import Encoder


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    rng = np.random.default_rng(0)
    return cv2.GaussianBlur(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8), (0, 0), 1.5)


@pytest.mark.parametrize("step_px", [None, 8])
def test_nothing_outside_the_patch_leaks_in(image, step_px):
    encoder = Encoder(patch_size_px=32, step_px=step_px)
    elsewhere = 255 - image
    elsewhere[20:52, 30:62] = image[20:52, 30:62]
    views = [each[None, 20:52, 30:62] for each in (image, elsewhere)]
    np.testing.assert_array_equal(encoder.encode(views[0]), encoder.encode(views[1]))


def test_a_descriptor_is_the_same_alone_and_in_a_list(image):
    encoder = Encoder(patch_size_px=32, step_px=4)
    grey = cv2.cvtColor(np.ascontiguousarray(image[:32, :32]), cv2.COLOR_RGB2GRAY)
    sift, keypoints = cv2.SIFT.create(), encoder._keypoints()
    _, together = sift.compute(grey, keypoints)
    for keypoint, descriptor in zip(keypoints, together, strict=True):
        np.testing.assert_array_equal(sift.compute(grey, [keypoint])[1][0], descriptor)


def test_dense_descriptors_lie_inside_the_patch_and_around_its_centre():
    encoder = Encoder(patch_size_px=32, step_px=5, support_px=16)
    centers = encoder.centers_px
    assert len(centers) == 4
    assert centers.min() + 0.5 >= 8
    assert centers.max() + 0.5 <= 24
    np.testing.assert_allclose(np.diff(centers), 5)
    np.testing.assert_allclose(centers.mean(), 15.5)


def test_grid_keeps_descriptors_apart_and_mean_averages_them(image):
    patches = np.stack([image[:32, :32], image[40:72, 40:72]])
    grid = Encoder(patch_size_px=32, step_px=8, aggregate="grid")
    mean = Encoder(patch_size_px=32, step_px=8, aggregate="mean")
    assert (grid.dim, mean.dim) == (9 * 128, 128)
    apart = grid.encode(patches).reshape(2, 9, 128)
    np.testing.assert_allclose(mean.encode(patches), apart.mean(axis=1), atol=1e-6)


def test_root_sift_has_unit_length_and_is_the_root_of_sift(image):
    patches = image[None, :32, :32]
    plain = Encoder(patch_size_px=32, root=False).encode(patches)
    rooted = Encoder(patch_size_px=32).encode(patches)
    np.testing.assert_allclose(np.linalg.norm(rooted, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(rooted, np.sqrt(plain / plain.sum()), atol=1e-6)


def test_descriptor_covers_the_patch(image):
    patch = image[None, :32, :32].copy()
    encoder = Encoder(patch_size_px=32)
    before = encoder.encode(patch)
    for y, x in ((3, 3), (3, 28), (28, 3), (28, 28)):
        changed = patch.copy()
        changed[0, y - 2 : y + 3, x - 2 : x + 3] = 255 - changed[0, y - 2 : y + 3, x - 2 : x + 3]
        assert np.abs(encoder.encode(changed) - before).max() > 1e-3


def test_a_flat_patch_has_a_finite_embedding():
    flat = np.full((1, 24, 24, 3), 77, np.uint8)
    for root in (True, False):
        np.testing.assert_array_equal(Encoder(patch_size_px=24, root=root).encode(flat), 0)


def test_a_patch_too_small_for_sift_is_refused():
    with pytest.raises(ValueError, match="patch_size_px is 7; SIFT needs at least 8"):
        Encoder(patch_size_px=7)
