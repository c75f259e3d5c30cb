"""Score every patch by every noisy-patch detector; higher is noisier.

What detectors learn from labels of train images is learned out of fold: the images are dealt to
folds, whole groups together, and a patch is judged by what the other folds teach. Embeddings are
not: an encoder that learned from labels has met all train images; rows ``log_loss`` of
``detection.parquet`` tell how much of that shows. Labels of val and test are used by nobody. Writes
``scores.npz`` and ``detection.parquet``: how well each detector tells background, where masks say
what that is, and what it cost.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench import plugins
from patchbench.auc import binary_auc_draws
from patchbench.bags import softmax
from patchbench.bootstrap import draw_groups
from patchbench.cost import Stopwatch, Work
from patchbench.evaluation import BOOTSTRAP_SEED, run_columns
from patchbench.io import provenance, read_array, read_state, read_table, write_state, write_table
from patchbench.metrics import Estimate, estimate, log_loss_draws
from patchbench.noise import PatchView
from patchbench.patch_logits import patch_logits
from patchbench.patchset import gather, groups_of_rows
from patchbench.saliency import PREDICTED, TRUE, patch_saliency
from patchbench.sampling import row_limits, sample
from patchbench.split_bags import centers_of
from patchbench.splits import assign_folds

# the classifier that was fitted on all of train
WHOLE = -1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--detectors", type=json.loads, required=True, help="JSON: entry: settings")
    parser.add_argument("--classifier", required=True, help="entry of the config's classifiers")
    parser.add_argument("--spec", type=json.loads, default={}, help="JSON: settings of the entry")
    parser.add_argument("--state", type=Path, required=True, help="classifier.npz, fitted")
    parser.add_argument("--index", type=Path, required=True, help="index.parquet of the patches")
    parser.add_argument("--images", type=Path, required=True, help="images.npy of the dataset")
    parser.add_argument("--pixels", type=Path, nargs="+", required=True, help="all shards")
    parser.add_argument("--embeddings", type=Path, nargs="+", required=True, help="all shards")
    parser.add_argument("--maps", type=Path, help="folder of Grad-CAM maps, by stage explain")
    parser.add_argument("--n-folds", type=int, default=2, help="folds of the train images")
    parser.add_argument("--max-fit-mib", type=int, default=1024, help="most memory of a fit")
    parser.add_argument("--out", type=Path, required=True, help="folder for the scores")


def run(args: argparse.Namespace) -> Work:
    """Look at the splits, fit each detector on train, score, and say how well it finds."""
    classifier = plugins.build(
        "classifiers", args.classifier, args.spec, seed=args.seed, threads=args.threads
    )
    classifier.restore(read_state(args.state))
    plugins.preload(type(classifier).__module__)
    folded = fold_classifiers(args, classifier)
    train = view(args, folded, "train")
    val, test = (view(args, {WHOLE: classifier}, split) for split in ("val", "test"))
    drawn = {"train": draws(args, "train"), "test": draws(args, "test")}
    scores, rows, total = dict[str, np.ndarray](), list[dict[str, Any]](), Stopwatch()
    for name, spec in args.detectors.items():
        detector = plugins.build("detectors", name, spec, seed=args.seed, threads=args.threads)
        plugins.preload(type(detector).__module__)
        if (reason := why_not(detector, train)) is not None:
            print(f"{name} was left out: {reason}", file=sys.stderr)
            continue
        watch = Stopwatch()
        with watch, total:
            detector.fit(train)
            scores[f"train/{name}"] = detector.score(train)
            if not detector.uses_labels:
                scores[f"val/{name}"] = detector.score(val)
                scores[f"test/{name}"] = detector.score(test)
        about = args.about | {"detector": name}
        for split, seen in (("train", train), ("test", test)):
            if f"{split}/{name}" in scores:
                found = background_auc(scores[f"{split}/{name}"], seen, drawn[split])
                took = {"work_s": watch.elapsed_s}
                rows.append(row(about, split, "background_auc", found, seen.n_images, **took))
    rows += leak(args, folded, train, drawn["train"])
    origin = provenance("detect", args.code, args.detectors)
    write_table(args.out / "detection.parquet", pd.DataFrame(rows), "detection", origin)
    write_state(args.out / "scores.npz", scores, origin)
    return Work(len(scores) * len(train), "patch score", work_s=total.elapsed_s)


def why_not(detector: Any, train: PatchView) -> str | None:
    """Why a detector cannot work here; None where it can."""
    if detector.uses == "saliency" and train.saliency is None:
        return "there are no Grad-CAM maps; name a CNN under noise.cnn"
    if detector.uses == "masks" and train.foreground is None:
        return "the dataset has no object masks"
    return None


def view(args: argparse.Namespace, classifiers: dict[int, Any], split: str) -> PatchView:
    """Everything that detectors may look at of one split.

    ``classifiers`` are those of the folds of train, or that of all of it, under `WHOLE`.
    """
    whole = read_table(args.index, "patches")
    index = whole[whole["split"] == split].reset_index(drop=True)
    image_rows, image_of = np.unique(index["image_row"].to_numpy(), return_inverse=True)
    images, labels = read_array(args.images), index["label"].to_numpy()
    is_train, n_classes = split == "train", int(whole["label"].max()) + 1
    folds = _folds(args, image_rows)[image_of] if is_train else None
    boxes = ("y_px", "x_px", "height_px", "width_px", "shard", "offset")
    found = index["foreground"].to_numpy(dtype=np.float64)
    saliency = None
    if args.maps is not None:
        # of the true class by the network of another fold, or of the class that is predicted
        which = TRUE if is_train else PREDICTED
        saliency = patch_saliency(args.maps, which, index, images.shape[1:3])
    return PatchView(
        image_of=image_of,
        centers=centers_of(index, images.shape[1]),
        index=index[list(boxes)],
        n_classes=n_classes,
        image=lambda i: images[image_rows[i]],
        pixels=args.pixels,
        embeddings=args.embeddings,
        labels=labels if is_train else None,
        folds=folds,
        probabilities=_probabilities(args, classifiers, index, folds),
        saliency=saliency,
        foreground=None if np.isnan(found).any() else found,
    )


def _folds(args: argparse.Namespace, image_rows: np.ndarray) -> np.ndarray:
    table = read_table(args.images.with_suffix(".parquet"), "images").iloc[image_rows]
    return assign_folds(table["label"].to_numpy(), table["group"].tolist(), args.n_folds, args.seed)


def _probabilities(
    args: argparse.Namespace,
    classifiers: dict[int, Any],
    index: pd.DataFrame,
    folds: np.ndarray | None,
) -> np.ndarray:
    """Class probabilities of patches by a classifier that was not fitted on their images."""
    if folds is None:
        return softmax(patch_logits(classifiers[WHOLE], args.embeddings, index))
    n_classes = len(next(iter(classifiers.values())).bias)
    found = np.empty((len(index), n_classes), np.float32)
    for fold, fitted in classifiers.items():
        own = folds == fold
        found[own] = softmax(patch_logits(fitted, args.embeddings, index[own]))
    return found


def fold_classifiers(args: argparse.Namespace, classifier: Any) -> dict[int, Any]:
    """For every fold of the train images the classifier fitted on the others."""
    whole = read_table(args.index, "patches")
    index = whole[whole["split"] == "train"]
    image_rows, image_of = np.unique(index["image_row"].to_numpy(), return_inverse=True)
    folds = _folds(args, image_rows)[image_of]
    dim = read_array(args.embeddings[0]).shape[1]
    limit = row_limits(args.max_fit_mib, dim, classifier.bytes_per_value, 0)[0]
    found = {}
    for fold in np.unique(folds):
        others = sample(index[folds != fold], limit, args.seed)
        given = gather(args.embeddings, others), others["label"].to_numpy()
        found[int(fold)] = classifier.refitted(*given)
    return found


def draws(args: argparse.Namespace, split: str) -> np.ndarray:
    """Draws of the images of a split, groups of them together: float (1 + n_draws, n_images)."""
    index = read_table(args.index, "patches")
    image_rows = np.unique(index["image_row"][index["split"] == split])
    table = args.images.with_suffix(".parquet")
    return draw_groups(groups_of_rows(table, image_rows), BOOTSTRAP_SEED)


def background_auc(scores: np.ndarray, patches: PatchView, weights: np.ndarray) -> Estimate:
    """How well scores tell patches without any of the object from the others, by image."""
    if patches.foreground is None:
        return Estimate(reason="the dataset has no object masks")
    background = patches.foreground == 0
    return estimate(binary_auc_draws(background, scores, patches.image_of, weights))


def leak(
    args: argparse.Namespace, folded: dict[int, Any], train: PatchView, own_weights: np.ndarray
) -> list[dict[str, Any]]:
    """Patch log-loss on train, out of fold, and on val, both by the classifiers of the folds.

    An encoder that was trained on the labels of train images tells them apart better than new
    ones, even to a classifier that has not met them: then the first is lower than the second.
    """
    if train.labels is None or train.probabilities is None:
        return []  # a view without them has nothing to leak
    index = read_table(args.index, "patches")
    val = index[index["split"] == "val"].reset_index(drop=True)
    image_of = np.unique(val["image_row"].to_numpy(), return_inverse=True)[1]
    weights = draws(args, "val")
    labels = val["label"].to_numpy()
    on_val = [
        log_loss_draws(
            labels, softmax(patch_logits(fitted, args.embeddings, val)), image_of, weights
        )
        for fitted in folded.values()
    ]
    own = log_loss_draws(train.labels, train.probabilities, train.image_of, own_weights)
    return [
        row(args.about, "train", "log_loss", estimate(own), own_weights.shape[1]),
        row(args.about, "val", "log_loss", estimate(np.mean(on_val, axis=0)), weights.shape[1]),
    ]


def row(
    about: dict[str, Any], split: str, measure: str, found: Estimate, n_images: int, **more: float
) -> dict[str, Any]:
    """One row of table ``detection``."""
    named = {k: v for k, v in run_columns(about).items() if k != "fusion"}
    values = found.columns | {"n_images": n_images, "work_s": 0.0}
    return named | {"split": split, "measure": measure} | values | more
