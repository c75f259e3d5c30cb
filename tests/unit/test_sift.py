"""SIFT sees the patch alone, and each descriptor for itself."""

from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from patchbench.encoders._sift_descriptors import _opponent, centers_px, keypoints
from patchbench.encoders.sift import Encoder
from patchbench.patchset import TrainingData


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    rng = np.random.default_rng(0)
    return cv2.GaussianBlur(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8), (0, 0), 1.5)


@pytest.fixture(scope="module")
def patches(image) -> np.ndarray:
    corners = [(y, x) for y in range(0, 65, 16) for x in range(0, 65, 16)]
    return np.stack([image[y : y + 32, x : x + 32] for y, x in corners])


def data_of(patches: np.ndarray, n_train: int) -> TrainingData:
    nothing = np.zeros(0, np.int64)
    return TrainingData(
        images=patches,
        train_rows=nothing,
        val_rows=nothing,
        train_labels=None,
        val_labels=None,
        n_classes=0,
        pixels=[patches],
        train_patches=pd.DataFrame({"shard": 0, "offset": np.arange(n_train)}),
    )


def fitted(patches: np.ndarray, n_train: int = 25, **settings: Any) -> Encoder:
    settings = {"step_px": 8, "n_words": 4} | settings
    encoder = Encoder(patch_size_px=patches.shape[1], **settings)
    encoder.fit(data_of(patches, n_train))
    return encoder


@pytest.mark.parametrize("color", ["grey", "opponent"])
@pytest.mark.parametrize("step_px", [None, 8])
def test_nothing_outside_the_patch_leaks_in(image, step_px, color):
    encoder = Encoder(patch_size_px=32, step_px=step_px, color=color)
    elsewhere = 255 - image
    elsewhere[20:52, 30:62] = image[20:52, 30:62]
    views = [each[None, 20:52, 30:62] for each in (image, elsewhere)]
    np.testing.assert_array_equal(encoder.encode(views[0]), encoder.encode(views[1]))


def test_a_descriptor_is_the_same_alone_and_in_a_list(image):
    grey = cv2.cvtColor(np.ascontiguousarray(image[:32, :32]), cv2.COLOR_RGB2GRAY)
    sift, places = cv2.SIFT.create(), keypoints(32, 4, [8, 16, 24])
    _, together = sift.compute(grey, places)
    assert len(together) == len(places) == 49 + 25 + 9
    for place, descriptor in zip(places, together, strict=True):
        np.testing.assert_array_equal(sift.compute(grey, [place])[1][0], descriptor)


def test_the_octave_is_the_first_for_every_support():
    assert {place.octave for place in keypoints(64, 8, [8, 16, 32, 64])} == {0}


def test_dense_descriptors_lie_inside_the_patch_and_around_its_centre():
    centers = centers_px(32, 5, 16)
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


def test_several_supports_lie_side_by_side(image):
    patches = image[None, :32, :32]
    dense: dict[str, Any] = {"patch_size_px": 32, "step_px": 8, "aggregate": "grid"}
    both = Encoder(support_px=[16, 24], **dense).encode(patches)
    parts = [Encoder(support_px=support, **dense).encode(patches) for support in (16, 24)]
    np.testing.assert_array_equal(both, np.concatenate(parts, axis=1))


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


def test_opponent_parts_are_the_sift_of_each_channel(image):
    patch = image[:32, :32]
    red, green, blue = (patch[..., c].astype(float) for c in range(3))
    planes = [(red + green + blue) / 3, (red - green + 255) / 2, (red + green - 2 * blue + 510) / 4]
    encoder = Encoder(patch_size_px=32, color="opponent")
    assert encoder.dim == 384
    parts = encoder.encode(patch[None]).reshape(3, 128)
    for part, plane in zip(parts, planes, strict=True):
        as_grey = np.repeat(plane.round().astype(np.uint8)[..., None], 3, axis=2)
        alone = Encoder(patch_size_px=32).encode(as_grey[None])[0]
        # channels are rounded to whole numbers, the loop above another way
        assert part @ alone > 0.99


@pytest.mark.parametrize("root", [True, False])
def test_a_grey_image_has_nothing_in_the_colour_parts(image, root):
    grey = np.repeat(image[None, :32, :32, :1], 3, axis=3)
    encoder = Encoder(patch_size_px=32, step_px=8, aggregate="grid", color="opponent", root=root)
    parts = encoder.encode(grey).reshape(9, 3, 128)
    assert (np.linalg.norm(parts[:, 0], axis=1) > 0.5).all()
    np.testing.assert_array_equal(parts[:, 1:], 0)


def test_opponent_channels_fill_the_range_and_never_wrap():
    corners = np.array([(r, g, b) for r in (0, 255) for g in (0, 255) for b in (0, 255)], np.uint8)
    planes = _opponent(corners[None, None])[0, :, 0].astype(float)
    red, green, blue = corners.T.astype(float)
    expected = [
        (red + green + blue) / 3,
        (red - green + 255) / 2,
        (red + green - 2 * blue + 510) / 4,
    ]
    np.testing.assert_allclose(planes, expected, atol=0.75)
    np.testing.assert_array_equal(planes.min(axis=1), 0)
    np.testing.assert_array_equal(planes.max(axis=1), 255)


@pytest.mark.parametrize("aggregate", ["bovw", "vlad", "fisher"])
def test_code_books_see_train_patches_and_no_others(patches, aggregate):
    before = fitted(patches, n_train=20, aggregate=aggregate, pca_dim=8)
    changed = patches.copy()
    changed[20:] = 255 - changed[20:, ::-1]
    after = fitted(changed, n_train=20, aggregate=aggregate, pca_dim=8)
    for name, array in before.state().items():
        np.testing.assert_array_equal(after.state()[name], array)


def test_code_books_are_fitted_on_about_as_many_descriptors_as_asked(patches, monkeypatch):
    asked = []
    sample = TrainingData.sample_patches

    def noted(data: TrainingData, n_patches: int, seed: int) -> np.ndarray:
        asked.append(n_patches)
        return sample(data, n_patches, seed)

    monkeypatch.setattr(TrainingData, "sample_patches", noted)
    fitted(patches, aggregate="vlad", n_fit_descriptors=100)
    assert asked == [12]  # nine descriptors each


@pytest.mark.parametrize(
    ("aggregate", "dim"), [("mean", 8), ("grid", 72), ("bovw", 4), ("vlad", 32), ("fisher", 64)]
)
def test_components_are_taken_before_the_join(patches, aggregate, dim):
    encoder = fitted(patches, aggregate=aggregate, pca_dim=8, color="opponent")
    embeddings = encoder.encode(patches)
    assert embeddings.shape == (25, encoder.dim) == (25, dim)
    assert len(np.unique(embeddings, axis=0)) > 15


@pytest.mark.parametrize("aggregate", ["mean", "grid", "bovw", "vlad", "fisher"])
def test_embeddings_do_not_depend_on_the_chunk(patches, aggregate, monkeypatch):
    encoder = fitted(patches, aggregate=aggregate, pca_dim=8)
    together = encoder.encode(patches)
    monkeypatch.setattr("patchbench.encoders.sift._CHUNK_PATCHES", 3)
    np.testing.assert_array_equal(encoder.encode(patches), together)


def test_a_flat_patch_has_a_finite_embedding():
    flat = np.full((1, 24, 24, 3), 77, np.uint8)
    for root in (True, False):
        np.testing.assert_array_equal(Encoder(patch_size_px=24, root=root).encode(flat), 0)


@pytest.mark.parametrize("aggregate", ["bovw", "vlad", "fisher"])
@pytest.mark.parametrize("all_flat", [True, False])
def test_flat_patches_join_to_finite_embeddings(patches, aggregate, all_flat):
    some = patches.copy()
    some[0 if all_flat else 20 :] = 77
    encoder = fitted(some, aggregate=aggregate, color="opponent", pca_dim=8)
    assert np.isfinite(encoder.encode(some)).all()


def test_a_patch_too_small_for_sift_is_refused():
    with pytest.raises(ValueError, match="patch_size_px is 7; SIFT needs at least 8"):
        Encoder(patch_size_px=7)
