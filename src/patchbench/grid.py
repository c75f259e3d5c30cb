"""Where patches lie in an image: pure geometry, in pixels."""

import numpy as np

EDGES = ("drop", "shift-last", "reflect")


def starts(side_px: int, patch_size_px: int, stride_px: int, edge: str) -> np.ndarray:
    """Top (or left) edges of the patches along one side of an image.

    Parameters
    ----------
    side_px, patch_size_px, stride_px : int
        Side of the image, side of a patch, step between neighbours.
    edge : {"drop", "shift-last", "reflect"}
        What happens where the last step does not end at the border. ``drop`` leaves the rest
        uncovered; ``shift-last`` moves one more patch back to end at the border; ``reflect``
        lets one more patch reach over the border, where the image is mirrored.

    Returns
    -------
    starts : int64 array, (n,)
        Increasing, at least one.

    Raises
    ------
    ValueError
        If the patch is larger than the image, or a number or policy makes no sense.

    Examples
    --------
    >>> [starts(10, 4, 4, edge).tolist() for edge in EDGES]
    [[0, 4], [0, 4, 6], [0, 4, 8]]
    """
    if patch_size_px < 1 or stride_px < 1:
        raise ValueError(
            f"patch_size_px is {patch_size_px} and stride_px is {stride_px}; "
            "both must be at least 1"
        )
    if edge not in EDGES:
        raise ValueError(f"edge is {edge!r}; choose one of {', '.join(EDGES)}")
    if patch_size_px > side_px:
        raise ValueError(
            f"patch_size_px is {patch_size_px} but the images are {side_px} px; "
            "use a smaller patch or a larger image_size_px"
        )
    inside = np.arange(0, side_px - patch_size_px + 1, stride_px)
    covered = inside[-1] + patch_size_px
    if edge == "drop" or covered >= side_px:
        return inside
    last = side_px - patch_size_px if edge == "shift-last" else inside[-1] + stride_px
    # a stride beyond the patch can put the next patch wholly outside: then there is none
    return np.append(inside, last) if last < side_px else inside


def cut(image: np.ndarray, ys: np.ndarray, xs: np.ndarray, patch_size_px: int) -> np.ndarray:
    """Copy the patches at the given places out of an image.

    Parameters
    ----------
    image : array, (height_px, width_px, ...)
        Pixels, or a mask.
    ys, xs : int array
        Top and left edges, as :func:`starts` gives them; patches that reach over the bottom
        or right border see the image mirrored.
    patch_size_px : int
        Side of a patch.

    Returns
    -------
    patches : array, (len(ys) * len(xs), patch_size_px, patch_size_px, ...)
        Row by row, same dtype as ``image``.
    """
    over_y = max(0, int(ys[-1]) + patch_size_px - image.shape[0])
    over_x = max(0, int(xs[-1]) + patch_size_px - image.shape[1])
    if over_y or over_x:
        margins = [(0, over_y), (0, over_x)] + [(0, 0)] * (image.ndim - 2)
        image = np.pad(image, margins, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(
        image, (patch_size_px, patch_size_px), axis=(0, 1)
    )
    # windows: (y, x, ..., patch, patch); bring the patch axes forward
    chosen = np.moveaxis(windows[np.ix_(ys, xs)], (-2, -1), (2, 3))
    return np.ascontiguousarray(chosen.reshape(-1, *chosen.shape[2:]))


def relative_centers(
    y_px: np.ndarray, x_px: np.ndarray, patch_size_px: int, side_px: int
) -> np.ndarray:
    """Patch centres (vertical, horizontal) from -1 to 1: float64 array, (n_patches, 2)."""
    centers = np.stack([y_px, x_px], axis=1) + patch_size_px / 2
    return 2 * centers / side_px - 1


def image_range(shard: int, n_shards: int, n_images: int) -> range:
    """Rows of the images whose patches go into a shard: consecutive, sizes differ by one.

    >>> [list(image_range(k, 3, 7)) for k in range(3)]
    [[0, 1], [2, 3], [4, 5, 6]]
    """
    return range(shard * n_images // n_shards, (shard + 1) * n_images // n_shards)
