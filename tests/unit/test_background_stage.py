"""How votes of background patches are scored: images of one group never apart."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from patchbench.auc import auc_draws
from patchbench.bags import softmax
from patchbench.bootstrap import draw_groups, estimate
from patchbench.evaluation import BOOTSTRAP_SEED
from patchbench.io import read_table, write_array, write_table
from patchbench.stages import background

N_IMAGES, PER_IMAGE = 24, 4
IMAGE_OF = np.repeat(np.arange(N_IMAGES), PER_IMAGE)
LABELS = np.arange(N_IMAGES) % 3 % 2
LOGITS = np.random.default_rng(0).normal(size=(len(IMAGE_OF), 2)).astype(np.float32)


def measured(folder: Path, group_of: Callable[[int], str]) -> pd.DataFrame:
    """The table of one study whose images are in these groups; every patch is background."""
    names = [f"i{i}" for i in range(N_IMAGES)]
    images = pd.DataFrame({"image_id": names, "label": LABELS, "split": "test"})
    images = images.assign(
        group=[group_of(i) for i in range(N_IMAGES)],
        class_name="c",
        source_height_px=16,
        source_width_px=16,
    )
    write_table(folder / "images.parquet", images, "images")
    corner = np.tile(np.arange(PER_IMAGE), N_IMAGES)
    index = pd.DataFrame({"image_row": IMAGE_OF, "row": corner // 2, "col": corner % 2})
    index = index.assign(
        image_id=np.array(names)[IMAGE_OF],
        label=LABELS[IMAGE_OF],
        split="test",
        y_px=corner // 2 * 8,
        x_px=corner % 2 * 8,
        height_px=8,
        width_px=8,
        foreground=0.0,
        shard=0,
        offset=np.arange(len(IMAGE_OF)),
        patch_id=[f"p{i}" for i in range(len(IMAGE_OF))],
    )
    write_table(folder / "index.parquet", index, "patches")
    write_array(folder / "patch_logits.npy", LOGITS)
    args = Namespace(
        index=folder / "index.parquet",
        table=folder / "images.parquet",
        patch_logits=[folder / "patch_logits.npy"],
        maps=None,
        out=folder / "background.parquet",
        about={"dataset": "scenes", "patches": "p8", "encoder": "sift", "classifier": "logistic"},
        code="",
    )
    background.run(args)
    return read_table(args.out, "background").set_index(["by", "measure"])


def test_images_of_a_group_are_drawn_together(tmp_path: Path) -> None:
    found = measured(tmp_path, lambda i: f"scene{i // 2}").loc[("foreground", "auc_macro")]
    weights = draw_groups(np.arange(N_IMAGES) // 2, BOOTSTRAP_SEED)
    wanted = estimate(auc_draws(LABELS[IMAGE_OF], softmax(LOGITS), IMAGE_OF, weights))
    ends = [wanted.value, wanted.low, wanted.high]
    assert found[["value", "low", "high"]].tolist() == pytest.approx(ends)
    apart = measured(tmp_path, str).loc[("foreground", "auc_macro")]
    assert apart["value"] == found["value"]
    assert apart["low"] != found["low"]


def test_one_group_tells_of_no_other(tmp_path: Path) -> None:
    found = measured(tmp_path, lambda i: "all of one patient")
    assert found["value"].notna().all()
    assert found[["low", "high"]].isna().all(axis=None)
