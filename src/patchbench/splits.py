"""Deal images to train, val and test: by group, class by class, the same way every time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from patchbench.errors import UserError
from patchbench.seeds import derive
from patchbench.tables import SPLITS


def assign(
    labels: Sequence[int] | np.ndarray,
    groups: Sequence[str],
    val_fraction: float,
    test_fraction: float,
    seed: int,
) -> np.ndarray:
    """Decide a split per image.

    Whole groups are dealt, so images of one scene never sit on two sides. Each class is dealt
    by itself, towards its own share of test, then of val; the rest trains. A class always
    keeps at least one group in train, so a class of one or two images is all train.

    Parameters
    ----------
    labels : int array, (n,)
        Class of each image.
    groups : sequence of str, (n,)
        Images with the same entry stay together; the image's own id where it has no group.
    val_fraction, test_fraction : float
        Wanted shares of each class, 0-1; their sum below 1.
    seed : int
        Same seed, same split.

    Returns
    -------
    splits : str array, (n,)
        ``train``, ``val`` or ``test``.
    """
    if min(val_fraction, test_fraction) < 0 or val_fraction + test_fraction >= 1:
        raise UserError(
            f"val_fraction {val_fraction} and test_fraction {test_fraction} must be 0 or more "
            "and leave something to train on: make their sum smaller than 1"
        )
    labels = np.asarray(labels)
    members: dict[str, list[int]] = defaultdict(list)
    for i, group in enumerate(groups):
        members[group].append(i)
    splits = np.full(len(labels), "train", dtype="<U5")
    for label, units in _units_by_class(labels, members).items():
        rng = np.random.default_rng(derive(seed, "splits", str(label)))
        # the first in the shuffled order stays in train whatever the fractions are
        left = [units[k] for k in rng.permutation(len(units))][1:]
        n_images = sum(len(members[unit]) for unit in units)
        for split, fraction in (("test", test_fraction), ("val", val_fraction)):
            taken = _take(left, members, target=round(fraction * n_images))
            left = [unit for unit in left if unit not in taken]
            for unit in taken:
                splits[members[unit]] = split
    return _with_every_class_in_train(splits, labels, members)


def with_val(
    labels: Sequence[int] | np.ndarray,
    splits: Sequence[str],
    groups: Sequence[str],
    val_fraction: float,
    seed: int,
) -> list[str]:
    """Deal val out of train where a data set brings train and test alone; see `assign`.

    ``val_fraction`` is that of the images of each class in train. Any other split is returned
    as it is.
    """
    dealt = list(splits)
    if set(dealt) != {"train", "test"}:
        return dealt
    rows = [i for i, split in enumerate(dealt) if split == "train"]
    own = [groups[i] for i in rows]
    for i, split in zip(
        rows, assign(np.asarray(labels)[rows], own, val_fraction, 0.0, seed), strict=True
    ):
        dealt[i] = str(split)
    return dealt


def _units_by_class(labels: np.ndarray, members: dict[str, list[int]]) -> dict[int, list[str]]:
    """List the groups of each class; a group of several classes counts for the rarest of them."""
    values, counts = np.unique(labels, return_counts=True)
    rarity = {
        int(value): (int(count), int(value)) for value, count in zip(values, counts, strict=True)
    }
    units: dict[int, list[str]] = {int(value): [] for value in values}
    for group, rows in sorted(members.items()):
        units[min({int(labels[i]) for i in rows}, key=rarity.__getitem__)].append(group)
    return {label: groups for label, groups in units.items() if groups}


def _take(units: list[str], members: dict[str, list[int]], target: int) -> set[str]:
    """Units, in order, whose total comes as close to ``target`` images as each step can."""
    taken: set[str] = set()
    n = 0
    for unit in units:
        size = len(members[unit])
        if abs(n + size - target) < abs(n - target):
            taken.add(unit)
            n += size
    return taken


def _with_every_class_in_train(
    splits: np.ndarray, labels: np.ndarray, members: dict[str, list[int]]
) -> np.ndarray:
    # happens only to a class all of whose groups also hold images of a rarer class
    for label in np.unique(labels):
        if not np.any(splits[labels == label] == "train"):
            holding = [rows for rows in members.values() if np.any(labels[rows] == label)]
            splits[min(holding, key=lambda rows: (len(rows), rows[0]))] = "train"
    return splits


def assign_folds(
    labels: Sequence[int] | np.ndarray,
    groups: Sequence[str],
    n_folds: int,
    seed: int,
    classes: Mapping[int, str] | None = None,
) -> np.ndarray:
    """Deal images to folds of much the same size, so that each can be left out in turn.

    Whole groups are dealt, largest first, class by class, each to the fold with the fewest
    images of its class so far.

    Parameters
    ----------
    labels : int array, (n,)
        Class of each image.
    groups : sequence of str, (n,)
        Images with the same entry stay together.
    n_folds : int
        At least 2.
    seed : int
        Same seed, same folds.
    classes : mapping of int to str, optional
        Names of the classes, for messages.

    Returns
    -------
    folds : int array, (n,)
        From 0 to ``n_folds`` - 1.

    Raises
    ------
    UserError
        If a fold would be empty, or leaving one out would leave a class out.
    """
    labels = np.asarray(labels)
    members: dict[str, list[int]] = defaultdict(list)
    for i, group in enumerate(groups):
        members[group].append(i)
    if not 2 <= n_folds <= len(members):
        raise UserError(
            f"{n_folds} folds were asked for; give 2 or more, and no more than there are groups "
            f"of images to deal ({len(members)})"
        )
    folds = np.full(len(labels), -1)
    counts = np.zeros((n_folds, int(labels.max()) + 1), dtype=int)
    for label, units in _units_by_class(labels, members).items():
        order = np.random.default_rng(derive(seed, "folds", str(label))).permutation(len(units))
        for unit in sorted((units[k] for k in order), key=lambda unit: -len(members[unit])):
            rows = members[unit]
            shared = counts[:, np.unique(labels[rows])].sum(axis=1)
            # the last key decides first
            fold = np.lexsort((counts.sum(axis=1), shared, counts[:, label]))[0]
            folds[rows] = fold
            np.add.at(counts[fold], labels[rows], 1)
    _check_folds(counts, classes or {})
    return folds


def _check_folds(counts: np.ndarray, classes: Mapping[int, str]) -> None:
    """Refuse folds, given images per fold and class, that cannot be left out in turn."""
    for label in np.flatnonzero(counts.any(axis=0)):
        if np.count_nonzero(counts[:, label]) == 1:
            raise UserError(
                f"class {classes.get(int(label), int(label))!r} is too small for folds: its "
                f"{counts[:, label].sum()} train images are all in one, so the others cannot teach "
                "it; add images of another group, or leave the class out"
            )
    if not counts.any(axis=1).all():
        raise UserError(
            f"{len(counts)} folds are too many for so few groups of images; ask for fewer"
        )


def join_groups(groups: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Merge groups that share a key, for example the hash of identical pictures.

    >>> join_groups(["a", "b", "c", "d"], ["x", "y", "x", "z"])
    ['a', 'b', 'a', 'd']
    """
    parent = {group: group for group in groups}

    def top(group: str) -> str:
        while parent[group] != group:
            group = parent[group]
        return group

    first: dict[str, str] = {}
    for group, key in zip(groups, keys, strict=True):
        one, other = sorted((top(group), top(first.setdefault(key, group))))
        parent[other] = one
    return [top(group) for group in groups]


def check(
    labels: Sequence[int] | np.ndarray,
    splits: Sequence[str] | np.ndarray,
    groups: Sequence[str],
    classes: Sequence[str],
) -> None:
    """Refuse a split that no honest number can come from.

    Raises
    ------
    UserError
        If there are fewer than two classes, a class has no image, a split name is unknown,
        a split is empty, a class is tested but not trained, or a group is on two sides.
    """
    labels, splits = np.asarray(labels), np.asarray(splits)
    if len(classes) < 2:
        raise UserError(
            f"found {len(classes)} class ({', '.join(classes) or 'none'}), but telling classes "
            "apart takes two or more; add images of another class"
        )
    empty = [name for k, name in enumerate(classes) if not np.any(labels == k)]
    if empty:
        raise UserError(f"{_class(empty)} has no usable image; add some or remove the class")
    unknown = sorted(set(splits.tolist()) - set(SPLITS))
    if unknown:
        raise UserError(f"split {unknown[0]!r} is unknown; use one of {', '.join(SPLITS)}")
    for split in ("train", "test"):
        _check_filled(split, splits)
    trained = set(labels[splits == "train"].tolist())
    for split in ("test", "val"):
        untrained = [classes[k] for k in sorted(set(labels[splits == split].tolist()) - trained)]
        if untrained:
            raise UserError(
                f"{_class(untrained)} is in the {split} split but not in train; "
                "move some of its images to train, or leave it out"
            )
    _check_groups(groups, splits.tolist())
    _check_filled("val", splits)


def _check_filled(split: str, splits: np.ndarray) -> None:
    if not np.any(splits == split):
        raise UserError(f"no image is in the {split} split; move some there or add images")


def _check_groups(groups: Sequence[str], splits: Sequence[str]) -> None:
    sides: dict[str, set[str]] = defaultdict(set)
    for group, split in zip(groups, splits, strict=True):
        sides[group].add(split)
    torn = [group for group, found in sides.items() if len(found) > 1]
    if torn:
        raise UserError(
            f"group {torn[0]!r} has images in {' and '.join(sorted(sides[torn[0]]))} "
            f"({len(torn)} such groups); give all images of a group the same split"
        )


def _class(names: Iterable[str]) -> str:
    found = list(names)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"class {found[0]!r}{more}"
