"""Large scenes are the same however they are read, and only full size tells their class."""

import numpy as np
import pytest

from patchbench.datasets.scenes_highres import Dataset

SCENES = Dataset(image_size_px=600, n_images=4, n_telling=2)


def test_windows_are_parts_of_the_whole_and_blocks_are_forgotten(monkeypatch):
    from patchbench.datasets import _scene_field

    with SCENES.windows(1) as image:
        whole, mask = image.read(0, 0, 600, 600), image.mask(0, 0, 600, 600)
    monkeypatch.setattr(_scene_field, "_CACHED_BLOCKS", 1)
    with SCENES.windows(1) as image:
        assert (image.height_px, image.width_px, image.n_channels) == (600, 600, 3)
        for window in [(0, 0, 40, 600), (250, 199, 301, 77), (511, 0, 89, 600), (599, 599, 1, 1)]:
            y, x, height, width = window
            part = np.s_[y : y + height, x : x + width]
            np.testing.assert_array_equal(image.read(*window), whole[part])
            np.testing.assert_array_equal(image.mask(*window), mask[part])


def test_the_mask_is_on_as_many_bodies_as_tell_and_inside_their_blocks():
    import cv2

    for i in range(4):
        mask = SCENES.windows(i).mask(0, 0, 600, 600)
        n_labels, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
        assert n_labels - 1 == SCENES.n_telling
        assert (stats[1:, cv2.CC_STAT_AREA] > 500).all()
        assert not mask[256].any() and not mask[:, 256].any() and not mask[512:].any()


def test_a_window_of_a_huge_scene_needs_its_blocks_alone():
    huge = Dataset(image_size_px=16_384, n_images=2)
    with huge.windows(0) as image:
        assert image.read(16_000, 9_000, 100, 90).std() > 1
        assert len(image._drawn) == 1


def test_records_are_the_windows_and_repeat_themselves():
    first, again = (SCENES.records(None)[0] for _ in range(2))
    pixels, mask = first.read()
    np.testing.assert_array_equal(pixels, again.read()[0])
    assert pixels.shape == (600, 600, 3) and mask.any() and not mask.all()
    names = [record.class_name for record in SCENES.records(None)]
    assert names == ["dots", "dots", "stripes", "stripes"]
    other = Dataset(image_size_px=600, n_images=4, n_telling=2, seed=1)
    assert (other.records(None)[0].read()[0] != pixels).any()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"image_size_px": 511}, "image_size_px is 511; these scenes are drawn from 512 px up"),
        ({"n_telling": 5}, "n_telling is 5; an image of 600 px holds 1 to 4 bodies"),
        ({"n_classes": 7}, "n_classes is 7; choose 2 to 6"),
        ({"n_images": 1}, "n_images is 1; it takes at least one for each of 2 classes"),
    ],
)
def test_what_cannot_be_drawn_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        Dataset(**({"image_size_px": 600, "n_telling": 2} | settings))
