"""SIFT descriptors at given places of many patches, in grey or in opponent colours.

Descriptors by OpenCV, at places and a scale chosen here: nothing is detected, and they stand
upright, because a patch has a place and a direction already. A dense computation of the same
descriptors by matrix products took as long (0.15 against 0.16 ms for 25 of them in a patch of
32 px, one core), so the reference implementation stays.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

COLORS = {"grey": 1, "opponent": 3}  # descriptors at each place
DESCRIPTOR_DIM = 128
# OpenCV draws 4 x 4 cells of 1.5 keypoint sizes each
_SUPPORT_PER_SIZE = 6.0
# L2 norm OpenCV gives its descriptors
_OPENCV_NORM = 512.0


def centers_px(patch_size_px: int, step_px: int | None, support_px: int) -> np.ndarray:
    """Where descriptors sit, along either axis; float array, pixel 0 has its centre at 0.

    One in the middle without a step; else one every ``step_px``, as long as the square of
    ``support_px`` that it covers lies inside the patch.
    """
    n_steps = (patch_size_px - support_px) // step_px if step_px else 0
    first = (patch_size_px - 1 - n_steps * (step_px or 0)) / 2
    return first + (step_px or 0) * np.arange(n_steps + 1)


def keypoints(patch_size_px: int, step_px: int | None, supports_px: Sequence[int]) -> list[Any]:
    """Places of all descriptors for OpenCV: per support, row by row."""
    import cv2

    # The octave is given, and the same for all: left open, OpenCV doubles the image when
    # any keypoint of the call asks for it, and the descriptors of all others change.
    return [
        cv2.KeyPoint(
            x=float(x),
            y=float(y),
            size=support_px / _SUPPORT_PER_SIZE,
            angle=0.0,
            response=1.0,
            octave=0,
        )
        for support_px in supports_px
        for y in centers_px(patch_size_px, step_px, support_px)
        for x in centers_px(patch_size_px, step_px, support_px)
    ]


def describe(
    pixels: np.ndarray, places: Sequence[Any], *, color: str, root: bool, threads: int
) -> np.ndarray:
    """All descriptors of each patch.

    Parameters
    ----------
    pixels : uint8 array, (n_patches, patch_size_px, patch_size_px, 3)
        Patches, RGB.
    places : list of cv2.KeyPoint
        From `keypoints`.
    color : str
        ``grey`` or ``opponent``.
    root : bool
        Take RootSIFT, else SIFT; one without any gradient stays zero.
    threads : int
        Threads OpenCV may use.

    Returns
    -------
    descriptors : float32 array, (n_patches, n_places, 128 or 384)
        Each part of 128 has unit length.
    """
    import cv2

    cv2.setNumThreads(threads)
    sift = cv2.SIFT.create()
    planes = _opponent(pixels) if color == "opponent" else _grey(pixels)
    shape = (*planes.shape[:2], len(places), DESCRIPTOR_DIM)
    descriptors = np.empty(shape, np.float32)
    for row, patch in enumerate(planes):
        for channel, plane in enumerate(patch):
            descriptors[row, channel] = sift.compute(plane, places)[1]
    beside = np.swapaxes(_normalised(descriptors, root=root), 1, 2)
    return beside.reshape(len(pixels), len(places), -1)


def _grey(pixels: np.ndarray) -> np.ndarray:
    """Luma: uint8 (n, 1, height_px, width_px)."""
    import cv2

    planes = np.empty((len(pixels), 1, *pixels.shape[1:3]), np.uint8)
    for row, patch in enumerate(pixels):
        planes[row, 0] = cv2.cvtColor(np.ascontiguousarray(patch), cv2.COLOR_RGB2GRAY)
    return planes


def _opponent(pixels: np.ndarray) -> np.ndarray:
    """Intensity and two opponent channels: uint8 (n, 3, height_px, width_px).

    (R+G+B)/sqrt(3), (R-G)/sqrt(2) and (R+G-2B)/sqrt(6) of van de Sande, Gevers & Snoek,
    TPAMI 2010, each scaled and shifted to fill 0 to 255: a descriptor sees neither. Whole
    numbers throughout, so grey pixels give two constant channels to the last bit.
    """
    red, green, blue = np.moveaxis(pixels.astype(np.int16), -1, 0)
    intensity = (red + green + blue + 1) // 3
    red_green = (red - green + 255) >> 1
    yellow_blue = (red + green - 2 * blue + 510) >> 2
    return np.stack([intensity, red_green, yellow_blue], axis=1).astype(np.uint8)


def _normalised(descriptors: np.ndarray, *, root: bool) -> np.ndarray:
    if not root:
        return descriptors / np.float32(_OPENCV_NORM)
    total = np.maximum(descriptors.sum(axis=-1, keepdims=True), 1e-12)
    rooted: np.ndarray = np.sqrt(descriptors / total)
    return rooted
