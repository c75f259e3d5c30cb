"""Whether a map of evidence says what the network really used, and where it lies in the image.

A map gives one number per place of a coarse grid. Deletion and insertion ask the network again
with the most salient parts of the image taken away or put back (Petsiuk et al., BMVC 2018,
arXiv:1806.07421). The pointing game (Zhang et al., ECCV 2016, arXiv:1608.00507) and the share of
evidence inside the object (Wang et al., CVPR Workshops 2020, arXiv:1910.01279) compare a map with
the mask of the object.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from patchbench.bootstrap import Estimate, draw_groups, estimate

FRACTIONS = np.linspace(0.0, 1.0, 11)
# cells that are taken away: the same grid for every map, so that coarse maps have no advantage
CELLS_PER_SIDE = 12
_CHUNK_PATCHES = 4096

Ask = Callable[[np.ndarray], np.ndarray]
"""Pixels, float32 (n, height_px, width_px, 3), 0-255, to probabilities (n, n_classes)."""


def interpolation(side_px: int, n_places: int) -> np.ndarray:
    """Weights that carry a line of places to a line of pixels, bilinearly.

    Each place stands at the middle of its equal share of the side; pixels before the first
    middle and after the last take the value there.

    Returns
    -------
    weights : float64 array, (side_px, n_places)
        Rows sum to 1.

    Examples
    --------
    >>> interpolation(4, 2)
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]])
    """
    return between((np.arange(side_px) + 0.5) * n_places / side_px - 0.5, n_places)


def between(at: np.ndarray, n_places: int) -> np.ndarray:
    """Weights that read a line of places in between, linearly.

    Parameters
    ----------
    at : float array, (n,)
        Where to read, on the scale of the places, 0 to ``n_places - 1``; beyond, the outer
        ones count.

    Returns
    -------
    weights : float64 array, (n, n_places)
        Rows sum to 1.
    """
    at = np.clip(at, 0, n_places - 1)
    weights: np.ndarray = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(n_places)))
    return weights


def resized(maps: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """Bilinear maps of the size of the image: (n, rows, cols) to float64 (n, height, width)."""
    down, across = interpolation(height_px, maps.shape[1]), interpolation(width_px, maps.shape[2])
    large: np.ndarray = down @ maps.astype(np.float64) @ across.T
    return large


def patch_means(
    maps: np.ndarray, map_of: np.ndarray, boxes: np.ndarray, height_px: int, width_px: int
) -> np.ndarray:
    """Mean of the resized map of its image over each patch, without resizing any map.

    Interpolation works along one side at a time, so the mean over a box is a product of two
    short vectors with the map: exact, and in memory a few numbers per patch.

    Parameters
    ----------
    maps : float array, (n_maps, rows, cols)
        May be memory-mapped.
    map_of : int array, (n_patches,)
        Row of ``maps`` that belongs to the image of each patch.
    boxes : int array, (n_patches, 4)
        ``y_px, x_px, height_px, width_px`` of each patch, as in table "patches"; where one
        reaches over the bottom or right border, the image is mirrored, as in `grid.cut`.
    height_px, width_px : int
        Sides of the images.

    Returns
    -------
    means : float64 array, (n_patches,)

    Examples
    --------
    >>> ramp = np.array([[[0.0, 1.0]]])
    >>> patch_means(ramp, np.array([0, 0]), np.array([[0, 0, 2, 2], [0, 2, 2, 2]]), 2, 4)
    array([0.125, 0.875])
    """
    down = _running(height_px, maps.shape[1])
    across = _running(width_px, maps.shape[2])
    means = np.empty(len(boxes))
    for start in range(0, len(boxes), _CHUNK_PATCHES):
        part = slice(start, start + _CHUNK_PATCHES)
        y, x, height, width = np.asarray(boxes[part]).T
        vertical = (down[y + height] - down[y]) / height[:, None]
        horizontal = (across[x + width] - across[x]) / width[:, None]
        chosen = maps[map_of[part]]
        means[part] = np.einsum("pr,prc,pc->p", vertical, chosen, horizontal, optimize=True)
    return means


def _running(side_px: int, n_places: int) -> np.ndarray:
    """Running sums of the interpolation along a side and its mirror image beyond the border."""
    weights = interpolation(side_px, n_places)
    weights = np.concatenate([np.zeros((1, n_places)), weights, weights[::-1]])
    running: np.ndarray = np.cumsum(weights, axis=0)
    return running


def cell_edges(side_px: int) -> np.ndarray:
    """Where the cells that are taken away begin and end along a side, px: int (n_cells + 1,)."""
    n_cells = min(CELLS_PER_SIDE, side_px)
    return np.linspace(0, side_px, n_cells + 1).round().astype(np.int64)


def salience_order(values: np.ndarray, seed: int) -> np.ndarray:
    """Cells from the highest value to the lowest; equal ones in a random order, by ``seed``.

    A map after a ReLU is zero at many cells; in reading order these would always go from the
    top left.
    """
    tie_breaks = np.random.default_rng(seed).random(values.size)
    return np.lexsort((tie_breaks, -values.ravel()))


def curve_area(heights: np.ndarray) -> np.ndarray:
    """Area below curves over `FRACTIONS`, 0-1: (..., n_fractions) to (...)."""
    area: np.ndarray = np.trapezoid(heights, FRACTIONS, axis=-1)
    return area


@dataclass(frozen=True)
class Perturbation:
    """Deletion and insertion of one image, cell by cell of a fixed grid.

    Parameters
    ----------
    fill : float array, (3,)
        Colour of what was taken away: the mean colour of the train images, zero to a network
        that scales its input. A blurred image would keep the object's colours, which are
        evidence in themselves.
    seed : int
        Orders cells of equal value.
    """

    fill: np.ndarray
    seed: int = 0

    def areas(
        self, ask: Ask, image: np.ndarray, cam: np.ndarray, label: int
    ) -> tuple[float, float]:
        """Area below the probability of ``label`` as cells go, and as they come back.

        Parameters
        ----------
        ask : callable
            The network.
        image : uint8 array, (height_px, width_px, 3)
        cam : float array, (rows, cols)
            The image's map; cells go from its highest values on.
        label : int
            Class explained.

        Returns
        -------
        deletion, insertion : float
            0-1. A faithful map has a small first and a large second.
        """
        present = self._present(cam, *image.shape[:2])
        probabilities = ask(self._pictures(image, np.concatenate([~present, present])))
        curves = probabilities[:, label].reshape(2, len(FRACTIONS))
        deletion, insertion = curve_area(curves)
        return float(deletion), float(insertion)

    def _present(self, cam: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
        """Pixels of the cells taken so far: bool (n_fractions, height_px, width_px)."""
        ys, xs = cell_edges(height_px), cell_edges(width_px)
        corners = np.stack(np.meshgrid(ys[:-1], xs[:-1], indexing="ij"), axis=-1)
        sizes = np.stack(np.meshgrid(np.diff(ys), np.diff(xs), indexing="ij"), axis=-1)
        boxes = np.concatenate([corners, sizes], axis=-1).reshape(-1, 4)
        values = patch_means(cam[None], np.zeros(len(boxes), int), boxes, height_px, width_px)
        rank = np.empty(len(boxes), int)
        rank[salience_order(values, self.seed)] = np.arange(len(boxes))
        taken = rank < np.round(FRACTIONS * len(boxes))[:, None]
        cells = taken.reshape(len(FRACTIONS), len(ys) - 1, len(xs) - 1)
        return cells.repeat(np.diff(ys), axis=1).repeat(np.diff(xs), axis=2)

    def _pictures(self, image: np.ndarray, visible: np.ndarray) -> np.ndarray:
        filled = np.asarray(self.fill, np.float32)
        pictures: np.ndarray = np.where(visible[..., None], image.astype(np.float32), filled)
        return pictures


def energy_in_mask(cam: np.ndarray, mask: np.ndarray) -> float:
    """Share of a map's positive evidence that lies inside the object, 0-1.

    Parameters
    ----------
    cam : float array, (rows, cols)
        Negative values count as none.
    mask : bool array, (height_px, width_px)

    Returns
    -------
    share : float
        That of the mask where the map has no positive value: what a blank map is worth.
    """
    large = resized(np.maximum(cam, 0)[None], *mask.shape)[0]
    total = large.sum()
    return float(large[mask].sum() / total) if total > 0 else float(mask.mean())


def points_at_mask(cam: np.ndarray, mask: np.ndarray) -> bool:
    """Whether the middle of a map's highest place lies inside the object.

    A map without a positive value points at the centre of the image, the guess of whoever has
    no map. Arguments as in `energy_in_mask`.
    """
    if cam.max() > 0:
        row, col = np.unravel_index(int(cam.argmax()), cam.shape)
        y, x = (int(row) + 0.5) / cam.shape[0], (int(col) + 0.5) / cam.shape[1]
    else:
        y, x = 0.5, 0.5
    return bool(mask[int(y * mask.shape[0]), int(x * mask.shape[1])])


def mean_over_images(values: np.ndarray, group_of: np.ndarray, seed: int) -> Estimate:
    """Mean of one value per image, 0-1, (n_images,), with its interval over their groups."""
    weights = draw_groups(group_of, seed)
    means = weights @ np.asarray(values, np.float64) / weights.sum(axis=1)
    return estimate(means, n_trials=int(group_of.max()) + 1)
