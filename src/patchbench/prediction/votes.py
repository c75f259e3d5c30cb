"""Decide on an image by the votes of its patches, which are read, encoded and forgotten in tiles.

What grows with the image are the votes alone: 4 bytes for each patch and class, and a few times
that while a fusion rule works on them.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isqrt
from typing import Any

import numpy as np

from patchbench import grid, plugins
from patchbench.asking import patch_method
from patchbench.bags import Bags, weightless
from patchbench.calibration import TEMPERATURE, divided
from patchbench.errors import UserError
from patchbench.io import read_array, read_json, read_state, read_table
from patchbench.patchset import shard_name
from patchbench.prediction.answer import Answer, Grid, Pipeline
from patchbench.prediction.run_folder import RunFolder
from patchbench.progress import progress
from patchbench.split_bags import split_bags
from patchbench.windows import Windows

# a tile holds at most so many patches, and is at most so wide unless a single patch is wider
_TILE_PATCHES = 512
_TILE_PX = 384


@dataclass(frozen=True)
class Cutting:
    """How a run cuts images into patches."""

    patch_size_px: int
    stride_px: int
    edge: str

    def grid(self, height_px: int, width_px: int) -> Grid:
        """Places of the patches in an image.

        Raises
        ------
        UserError
            If it is smaller than a patch.
        """
        if min(height_px, width_px) < self.patch_size_px:
            raise UserError(
                f"{width_px} x {height_px} px is smaller than a patch of {self.patch_size_px} px; "
                "leave --full-size out to have the image enlarged"
            )
        ys, xs = (
            grid.starts(side, self.patch_size_px, self.stride_px, self.edge)
            for side in (height_px, width_px)
        )
        return Grid(ys, xs, self.patch_size_px)

    @property
    def tile_rows(self) -> int:
        """Patches along a side of a tile."""
        inside = 1 + (_TILE_PX - self.patch_size_px) // self.stride_px
        return max(1, min(inside, isqrt(_TILE_PATCHES)))


def cutting_of(run: RunFolder) -> Cutting:
    """Patch size, stride and edge policy of a run.

    Raises
    ------
    UserError
        If the index of its patches does not tell.
    """
    path = run.patches / "index.parquet"
    try:
        spec = json.loads(run.spec(path)["spec"])
        return Cutting(*(spec[name] for name in ("patch_size_px", "stride_px", "edge")))
    except KeyError as error:
        raise UserError(
            f"{path} does not tell how patches were cut; make it again with --spec"
        ) from error


def tiles(where: Grid, n_rows: int) -> list[tuple[slice, slice]]:
    """Rows and columns of the grid in tiles of ``n_rows`` by ``n_rows`` patches."""
    down, across = (
        [slice(start, min(start + n_rows, n)) for start in range(0, n, n_rows)] for n in where.shape
    )
    return [(rows, cols) for rows in down for cols in across]


def read_tile(
    windows: Windows, where: Grid, rows: slice, cols: slice
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels of a tile, uint8 (height_px, width_px, 3), and edges of its patches in it.

    Patches that reach over the border of the image reach over that of the tile, which is large
    enough to be mirrored there as the image would be.
    """
    top, bottom, ys = _span(where.ys[rows], where.patch_size_px, windows.height_px)
    left, right, xs = _span(where.xs[cols], where.patch_size_px, windows.width_px)
    pixels = windows.read(top, left, bottom - top, right - left)
    return np.ascontiguousarray(pixels), ys, xs


def _span(starts: np.ndarray, patch_size_px: int, side_px: int) -> tuple[int, int, np.ndarray]:
    end = int(starts[-1]) + patch_size_px
    mirrored = max(0, end - side_px)
    first = min(int(starts[0]), max(0, side_px - mirrored)) if mirrored else int(starts[0])
    return first, min(end, side_px), starts - first


@dataclass(frozen=True)
class Voting:
    """An encoder, a patch classifier and a fusion rule, all fitted.

    Attributes
    ----------
    temperature : float or None
        What patch logits are divided by; None for nothing.
    """

    encoder: Any
    classifier: Any
    rule: Any
    cutting: Cutting
    temperature: float | None

    def decide(self, windows: Windows, name: str) -> Answer:
        """Votes of all patches, tile by tile, and the decision.

        Raises
        ------
        UserError
            If the image is smaller than a patch, or a vote is not finite.
        """
        where = self.cutting.grid(windows.height_px, windows.width_px)
        votes: np.ndarray | None = None
        for rows, cols in self._tiles(where, name):
            pixels, ys, xs = read_tile(windows, where, rows, cols)
            ask = patch_method(self.encoder, self.classifier, ys, xs, where.patch_size_px)
            found = ask(pixels[None])[0]
            if votes is None:
                votes = np.empty((*where.shape, found.shape[1]), found.dtype)
            votes[rows, cols] = found.reshape(len(ys), len(xs), -1)
        assert votes is not None  # a grid has at least one tile
        bags = self._bags(votes.reshape(-1, votes.shape[2]), where, windows)
        evidence = bags.probabilities.astype(np.float32).reshape(votes.shape)
        with weightless() as counts:
            decision = self.rule.fuse(bags)[0]
        if counts:
            print(f"{name}: no patch has a weight above 0, so all count alike", file=sys.stderr)
        return Answer(decision, where, evidence)

    def _tiles(self, where: Grid, name: str) -> Iterator[tuple[slice, slice]]:
        todo = tiles(where, self.cutting.tile_rows)
        return progress(todo, name, "tile") if len(todo) > 1 else iter(todo)

    def _bags(self, logits: np.ndarray, where: Grid, windows: Windows) -> Bags:
        down, across = (
            grid.relative_centers(at, at, where.patch_size_px, side_px)[:, 0]
            for at, side_px in ((where.ys, windows.height_px), (where.xs, windows.width_px))
        )
        centers = np.stack(np.meshgrid(down, across, indexing="ij"), axis=-1).reshape(-1, 2)
        bags = Bags(logits, np.array([len(logits)]), centers)
        return bags if self.temperature is None else divided(bags, self.temperature)


def open_votes(run: RunFolder, fusion: str | None, device: str, threads: int) -> Pipeline:
    """Restore a run whose patches vote; see :func:`patchbench.prediction.open_pipeline`."""
    cutting = cutting_of(run)
    encoder = open_encoder(run, cutting.patch_size_px, device, threads)
    state = run.path / run.kind
    classifier = plugins.build(
        "classifiers", run.path.name, run.spec(state), seed=run.seed, threads=threads
    )
    classifier.restore(run.read(state, read_state))
    _refuse_strangers(run, encoder, classifier)
    fused = run.path / "fusions.json"
    told = run.read(fused, read_json)
    by = told["temperature"] if told["calibration"] == TEMPERATURE else None
    name, rule = _rule(run, run.spec(fused)["fusions"], fusion, by)
    calibration = {"method": told["calibration"]} | ({} if by is None else {"temperature": by})
    voting = Voting(encoder, classifier, rule, cutting, by)
    return Pipeline(run.classes, run.preparation, voting.decide, name, True, calibration)


def open_encoder(run: RunFolder, patch_size_px: int, device: str, threads: int) -> Any:
    """The encoder of a run, restored."""
    path = run.encoder / "encoder.npz"
    fixed = {"seed": run.seed, "device": device, "threads": threads}
    encoder = plugins.build(
        "encoders", run.encoder.name, run.spec(path), patch_size_px=patch_size_px, **fixed
    )
    encoder.restore(run.read(path, read_state))
    return encoder


def _refuse_strangers(run: RunFolder, encoder: Any, classifier: Any) -> None:
    """Refuse a patch classifier of other embeddings or classes than those of the run."""
    try:
        n_classes = classifier.logits(np.empty((0, encoder.dim), np.float32)).shape[1]
    except (ValueError, AssertionError) as error:
        raise UserError(
            f"{run.path / run.kind} was not fitted on embeddings of {run.encoder}, which have "
            f"{encoder.dim} values; fit it again"
        ) from error
    if n_classes != len(run.classes):
        raise UserError(
            f"{run.path / run.kind} tells {n_classes} classes apart, but the dataset in "
            f"{run.dataset} has {len(run.classes)}; fit it again"
        )


def _rule(
    run: RunFolder, specs: dict[str, Any], asked: str | None, by: float | None
) -> tuple[str, Any]:
    """The rule to decide by, fitted on the votes of val as stage ``fuse`` fitted it.

    Rules that ask detectors are left out, since these would have to see the new patches first.
    """
    rules = {name: plugins.build("fusions", name, spec) for name, spec in specs.items()}
    if asked in rules and rules[asked].uses != "votes":
        raise UserError(
            f"the fusion {asked!r} weighs patches by what a detector says, which knows patches of "
            "the dataset only; choose another, or leave --fusion out"
        )
    usable = {name: rule for name, rule in rules.items() if rule.uses == "votes"}
    name = run.chosen(usable, asked)
    if not usable[name].fitted:
        return name, usable[name]
    index = run.read(run.patches / "index.parquet", lambda path: read_table(path, "patches"))
    side_px = run.read(run.patches / "extraction.json", read_json)["image_size_px"]
    n_shards = int(index["shard"].max()) + 1
    shards = [run.path / "patch_logits" / f"{shard_name(i, n_shards)}.npy" for i in range(n_shards)]
    val = split_bags(index, [run.read(path, read_array) for path in shards], "val", side_px)
    if by is not None:
        val = replace(val, bags=divided(val.bags, by))
    return name, usable[name].fit(val.bags, val.labels)
