"""Ask whether background patches hurt: how test patches vote, by saliency and by true foreground.

Patches are told apart by how much of the Grad-CAM map they hold (deciles) and, where masks
exist, by their share of object. Writes ``background.parquet``: AUC and log-loss of the votes in
each group, and how many of the confident wrong votes come from background.
"""

import argparse
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench.auc import auc_draws
from patchbench.bags import softmax
from patchbench.bootstrap import draw_groups
from patchbench.cost import Work
from patchbench.evaluation import BOOTSTRAP_SEED, run_columns
from patchbench.io import provenance, read_json, read_table, write_table
from patchbench.metrics import Estimate, estimate, log_loss_draws, share_draws
from patchbench.noise import relative
from patchbench.patchset import gather, groups_of_rows
from patchbench.saliency import PREDICTED, patch_saliency

N_SALIENCY = 10
FOREGROUND_EDGES = (0.0, 0.25, 0.5, 0.75, 1.0)
# a vote is confident where it gives its class more than all others together
CONFIDENT = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--index", type=Path, required=True, help="index.parquet of the patches")
    parser.add_argument("--table", type=Path, required=True, help="images.parquet of the dataset")
    parser.add_argument("--patch-logits", type=Path, nargs="+", required=True, help="all shards")
    parser.add_argument("--maps", type=Path, help="folder of Grad-CAM maps, by stage explain")
    parser.add_argument("--out", type=Path, required=True, help="background.parquet to write")


def run(args: argparse.Namespace) -> Work:
    """Group the votes on test patches and score each group."""
    index = read_table(args.index, "patches")
    test = index[index["split"] == "test"].reset_index(drop=True)
    votes = softmax(gather(args.patch_logits, test))
    labels = test["label"].to_numpy()
    image_rows, image_of = np.unique(test["image_row"].to_numpy(), return_inverse=True)
    weights = draw_groups(groups_of_rows(args.table, image_rows), BOOTSTRAP_SEED)
    rows = []
    for by, place, low, high, chosen in groups(args, test, image_of):
        group = {"by": by, "bin": place, "bin_low": low, "bin_high": high}
        part = labels[chosen], votes[chosen], image_of[chosen], weights
        for measure, draws in (("auc_macro", auc_draws), ("log_loss", log_loss_draws)):
            rows.append(group | _measured(measure, estimate(draws(*part)), int(chosen.sum())))
    foreground = test["foreground"].to_numpy(dtype=np.float64)
    if not np.isnan(foreground).any():
        rows += confident_mistakes(foreground == 0, votes, labels, image_of, weights)
    named = {k: v for k, v in run_columns(args.about).items() if k not in ("fusion", "detector")}
    table = pd.DataFrame(rows).assign(**named, n_images=weights.shape[1])
    write_table(args.out, table, "background", provenance("background", args.code, {}))
    return Work(len(test), "patch")


def groups(
    args: argparse.Namespace, test: pd.DataFrame, image_of: np.ndarray
) -> Iterator[tuple[str, int, float, float, np.ndarray]]:
    """What the patches are told apart by, number and ends of the group, and who is in it."""
    if args.maps is not None:
        side_px = read_json(args.index.with_name("extraction.json"))["image_size_px"]
        raw = patch_saliency(args.maps, PREDICTED, test, (side_px, side_px))
        saliency = relative(raw, image_of)
        edges = np.quantile(saliency, np.linspace(0, 1, N_SALIENCY + 1))
        place = np.clip(np.searchsorted(edges, saliency, "right") - 1, 0, N_SALIENCY - 1)
        for i in np.unique(place):
            yield "saliency", int(i), edges[i], edges[i + 1], place == i
    foreground = test["foreground"].to_numpy(dtype=np.float64)
    if np.isnan(foreground).any():
        return
    yield "foreground", 0, 0.0, 0.0, foreground == 0
    for i, (low, high) in enumerate(pairwise(FOREGROUND_EDGES), 1):
        chosen = (foreground > low) & (foreground <= high)
        if chosen.any():
            yield "foreground", i, low, high, chosen


def confident_mistakes(
    background: np.ndarray,
    votes: np.ndarray,
    labels: np.ndarray,
    image_of: np.ndarray,
    weights: np.ndarray,
) -> list[dict[str, Any]]:
    """Share of background among confident wrong votes, and among all patches to compare with."""
    wrong = (votes.argmax(axis=1) != labels) & (votes.max(axis=1) > CONFIDENT)
    group = {"by": "votes", "bin": 0, "bin_low": np.nan, "bin_high": np.nan}
    rows = []
    for measure, among in (
        ("background_among_confident_wrong", wrong),
        ("background_among_all", np.ones(len(wrong), dtype=bool)),
    ):
        draws = share_draws(background, among, image_of, weights)
        rows.append(group | _measured(measure, estimate(draws), int(among.sum())))
    return rows


def _measured(measure: str, found: Estimate, n_patches: int) -> dict[str, Any]:
    return {"measure": measure, "n_patches": n_patches} | found.columns
