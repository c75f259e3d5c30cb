"""What the patches of some test images voted for, and which of them decided, for one run."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench import plan, plugins
from patchbench.bags import Bags
from patchbench.calibration import NO_CALIBRATION, TEMPERATURE, divided
from patchbench.influence import influence
from patchbench.io import read_array, read_json, read_state, read_table
from patchbench.split_bags import split_bags

MAX_PATCHES = 256  # of an image, past which it is not worked out which of them decided
PER_UNIT = 10_000  # influence and attention are kept in whole numbers of this part


def of_run(
    config: Mapping[str, Any], run: plan.Run, rows: np.ndarray, shown: np.ndarray
) -> dict[str, np.ndarray]:
    """Votes, evidence and influence of the p patches of some test images.

    Parameters
    ----------
    rows : int array, (n,)
        Places of the images in images.npy, no two alike.
    shown : int array, (n, k)
        Classes whose evidence is kept.

    Returns
    -------
    arrays : dict
        ``boxes/PATCHES`` int (p, 4), top, left, height, width, px; every image is cut alike. With
        R for ``PATCHES/ENCODER/CLASSIFIER``: ``votes/R`` int16 (n, p), the class of each patch;
        ``evidence/R`` uint8 (n, p, k), its probabilities of the shown classes in 255ths;
        ``influence/R/RULE`` int16 (n, p), see :func:`patchbench.influence.influence`, and where
        nothing votes ``attention/R/RULE`` int16 (n, p), over its mean in the image, both in
        10,000ths.
    """
    folder = Path(plan.PATCHES.format(dataset=run.dataset, patches=run.patches))
    index = read_table(folder / "index.parquet", "patches")
    test = index[index["split"] == "test"]
    mine = test["image_row"].isin(rows).to_numpy()
    order = np.searchsorted(np.sort(rows), rows)  # from images as they lie to images as asked
    first = test[test["image_row"] == rows[0]]
    name, shape = f"{run.patches}/{run.encoder}/{run.classifier}", (len(rows), len(first))
    boxes = first[["y_px", "x_px", "height_px", "width_px"]].to_numpy()
    found = {f"boxes/{run.patches}": boxes}

    def by_image(values: np.ndarray) -> np.ndarray:
        laid: np.ndarray = values.reshape(*shape, *values.shape[1:])[order]
        return laid

    if not run.votes:
        for rule, paid in read_state(Path(f"{run.folder}/attention.npz")).items():
            found[f"attention/{name}/{rule}"] = whole(by_image(paid[mine]) * len(first))
        return found
    val, bags, labels = _bags(config, run, index, mine)
    found[f"votes/{name}"] = by_image(bags.patch_logits.argmax(axis=1)).astype(np.int16)
    evidence = np.take_along_axis(by_image(bags.probabilities), shown[:, None], axis=2)
    found[f"evidence/{name}"] = np.rint(255 * evidence).astype(np.uint8)
    if len(first) <= MAX_PATCHES:
        for rule, spec in plan.fusions_of(config, run).items():
            fitted = plugins.build("fusions", rule, spec).fit(val, labels)
            found[f"influence/{name}/{rule}"] = whole(by_image(influence(fitted.fuse, bags)))
    return found


def _bags(
    config: Mapping[str, Any], run: plan.Run, index: pd.DataFrame, mine: np.ndarray
) -> tuple[Bags, Bags, np.ndarray]:
    """Votes as stage ``fuse`` saw them: of val, and of the asked for images; labels of val.

    ``mine`` is bool (n_test_patches,).
    """
    folder = plan.PATCHES.format(dataset=run.dataset, patches=run.patches)
    side_px = read_json(f"{folder}/extraction.json")["image_size_px"]
    names = plan.shards(config, run.patches)
    logits = [read_array(f"{run.folder}/patch_logits/{shard}.npy") for shard in names]
    noise = _noise(config, run, mine)
    own = pd.concat([index[index["split"] == "val"], index[index["split"] == "test"][mine]])
    val, test = (split_bags(own, logits, split, side_px, noise) for split in ("val", "test"))
    if config.get("calibration", NO_CALIBRATION) == TEMPERATURE:
        by = read_json(f"{run.folder}/fusions.json")["temperature"]
        val, test = (replace(part, bags=divided(part.bags, by)) for part in (val, test))
    return val.bags, test.bags, val.labels


def _noise(config: Mapping[str, Any], run: plan.Run, mine: np.ndarray) -> dict[str, np.ndarray]:
    """What detectors said of these patches, if a rule asks for it."""
    if plan.fusions_of(config, run).keys() <= plan.fusions_on(config, "votes").keys():
        return {}
    scores = read_state(Path(f"{run.folder}/noise/scores.npz"))
    return {
        name: values[mine] if name.startswith("test/") else values
        for name, values in scores.items()
    }


def whole(values: np.ndarray) -> np.ndarray:
    """In whole 10,000ths, int16: what is undefined becomes 0, what is too large the largest."""
    most = np.iinfo(np.int16).max
    scaled = np.rint(PER_UNIT * np.nan_to_num(values))
    return np.clip(scaled, -most, most).astype(np.int16)
