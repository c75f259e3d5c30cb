"""Some test images of a study with what every method saw in them, for the report's patch browser.

Only the first seed is shown, and of methods whose patches vote only those that listen to patches.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench import plan
from patchbench.images import resize
from patchbench.io import read_array, read_json, read_table
from patchbench.seeds import derive
from patchbench.stages._browser_votes import of_run
from patchbench.study import WHOLE_IMAGE

N_IMAGES = 12  # of a dataset, or one of every class up to twice as many
SIDE_PX = 160  # side of what is kept of an image, at most
N_SHOWN = 8  # classes whose evidence is kept of an image
MAX_BYTES = 2**20  # of votes in a study; where they are many, fewer images are shown
REASONS = ("drawn at random", "methods disagree", "most often wrong")


def browser(config: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What the patch browser shows, under ``dataset/name``; nothing where nothing is looked at.

    Returns
    -------
    arrays : dict
        ``images`` uint8 (n, side, side, 3); ``ids`` str, ``labels`` int and ``reasons`` (of
        `REASONS`) int (n,); ``seed`` int (), of everything fitted; ``image_px`` int (), the side
        that boxes refer to; ``shown`` int (n, k), classes whose evidence is kept.
        ``maps/NETWORK`` uint8 (n, rows, cols), Grad-CAM of the class that the network decides on,
        each in 255ths of its largest value; ``mapped/NETWORK`` int (n,), that class. What
        :func:`of_run` finds for every run.
    """
    found = dict[str, np.ndarray]()
    for dataset in config["benchmark"]["datasets"]:
        own = _of_dataset(config, dataset)
        found |= {f"{dataset}/{name}": array for name, array in own.items()}
    return found


def _of_dataset(config: Mapping[str, Any], dataset: str) -> dict[str, np.ndarray]:
    folder = Path(plan.DATASET.format(dataset=dataset))
    images = read_table(folder / "images.parquet", "images")
    runs = _runs(config, dataset)
    if not runs:
        return {}
    decided = _decisions(runs, images)
    maps = dict(_maps(config, runs))
    rows = np.flatnonzero(images["split"] == "test")
    for explained, _ in maps.values():
        rows = np.intersect1d(rows, explained.index)
    labels = images["label"].to_numpy()
    right = np.mean([own[rows].argmax(axis=1) == labels[rows] for own in decided], axis=0)
    n_most = max(N_IMAGES, min(2 * N_IMAGES, len(np.unique(labels[rows]))))
    n_most = min(n_most, _most(config, runs, decided[0].shape[1]))
    chosen, reasons = choose(labels[rows], right, n_most, derive(runs[0].seed, "browser"))
    rows = rows[chosen]
    pixels = read_array(folder / "images.npy")
    side_px = min(SIDE_PX, pixels.shape[1])
    shown = shown_classes(labels[rows], np.mean([own[rows] for own in decided], axis=0))
    found = {
        "images": np.stack([resize(pixels[row], side_px) for row in rows]),
        "ids": images["image_id"].to_numpy()[rows].astype(str),
        "labels": labels[rows],
        "reasons": reasons,
        "seed": np.array(runs[0].seed),
        "image_px": np.array(pixels.shape[1]),
        "shown": shown,
    }
    for name, (explained, cams) in maps.items():
        found[f"maps/{name}"] = _scaled(cams[explained.loc[rows, "place"]])
        found[f"mapped/{name}"] = explained.loc[rows, "predicted"].to_numpy()
    for run in runs:
        if run.patches != WHOLE_IMAGE:
            found |= of_run(config, run, rows, shown)
    return found


def _runs(config: Mapping[str, Any], dataset: str) -> list[plan.Run]:
    """Runs of the first seed; no classifier that does not look at patches."""
    seed = config["benchmark"]["seeds"][0]
    own = [run for run in plan.runs(config) if (run.dataset, run.seed) == (dataset, seed)]
    return [r for r in own if not r.votes or plan.uses_of(config, r.classifier) != "nothing"]


def _decisions(runs: list[plan.Run], images: pd.DataFrame) -> list[np.ndarray]:
    """Probabilities by every rule of every run for each image, (n_images, n_classes); NaN if none.

    Rows are those of ``images``; only test is filled in.
    """
    place = pd.Series(np.arange(len(images)), index=images["image_id"])
    found = []
    for run in runs:
        table = read_table(f"{run.folder}/predictions.parquet", "predictions")
        for _, rows in table[table["split"] == "test"].groupby("fusion", sort=False):
            probabilities = np.stack(list(rows["probabilities"]))
            own = np.full((len(images), probabilities.shape[1]), np.nan)
            own[place[rows["image_id"]]] = probabilities
            found.append(own)
    return found


def _maps(
    config: Mapping[str, Any], runs: list[plan.Run]
) -> Iterator[tuple[str, tuple[pd.DataFrame, np.ndarray]]]:
    """Where each image's Grad-CAM is, by row of the image, and the maps, by whole-image network."""
    for found in plan.explanations(config):
        kind = config["explain"][found.explain].get("type", found.explain)
        if kind != plan.GRAD_CAM or found.run not in runs or found.run.patches != WHOLE_IMAGE:
            continue
        folder = Path(found.folder)
        explained = read_table(folder / "explained.parquet", "explained")
        explained["place"] = np.arange(len(explained))
        explained = explained[explained["split"] == "test"].set_index("image_row")
        yield found.run.encoder, (explained, read_array(folder / "predicted.npy"))


def _scaled(maps: np.ndarray) -> np.ndarray:
    """The positive part of each map in 255ths of its largest value: uint8."""
    positive = np.clip(np.nan_to_num(np.asarray(maps, np.float64)), 0, None)
    largest = positive.max(axis=(1, 2), keepdims=True)
    return np.rint(255 * positive / np.where(largest > 0, largest, 1)).astype(np.uint8)


def choose(
    labels: np.ndarray, right: np.ndarray, limit: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Some images of every class, in turn at random, such as divide methods, often wrong ones.

    Parameters
    ----------
    labels : int array, (n,)
        True classes.
    right : float array, (n,)
        Share of the decisions on an image that are right, 0-1.
    limit : int
        Most images; if it is below the number of classes, some classes go without.

    Returns
    -------
    chosen, reasons : int arrays, (min(n, limit),)
        Rows by class, and why each was chosen: a place in `REASONS`.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    taken: dict[int, int] = {}
    turn, classes = 0, np.unique(labels)
    while len(taken) < min(limit, len(labels)):
        for place, label in enumerate(classes):
            left = [row for row in order if labels[row] == label and row not in taken]
            if not left or len(taken) == limit:
                continue
            row, reason = left[0], (turn + place) % 3
            if reason == 1:
                row = min(left, key=lambda row: abs(right[row] - 0.5))
            elif reason == 2:
                row = min(left, key=lambda row: right[row])
            told = right[row] < 1 and (reason != 1 or right[row] > 0)
            taken[int(row) if told else int(left[0])] = reason if told else 0
        turn += 1
    chosen = np.array(sorted(taken, key=lambda row: (labels[row], row)), int)
    return chosen, np.array([taken[row] for row in chosen.tolist()], int)


def shown_classes(labels: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Classes whose evidence is kept: all, or the true one and those most methods speak for.

    ``mean`` is (n, n_classes), mean probabilities of all methods; the result int (n, k), sorted.
    """
    mean = mean.copy()
    mean[np.arange(len(labels)), labels] = np.inf
    most = np.argsort(-mean, axis=1, kind="stable")[:, :N_SHOWN]
    ordered: np.ndarray = np.sort(most, axis=1)
    return ordered


def _most(config: Mapping[str, Any], runs: list[plan.Run], n_classes: int) -> int:
    """How many images' votes may be kept: a byte a class and patch, two for each vote and rule."""
    room, bytes_of_one = MAX_BYTES // len(config["benchmark"]["datasets"]), 1
    for run in runs:
        if run.votes:
            folder = plan.PATCHES.format(dataset=run.dataset, patches=run.patches)
            n_patches = read_json(f"{folder}/extraction.json")["patches_per_image"]
            n_rules = len(plan.fusions_of(config, run))
            bytes_of_one += n_patches * (min(N_SHOWN, n_classes) + 2 + 2 * n_rules)
    return max(1, room // bytes_of_one)
