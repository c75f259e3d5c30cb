"""Splits keep groups together, classes in proportion, and refuse what proves nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.errors import UserError
from patchbench.splits import assign, assign_folds, check, join_groups


def names(n: int) -> list[str]:
    return [f"image{i}" for i in range(n)]


def test_each_class_gets_its_shares() -> None:
    labels = np.repeat([0, 1, 2], [100, 40, 20])
    splits = assign(labels, names(160), 0.15, 0.25, seed=0)
    for label, (n_val, n_test) in enumerate([(15, 25), (6, 10), (3, 5)]):
        mine = splits[labels == label].tolist()
        assert (mine.count("val"), mine.count("test")) == (n_val, n_test)


def test_same_seed_same_split_and_another_seed_another() -> None:
    labels = np.arange(60) % 3
    first = assign(labels, names(60), 0.2, 0.2, seed=1)
    np.testing.assert_array_equal(first, assign(labels, names(60), 0.2, 0.2, seed=1))
    assert (first != assign(labels, names(60), 0.2, 0.2, seed=2)).any()


def test_a_new_class_does_not_move_the_images_of_the_others() -> None:
    few, more = np.repeat([0, 1], 30), np.repeat([0, 1, 2], 30)
    before = assign(few, names(60), 0.2, 0.2, seed=0)
    after = assign(more, names(90), 0.2, 0.2, seed=0)
    np.testing.assert_array_equal(before, after[:60])


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12)), min_size=1, max_size=60),
    st.floats(0, 0.45),
    st.floats(0, 0.5),
    st.integers(0, 3),
)
def test_groups_stay_whole_and_every_class_trains(
    images: list[tuple[int, int]], val: float, test: float, seed: int
) -> None:
    labels = np.array([label for label, _ in images])
    groups = [f"g{group}" for _, group in images]
    splits = assign(labels, groups, val, test, seed)
    for group in set(groups):
        assert len({s for s, g in zip(splits, groups, strict=True) if g == group}) == 1
    for label in set(labels.tolist()):
        assert "train" in splits[labels == label]


@pytest.mark.parametrize("n", [1, 2])
def test_a_tiny_class_is_all_train(n: int) -> None:
    labels = np.repeat([0, 1], [20, n])
    assert (assign(labels, names(20 + n), 0.15, 0.24, seed=0)[20:] == "train").all()


def test_fractions_must_leave_something_to_train_on() -> None:
    with pytest.raises(UserError, match="smaller than 1"):
        assign([0, 1], names(2), 0.5, 0.5, seed=0)


def test_joined_groups_are_the_connected_ones() -> None:
    assert join_groups(list("abcde"), ["x", "y", "y", "x", "z"]) == ["a", "b", "b", "a", "e"]
    assert join_groups(["a", "b", "b", "c"], ["x", "x", "y", "y"]) == ["a"] * 4


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=60),
    st.integers(2, 5),
    st.integers(0, 3),
)
def test_folds_keep_groups_whole_and_leave_every_class_to_every_training_part(
    images: list[tuple[int, int]], n_folds: int, seed: int
) -> None:
    labels = np.array([label for label, _ in images])
    groups = [f"g{label}-{group}" for label, group in images]
    per_class = [len({g for g in groups if g.startswith(f"g{k}-")}) for k in set(labels.tolist())]
    if min(per_class) < 2 or len(set(groups)) < n_folds:
        with pytest.raises(UserError, match=r"too small for folds|folds were asked for"):
            assign_folds(labels, groups, n_folds, seed)
        return
    folds = assign_folds(labels, groups, n_folds, seed)
    assert set(folds.tolist()) == set(range(n_folds))
    for group in set(groups):
        assert len({f for f, g in zip(folds, groups, strict=True) if g == group}) == 1
    for label, fold in ((a, b) for a in set(labels.tolist()) for b in range(n_folds)):
        assert (folds[labels == label] != fold).any()


def test_folds_hold_every_class_in_equal_parts_and_are_of_equal_size() -> None:
    labels = np.repeat([0, 1, 2], [23, 31, 8])
    folds = assign_folds(labels, names(62), 4, seed=0)
    for label in range(3):
        parts = np.bincount(folds[labels == label], minlength=4)
        assert parts.max() - parts.min() <= 1
    sizes = np.bincount(folds)
    assert sizes.max() - sizes.min() <= 1


def test_same_seed_same_folds_whatever_the_order_and_another_seed_others() -> None:
    labels, groups = np.arange(60) % 3, names(60)
    first = assign_folds(labels, groups, 5, seed=1)
    turned = assign_folds(labels[::-1], groups[::-1], 5, seed=1)
    np.testing.assert_array_equal(first, turned[::-1])
    assert (first != assign_folds(labels, groups, 5, seed=2)).any()


def test_a_class_too_small_for_folds_is_named() -> None:
    labels, groups = [0, 0, 0, 1, 1], ["a", "b", "c", "d", "d"]
    with pytest.raises(UserError, match=r"class 'eel' is too small for folds: its 2 train images"):
        assign_folds(labels, groups, 2, 0, {0: "cat", 1: "eel"})
    with pytest.raises(UserError, match="class 1 is too small"):
        assign_folds(labels, groups, 2, 0)


@pytest.mark.parametrize("n_folds", [0, 1, 6])
def test_an_impossible_number_of_folds_is_refused(n_folds: int) -> None:
    with pytest.raises(UserError, match=rf"{n_folds} folds were asked for; .* to deal \(5\)"):
        assign_folds([0, 0, 0, 1, 1], names(5), n_folds, 0)


GOOD = {
    "labels": [0, 0, 0, 1, 1, 1],
    "splits": ["train", "val", "test"] * 2,
    "groups": names(6),
    "classes": ["cat", "dog"],
}


def test_a_good_split_passes() -> None:
    check(**GOOD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0] * 6, "classes": ["cat"]}, "found 1 class .cat."),
        ({"classes": ["cat", "dog", "eel"]}, "class 'eel' has no usable image"),
        ({"splits": ["train", "val", "test"] + ["test"] * 3}, "class 'dog' is in the test split"),
        ({"splits": ["train", "val", "exam"] * 2}, "split 'exam' is unknown"),
        ({"splits": ["train", "test", "test"] * 2}, "no image is in the val split"),
        (
            {"splits": ["train", "val", "test"] + ["val"] * 3},
            "class 'dog' is in the val split but not in train",
        ),
        ({"splits": ["train", "val", "val"] * 2}, "no image is in the test split"),
        ({"splits": ["test"] * 6}, "no image is in the train split"),
        ({"groups": list("abaccc")}, "group 'a' has images in test and train"),
    ],
)
def test_a_split_that_proves_nothing_is_refused(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check(**(GOOD | change))
