"""Cut an image into tiles that overlap by just what a feature sees beyond its own step.

Neighbouring features of a BagNet are 8 px apart, and a feature sees ``receptive_field_px``.
Tiles that overlap by the difference hold every feature once, computed from the same pixels as in
the whole image.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from patchbench.errors import UserError
from patchbench.networks.bagnet import FEATURE_STRIDE_PX, BagNet
from patchbench.streaming import footprint


@dataclass(frozen=True)
class Tile:
    """A tile: its pixels and its features.

    Attributes
    ----------
    y_px, x_px, height_px, width_px : int
        Where it is in the image.
    rows, cols : slice
        Which features of the image are computed from it.
    """

    y_px: int
    x_px: int
    height_px: int
    width_px: int
    rows: slice
    cols: slice


@dataclass(frozen=True)
class Layout:
    """The tiles of one image.

    Attributes
    ----------
    row_counts, col_counts : list of int
        Features of the tiles along each side.
    receptive_field_px : int
        Side of what one feature sees.
    """

    row_counts: list[int]
    col_counts: list[int]
    receptive_field_px: int

    @property
    def n_rows(self) -> int:
        """Rows of features of the image."""
        return sum(self.row_counts)

    @property
    def n_cols(self) -> int:
        """Columns of features of the image."""
        return sum(self.col_counts)

    @property
    def n_tiles(self) -> int:
        """How many tiles there are."""
        return len(self.row_counts) * len(self.col_counts)

    @property
    def tile_px(self) -> int:
        """Longest side of a tile."""
        return self._side(max(self.row_counts + self.col_counts))

    def _side(self, n_features: int) -> int:
        return (n_features - 1) * FEATURE_STRIDE_PX + self.receptive_field_px

    @cached_property
    def _along(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the rows of tiles, and of the columns: first features and how many, int64 (2, n)."""
        down, across = (
            np.stack([np.cumsum(counts) - counts, counts])
            for counts in (self.row_counts, self.col_counts)
        )
        return down, across

    def boxes(self, indices: np.ndarray) -> np.ndarray:
        """Where some tiles are, by their places in the order.

        Returns
        -------
        boxes : int64 array, (n, 4)
            ``y_px, x_px, height_px, width_px`` of each.
        """
        rows, cols = np.divmod(indices, len(self.col_counts))
        down, across = self._along[0][:, rows], self._along[1][:, cols]
        found = np.stack([down[0], across[0], down[1] - 1, across[1] - 1], axis=1)
        return found * FEATURE_STRIDE_PX + [0, 0, *[self.receptive_field_px] * 2]

    def tile(self, index: int) -> Tile:
        """One tile by its place in the order; an image may have millions, so none is kept."""
        row, col = divmod(int(index), len(self.col_counts))
        top, n_rows = (int(of) for of in self._along[0][:, row])
        left, n_cols = (int(of) for of in self._along[1][:, col])
        return Tile(
            top * FEATURE_STRIDE_PX,
            left * FEATURE_STRIDE_PX,
            self._side(n_rows),
            self._side(n_cols),
            slice(top, top + n_rows),
            slice(left, left + n_cols),
        )

    def __iter__(self) -> Iterator[Tile]:
        """Row by row, from the top left."""
        return map(self.tile, range(self.n_tiles))

    def redundant_work(self, model: BagNet) -> float:
        """Share of work done twice, where tiles overlap, relative to one pass over the image."""
        sides = [(self._side(n), self.row_counts.count(n)) for n in set(self.row_counts)]
        others = [(self._side(n), self.col_counts.count(n)) for n in set(self.col_counts)]
        tiled = sum(
            footprint.multiply_adds(model, height, width) * n_rows * n_cols
            for height, n_rows in sides
            for width, n_cols in others
        )
        whole = self._side(self.n_rows), self._side(self.n_cols)
        return tiled / footprint.multiply_adds(model, *whole) - 1


def laid_out(model: BagNet, height_px: int, width_px: int, tile_px: int) -> Layout:
    """Cover an image with tiles of at most ``tile_px``, as equal in size as they can be.

    Raises
    ------
    UserError
        If image or tile are smaller than what one feature sees, or ``tile_px`` is no whole number.
    """
    field_px = model.receptive_field_px
    if isinstance(tile_px, bool) or not isinstance(tile_px, int | np.integer):
        raise UserError(
            f"tile_px is {tile_px}, no whole number; give the longest side of a tile in px"
        )
    if min(height_px, width_px) < field_px:
        raise UserError(
            f"the image has {height_px} x {width_px} px, but one feature of this BagNet sees "
            f"{field_px} x {field_px} px; enlarge the image or take a smaller receptive field"
        )
    if tile_px < field_px:
        raise UserError(
            f"tile_px is {tile_px}, less than the receptive field of {field_px} px; "
            f"give at least {field_px}"
        )
    most = n_features(field_px, tile_px)
    return Layout(
        _equal_parts(n_features(field_px, height_px), most),
        _equal_parts(n_features(field_px, width_px), most),
        field_px,
    )


def laid_out_alike(model: BagNet, height_px: int, width_px: int, patch_px: int) -> Layout:
    """As `laid_out`, but all patches equal, and what is left at the borders smaller ones."""
    field_px = model.receptive_field_px
    laid_out(model, height_px, width_px, patch_px)  # refuses what is too small
    most = n_features(field_px, patch_px)
    counts = []
    for side_px in (height_px, width_px):
        n_full, rest = divmod(n_features(field_px, side_px), most)
        counts.append([most] * n_full + [rest] * bool(rest))
    return Layout(counts[0], counts[1], field_px)


def n_features(receptive_field_px: int, side_px: int) -> int:
    """Features along a side."""
    return (side_px - receptive_field_px) // FEATURE_STRIDE_PX + 1


def _equal_parts(n: int, most: int) -> list[int]:
    n_parts = -(-n // most)
    return [n // n_parts + (part < n % n_parts) for part in range(n_parts)]


def within(
    model: BagNet, height_px: int, width_px: int, max_memory_mib: float, training: bool
) -> int:
    """Largest side of a tile, px, whose feature maps stay within ``max_memory_mib``.

    Raises
    ------
    UserError
        If not even one feature does.
    """
    needed = footprint.training_mib if training else footprint.inference_mib
    field_px = model.receptive_field_px
    if not needed(model, field_px, field_px) <= max_memory_mib:
        least = -(-needed(model, field_px, field_px) // 1)
        raise UserError(
            f"max_memory_mib is {max_memory_mib:g}, less than one receptive field of {field_px} px "
            f"takes; give at least {least:.0f}"
        )
    # halving finds the largest that fits, as memory grows with the tile
    fits, too_many = 1, n_features(field_px, max(height_px, width_px, field_px)) + 1
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        side = (middle - 1) * FEATURE_STRIDE_PX + field_px
        tile = min(side, max(height_px, field_px)), min(side, max(width_px, field_px))
        if needed(model, *tile) <= max_memory_mib:
            fits = middle
        else:
            too_many = middle
    return (fits - 1) * FEATURE_STRIDE_PX + field_px
