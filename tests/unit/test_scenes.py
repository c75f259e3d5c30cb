"""Promises of the drawn scenes, above all that no patch of an arrangement knows the class."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from patchbench.datasets import _scene_arrangement as arrangement
from patchbench.datasets.scenes import Dataset, draw
from patchbench.records import Record

CUES = ("object", "texture", "arrangement")
WINDOW_PX = 33


@pytest.mark.parametrize("cue", CUES)
def test_same_seed_gives_same_bytes(cue: str) -> None:
    for first, second in zip(_records(cue), _records(cue), strict=True):
        pixels, mask = first.read()
        again, mask_again = second.read()
        assert pixels.tobytes() == again.tobytes()
        assert mask is not None and mask_again is not None
        assert mask.tobytes() == mask_again.tobytes()


@pytest.mark.parametrize("cue", CUES)
def test_number_and_seed_change_the_image(cue: str) -> None:
    one, other, reseeded = (draw(cue, 0, number, 96, seed)[0] for number, seed in _ORIGINS)
    assert (one != other).mean() > 0.5
    assert (one != reseeded).mean() > 0.5


_ORIGINS = ((0, 0), (6, 0), (0, 1))


@pytest.mark.parametrize("cue", CUES)
def test_an_image_does_not_depend_on_how_many_there_are(cue: str) -> None:
    few = {r.image_id: r for r in _records(cue, n_images=12)}
    many = {r.image_id: r for r in _records(cue, n_images=30)}
    name = sorted(few)[-1]
    assert few.keys() < many.keys()
    assert np.array_equal(few[name].read()[0], many[name].read()[0])


@pytest.mark.parametrize("cue", CUES)
@pytest.mark.parametrize("size_px", [48, 75])
def test_pixels_and_mask_have_the_promised_form(cue: str, size_px: int) -> None:
    pixels, mask = _records(cue, size_px=size_px)[0].read()
    assert mask is not None
    assert pixels.shape == (size_px, size_px, 3) and pixels.dtype == np.uint8
    assert mask.shape == (size_px, size_px) and mask.dtype == bool


@pytest.mark.parametrize("cue", CUES)
def test_masks_cover_between_3_and_60_percent(cue: str) -> None:
    for record in _records(cue, n_images=12):
        mask = record.read()[1]
        assert mask is not None
        assert 0.03 <= mask.mean() <= 0.6


@pytest.mark.parametrize("cue", CUES)
@pytest.mark.parametrize("n_classes", [2, 5, 6])
def test_classes_are_equally_many_and_records_sorted(cue: str, n_classes: int) -> None:
    records = _records(cue, n_images=10 * n_classes, n_classes=n_classes)
    names, counts = np.unique([r.class_name for r in records], return_counts=True)
    assert len(names) == n_classes and set(counts) == {10}
    ids = [r.image_id for r in records]
    assert ids == sorted(set(ids))
    assert all(r.split is None for r in records)


def test_every_patch_of_a_matched_set_is_in_all_classes_equally_often() -> None:
    """Pixel for pixel, wherever the patch is cut: there is nothing to learn from patches."""
    sets: dict[str | None, list[Record]] = {}
    for record in _records("arrangement", n_images=48):
        sets.setdefault(record.group, []).append(record)
    assert [len(members) for members in sets.values()] == [24, 24]
    for members in sets.values():
        for y, x in ((0, 0), (0, 63), (63, 0), (63, 63), (5, 11), (32, 32), (16, 62)):
            window = (slice(y, y + WINDOW_PX), slice(x, x + WINDOW_PX))
            shown: dict[str, Counter[bytes]] = {}
            for record in members:
                patch = record.read()[0][window].tobytes()
                shown.setdefault(record.class_name, Counter())[patch] += 1
            assert len(shown) == 6 and len({frozenset(c.items()) for c in shown.values()}) == 1


@pytest.mark.parametrize("cue", ["object", "texture"])
def test_other_scenes_have_nothing_in_common(cue: str) -> None:
    assert all(r.group is None for r in _records(cue, n_images=12))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"cue": "colour"}, "choose one of object, texture, arrangement"),
        ({"n_classes": 7}, "choose 2 to 6"),
        ({"n_classes": 1}, "choose 2 to 6"),
        ({"n_images": 3}, "at least one for each of 6 classes"),
        ({"image_size_px": 40}, "48 px up"),
    ],
)
def test_wrong_settings_name_the_way_out(settings: dict[str, object], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Dataset(**({"image_size_px": 96} | settings))


def test_nothing_is_downloaded() -> None:
    dataset = Dataset(image_size_px=96)
    assert not dataset.needs_download and dataset.masks


def test_every_part_lies_on_every_corner_once_in_every_class() -> None:
    layouts = arrangement.layouts()
    assert layouts.shape == (6, 4, 4)
    for versions in layouts:
        assert (np.sort(versions, axis=0) == np.arange(4)[:, None]).all()


def test_no_two_classes_share_an_arrangement() -> None:
    arrangements = arrangement.layouts().reshape(24, 4)
    assert len(np.unique(arrangements, axis=0)) == 24
    assert len(set(arrangement.class_names())) == 6


@pytest.mark.parametrize("size_px", [48, 60, 96, 97, 160, 224])
def test_no_window_sees_two_parts(size_px: int) -> None:
    box, step, room = arrangement.geometry(size_px)
    assert step - box >= WINDOW_PX + 1
    assert room >= 0 and room + step + box == size_px
    # pixels of the shapes stay in their boxes: the masks of neighbours are as far apart
    mask = draw("arrangement", 0, 1, size_px, 0)[1]
    assert mask is not None
    for occupied in (mask.any(axis=0), mask.any(axis=1)):
        assert np.diff(np.flatnonzero(occupied)).max() > WINDOW_PX


@pytest.mark.parametrize("size_px", [84, 96, 99, 129, 224 // 3 * 3])
def test_of_nine_tiles_those_at_the_corners_hold_a_part_at_the_same_place(size_px: int) -> None:
    """Or the place in the tile would tell the corner."""
    box, step, room = arrangement.geometry(size_px)
    tile = size_px // 3
    assert step == 2 * tile
    assert room + box == tile


def test_a_part_and_its_shadow_stay_in_the_box() -> None:
    plain = np.full((25, 25, 3), 0.5, dtype=np.float32)
    for part in range(4):
        for seed in range(20):
            window = plain.copy()
            arrangement._put_part(window, part, (-0.8, 0.6), np.random.default_rng(seed))
            rim = np.concatenate([window[0], window[-1], window[:, 0], window[:, -1]])
            assert np.abs(rim - 0.5).max() < 0.1


def test_what_a_corner_shows_does_not_tell_the_class() -> None:
    """Nearest class mean on colour statistics of 32 px patches stays at chance.

    The same statistics do know which part a patch shows, so the test is not blind.
    """
    records = _records("arrangement", n_images=240)
    images = np.stack([r.read()[0] for r in records]).astype(np.float64)
    labels = np.unique([r.class_name for r in records], return_inverse=True)[1]
    for y, x in ((0, 0), (0, 64), (64, 0), (64, 64), (32, 32)):
        patches = images[:, y : y + 32, x : x + 32]
        features = np.concatenate([patches.mean(axis=(1, 2)), patches.std(axis=(1, 2))], axis=1)
        hits = _nearest_mean_hits(features, labels)
        # binomial(120, 1/6): mean 20, standard deviation 4
        assert 4 <= hits <= 36


def test_what_a_corner_shows_does_tell_the_part() -> None:
    rng = np.random.default_rng(0)
    box = arrangement.geometry(96)[0]
    windows = np.full((80, box, box, 3), 0.5, dtype=np.float32)
    parts = np.repeat(np.tile(np.arange(4), 10), 2)
    for window, part in zip(windows, parts, strict=True):
        arrangement._put_part(window, int(part), (-1.0, 0.0), rng)
    assert _nearest_mean_hits(windows.mean(axis=(1, 2)), parts) >= 36


def _nearest_mean_hits(features: np.ndarray, labels: np.ndarray) -> int:
    """Learn class means on even rows, count right answers on odd rows."""
    scaled = features / features.std(axis=0)
    train, test = slice(0, None, 2), slice(1, None, 2)
    means = np.stack(
        [scaled[train][labels[train] == k].mean(axis=0) for k in range(labels.max() + 1)]
    )
    distances = ((scaled[test][:, None] - means) ** 2).sum(axis=2)
    return int((distances.argmin(axis=1) == labels[test]).sum())


def _records(
    cue: str, *, size_px: int = 96, n_images: int = 6, n_classes: int = 6, seed: int = 0
) -> list[Record]:
    dataset = Dataset(
        image_size_px=size_px, seed=seed, cue=cue, n_images=n_images, n_classes=n_classes
    )
    return dataset.records(Path())
