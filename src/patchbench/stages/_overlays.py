"""Some test images of a study with what was seen in them: maps, and the patches detectors keep."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench import noise, plan
from patchbench.images import resize
from patchbench.io import read_array, read_state, read_table
from patchbench.sampling import draw
from patchbench.seeds import derive
from patchbench.sweep_results import FRACTION

N_IMAGES = 6
SIDE_PX = 160  # side of what is kept of an image, at most
# shown if they ran, in this order; the first by maps, the second by votes, the last by the truth
DETECTORS = ("gradcam", "entropy", "oracle_mask")
EVIDENCE = "evidence"
# rules whose attention is shown, by the encoder of the run
ATTENDING = ("abmil", "position_transformer")


def overlays(config: dict[str, Any]) -> dict[str, np.ndarray]:
    """What figure "overlays" shows, under ``dataset/name``; empty where no detectors ran.

    Returns
    -------
    arrays : dict
        ``images`` uint8 (n, side, side, 3); ``labels`` int (n,); ``predicted`` int (n,), by the
        network that the first map is of; ``masks`` bool (n, side, side), where there are any;
        ``maps/EXPLAIN/NETWORK`` float32 (n, rows, cols), raw, of the predicted class;
        ``maps/RULE/ENCODER`` float32 (n, side, side), attention over its mean in the image;
        ``kept/DETECTOR`` float32 (n, side, side), which share of the patches that cover a pixel
        is kept when half of its patches are dropped, NaN where none covers it.
    """
    found = dict[str, np.ndarray]()
    for dataset in config["benchmark"]["datasets"]:
        runs = [run for run in plan.swept(config) if run.dataset == dataset]
        if runs:
            arrays = _of_dataset(config, runs)
            found |= {f"{dataset}/{name}": array for name, array in arrays.items()}
    return found


def _of_dataset(config: dict[str, Any], runs: list[plan.Run]) -> dict[str, np.ndarray]:
    """Of one dataset, by the run of a network if there is one, at the first seed."""
    run = next((run for run in runs if plan.head_of(config, run.encoder)), runs[0])
    folder = Path(plan.DATASET.format(dataset=run.dataset))
    table = read_table(folder / "images.parquet", "images")
    maps = {name: _maps(path) for name, path in _map_folders(config, run).items()}
    rows = np.flatnonzero(table["split"] == "test")
    for explained, _ in maps.values():
        rows = np.intersect1d(rows, explained.index)
    labels = table["label"].to_numpy()
    rows = rows[draw(labels[rows], N_IMAGES, derive(run.seed, "overlays"))]
    rows = rows[np.argsort(labels[rows], kind="stable")]
    images = read_array(folder / "images.npy")
    side_px = min(SIDE_PX, images.shape[1])
    found = {
        "images": np.stack([resize(images[row], side_px) for row in rows]),
        "labels": labels[rows],
    }
    masks = read_array(folder / "masks.npy")
    if len(masks):
        at = (np.arange(side_px) * images.shape[1]) // side_px
        found["masks"] = masks[rows][:, at][:, :, at].astype(bool)
    for name, (explained, cams) in maps.items():
        found[f"maps/{name}"] = cams[explained.loc[rows, "place"]]
        found.setdefault("predicted", explained.loc[rows, "predicted"].to_numpy())
    return found | _by_patches(config, run, rows, images.shape[1], side_px)


def _map_folders(config: dict[str, Any], run: plan.Run) -> dict[str, Path]:
    """Folders of the maps to show, the CNN's Grad-CAM first, under ``EXPLAIN/NETWORK``."""
    found = {}
    folder = plan.grad_cam(config, run.dataset, run.seed)
    if folder is not None:
        found[f"{plan.GRAD_CAM}/{config['noise']['cnn']}"] = Path(folder)
    for other in plan.explanations(config):
        own = (other.run.dataset, other.run.seed) == (run.dataset, run.seed)
        if own and other.explain == EVIDENCE and other.run.encoder == run.encoder:
            found[f"{EVIDENCE}/{run.encoder}"] = Path(other.folder)
    return found


def _maps(folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Where each image's map is and what was predicted, by row of the image; the maps."""
    explained = read_table(folder / "explained.parquet", "explained")
    explained["place"] = np.arange(len(explained))
    return explained.set_index("image_row"), read_array(folder / "predicted.npy")


def _by_patches(
    config: dict[str, Any], run: plan.Run, rows: np.ndarray, image_px: int, side_px: int
) -> dict[str, np.ndarray]:
    """What is known of the patches of the images: attention paid, and what detectors keep."""
    index = read_table(
        plan.PATCHES.format(dataset=run.dataset, patches=run.patches) + "/index.parquet", "patches"
    )
    test = index[index["split"] == "test"].reset_index(drop=True)
    values = _attention(config, run, test) | _kept(config, run, test)
    return {
        name: np.stack(
            [_spread(test[test["image_row"] == row], value, side_px, image_px) for row in rows]
        )
        for name, value in values.items()
    }


def _attention(config: dict[str, Any], run: plan.Run, test: pd.DataFrame) -> dict[str, np.ndarray]:
    """Attention of rules on embeddings to each test patch, over its mean in the image."""
    pooled, found = plan.fusions_on(config, "embeddings"), {}
    if not pooled:
        return {}
    paid = read_state(Path(f"{run.encoder_folder}/pooled/attention.npz"))
    per_image = test.groupby("image_row")["offset"].transform("size").to_numpy()
    for kind in ATTENDING:
        for name, spec in pooled.items():
            if spec.get("type", name) == kind:
                found[f"maps/{name}/{run.encoder}"] = paid[name] * per_image
    return found


def _kept(config: dict[str, Any], run: plan.Run, test: pd.DataFrame) -> dict[str, np.ndarray]:
    """Which test patches each of `DETECTORS` keeps when half of each image is dropped."""
    image_of = np.unique(test["image_row"].to_numpy(), return_inverse=True)[1]
    scores = read_state(Path(f"{run.folder}/noise/scores.npz"))
    found = {}
    for kind in DETECTORS:
        for name, spec in config["detectors"].items():
            if spec.get("type", name) != kind or f"test/{name}" not in scores:
                continue
            score, seed = scores[f"test/{name}"], derive(run.seed, "overlays")
            kept = noise.without_worst_of_each(score, FRACTION, image_of, seed).rows
            found[f"kept/{name}"] = kept
    return found


def _spread(patches: pd.DataFrame, values: np.ndarray, side_px: int, image_px: int) -> np.ndarray:
    """Mean over the patches on each pixel of a value of all: float32 (side_px, side_px)."""
    over, total = np.zeros((2, side_px, side_px), np.float32)
    boxes = patches[["y_px", "x_px", "height_px", "width_px"]].to_numpy()
    for (y, x, height, width), value in zip(boxes, values[patches.index], strict=True):
        top, left, bottom, right = np.rint(
            np.array([y, x, y + height, x + width]) * side_px / image_px
        ).astype(int)
        over[top:bottom, left:right] += 1
        total[top:bottom, left:right] += value
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = total / over
    return mean
