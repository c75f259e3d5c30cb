"""Explain where a fitted network sees its classes, and measure whether the maps are faithful.

Writes ``true.npy`` and ``predicted.npy``: maps of the true and of the predicted class, float32
(n, rows, cols), not scaled, each value for an equal share of the image. Row *i* of both is row *i*
of ``explained.parquet``, which is written last. ``faithfulness.parquet`` is about test images and
the predicted class. Train images are explained by the network of their fold, which never saw
them, where folds are given.

Memory holds one batch of images and its maps at a time, whatever the number of images: images
are memory-mapped, maps go straight to disk, and one fold's network is open after the other.
"""

import argparse
import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from patchbench import plugins, tables
from patchbench.bags import softmax
from patchbench.cost import Stopwatch, Work
from patchbench.devices import resolve
from patchbench.errors import UserError
from patchbench.evaluation import BOOTSTRAP_SEED
from patchbench.faithfulness import (
    Perturbation,
    energy_in_mask,
    mean_over_images,
    points_at_mask,
)
from patchbench.io import (
    ArrayWriter,
    provenance,
    read_array,
    read_state,
    read_table,
    write_table,
)
from patchbench.patchset import groups_of_rows
from patchbench.progress import progress
from patchbench.sampling import draw
from patchbench.seeds import derive

if TYPE_CHECKING:
    from patchbench.networks.explained import Explained

BATCH_IMAGES = 16
# images of no fold: explained by the network that was trained on all of train
WHOLE = -1
TARGET = "predicted"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--explain", required=True, help="entry of the config's explain")
    parser.add_argument("--spec", type=json.loads, default={}, help="JSON: settings of the entry")
    parser.add_argument("--model-kind", required=True, choices=("cnn", "encoder"))
    parser.add_argument("--model", required=True, help="entry of the config's cnns or encoders")
    parser.add_argument(
        "--model-spec", type=json.loads, default={}, help="JSON: settings of that entry"
    )
    parser.add_argument("--state", type=Path, required=True, help="the fitted network, .npz")
    parser.add_argument(
        "--fold-states", type=Path, nargs="*", default=[], help="networks of fold 0, 1, ..."
    )
    parser.add_argument("--folds", type=Path, help="folds.parquet: which images each never saw")
    parser.add_argument("--images", type=Path, required=True, help="images.npy of the dataset")
    parser.add_argument("--masks", type=Path, help="masks.npy of the dataset")
    parser.add_argument("--patch-size-px", type=int, help="side of the patches of an encoder")
    parser.add_argument("--splits", nargs="+", choices=tables.SPLITS, default=list(tables.SPLITS))
    parser.add_argument("--limit", type=int, help="at most so many images of each split")
    parser.add_argument(
        "--faithfulness-images", type=int, default=100, help="at most so many test images"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")


def run(args: argparse.Namespace) -> Work:
    """Choose images, explain them network by network, measure, write the tables."""
    table = read_table(args.images.with_suffix(".parquet"), "images")
    images = read_array(args.images)
    todo = choose_images(table, args.splits, args.limit, args.seed).assign(fold=WHOLE)
    if args.folds or args.fold_states:
        todo["fold"] = fold_of(todo, args.folds, len(args.fold_states))
    explainer = _build(args)
    plugins.preload(type(explainer).__module__)
    model, watch = _open(args, WHOLE), Stopwatch()
    layer = _layer(explainer, args.model) or model.default_layer
    told = args.spec | ({"layer": layer} if explainer.of_layer else {})
    origin = provenance("explain", args.code, told)
    todo["predicted"] = _write_maps(args, explainer, model, layer, images, todo, origin, watch)
    measured = _faithfulness(args, model, images, todo)
    write_table(args.out / "faithfulness.parquet", measured, "faithfulness", origin)
    write_table(args.out / "explained.parquet", todo, "explained", origin)
    return Work(len(todo), "image", resolve(args.device), watch.elapsed_s)


def choose_images(
    table: pd.DataFrame, splits: list[str], limit: int | None, seed: int
) -> pd.DataFrame:
    """Images to explain, split after split: columns ``image_row``, ``split``, ``label``.

    Raises
    ------
    UserError
        If the splits hold no image, or the limit is below 1.
    """
    if limit is not None and limit < 1:
        raise UserError(f"--limit is {limit}; give at least 1 image per split, or leave it out")
    parts = []
    for split in splits:
        rows = np.flatnonzero(table["split"] == split)
        labels = table["label"].to_numpy()[rows]
        chosen = draw(labels, limit or len(rows), derive(seed, "explain", split))
        parts.append(
            pd.DataFrame({"image_row": rows[chosen], "split": split, "label": labels[chosen]})
        )
    found = pd.concat(parts, ignore_index=True)
    if found.empty:
        raise UserError(f"there are no images in {', '.join(splits)} to explain; add a split")
    return found


def fold_of(todo: pd.DataFrame, folds: Path | None, n_states: int) -> np.ndarray:
    """Fold of each chosen train image; `WHOLE` for images of val and test: int array.

    Raises
    ------
    UserError
        If folds and networks do not belong together.
    """
    if folds is None:
        raise UserError(f"{n_states} fold states are given without --folds; give both or neither")
    table = read_table(folds, "folds").set_index("image_row")["fold"]
    of_train = (todo["split"] == "train").to_numpy()
    known = table.reindex(todo["image_row"]).fillna(WHOLE).to_numpy().astype(np.int64)
    found = np.where(of_train, known, WHOLE)
    if found.max(initial=WHOLE) >= n_states:
        raise UserError(
            f"{folds} has images of fold {found.max()} but {n_states} fold states are given; give "
            "--fold-states one network per fold, in order"
        )
    return found


def _build(args: argparse.Namespace) -> Any:
    """The explanation plug-in; only some of them draw at random."""
    kind = args.spec.get("type", args.explain)
    random = hasattr(plugins.load("explain", kind).Explain, "seed")
    seed = {"seed": derive(args.seed, "explain")} if random else {}
    return plugins.build("explain", args.explain, args.spec, **seed)


def _open(args: argparse.Namespace, fold: int) -> "Explained":
    from patchbench.networks.explained import open_explained

    return open_explained(
        args.model_kind,
        args.model,
        args.model_spec,
        read_state(args.state if fold == WHOLE else args.fold_states[fold]),
        seed=args.seed,
        device=resolve(args.device),
        threads=args.threads,
        patch_size_px=args.patch_size_px,
    )


def _write_maps(
    args: argparse.Namespace,
    explainer: Any,
    model: "Explained",
    layer: str,
    images: np.ndarray,
    todo: pd.DataFrame,
    origin: dict[str, Any],
    watch: Stopwatch,
) -> np.ndarray:
    """Write both arrays of maps; the predicted class of each image."""
    rows, labels, folds = (todo[name].to_numpy() for name in ("image_row", "label", "fold"))
    first = model.maps(explainer, layer, images[rows[:1]], labels[:1])
    shape, predicted = (len(todo), *first.shape[1:]), np.empty(len(todo), np.int64)
    with ExitStack() as stack:
        true_maps, predicted_maps = (
            stack.enter_context(ArrayWriter(args.out / name, shape, np.float32, origin))
            for name in ("true.npy", "predicted.npy")
        )
        for fold in np.unique(folds):
            if fold != WHOLE:
                model = _open(args, fold)
            members = np.flatnonzero(folds == fold)
            batches = np.split(members, range(BATCH_IMAGES, len(members), BATCH_IMAGES))
            for part in progress(batches, f"explaining, fold {fold}", "batch"):
                with watch:
                    pixels = images[rows[part]]
                    predicted[part] = model.logits(pixels).argmax(axis=1)
                    both = _both(model, explainer, layer, pixels, labels[part], predicted[part])
                true_maps[part], predicted_maps[part] = both
    return predicted


def _layer(explainer: Any, entry: str) -> str | None:
    """The layer that the config asks for in the network of an entry; None for its default."""
    asked = getattr(explainer, "layer", None)
    return asked.get(entry) if isinstance(asked, Mapping) else asked


def _both(
    model: "Explained",
    explainer: Any,
    layer: str,
    pixels: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Maps of the true and of the predicted class, computed twice only where they differ."""
    of_predicted = model.maps(explainer, layer, pixels, predicted)
    of_true, wrong = of_predicted.copy(), np.flatnonzero(labels != predicted)
    if len(wrong):
        of_true[wrong] = model.maps(explainer, layer, pixels[wrong], labels[wrong])
    return of_true, of_predicted


def _faithfulness(
    args: argparse.Namespace, model: "Explained", images: np.ndarray, todo: pd.DataFrame
) -> pd.DataFrame:
    """Table "faithfulness" of a sample of the test images."""
    test = np.flatnonzero(todo["split"] == "test")
    sample = draw(todo["label"].to_numpy()[test], args.faithfulness_images, args.seed)
    chosen = test[sample]
    if not len(chosen):
        return tables.empty("faithfulness")
    cams = read_array(args.out / f"{TARGET}.npy")
    masks = read_array(args.masks) if args.masks else np.empty(0)
    order = Perturbation(model.scale.mean, derive(args.seed, "faithfulness"))
    found: dict[str, list[float]] = {}
    for place in progress(chosen, "measuring faithfulness", "image"):
        row, label, cam = todo["image_row"][place], int(todo["predicted"][place]), cams[place]
        deletion, insertion = order.areas(
            lambda pixels: softmax(model.logits(pixels)), images[row], cam, label
        )
        values = {"deletion_auc": deletion, "insertion_auc": insertion}
        values["zero_maps"] = float(cam.max() <= 0)
        if len(masks):
            values |= _against_mask(cam, masks[row].astype(bool))
        for measure, value in values.items():
            found.setdefault(measure, []).append(value)
    table, rows = args.images.with_suffix(".parquet"), todo["image_row"].to_numpy()[chosen]
    group_of = groups_of_rows(table, rows)
    estimates = {
        m: mean_over_images(np.array(v), group_of, BOOTSTRAP_SEED) for m, v in found.items()
    }
    rows = [{"measure": measure} | e.columns for measure, e in estimates.items()]
    return pd.DataFrame(rows).assign(explain=args.explain, target=TARGET, n_images=len(chosen))


def _against_mask(cam: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    return {
        "pointing_game": float(points_at_mask(cam, mask)),
        "energy_in_mask": energy_in_mask(cam, mask),
        "mask_share": float(mask.mean()),
    }
