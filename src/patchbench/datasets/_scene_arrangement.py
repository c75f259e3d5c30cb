"""The scene that no patch can recognise: the same four parts, and only their places differ.

Four parts lie on the corners of a rectangle. A class says which part is *beside* the disc
and which is *across* from it; that leaves 3 x 2 = 6 classes. Swapping the columns or the rows
keeps the class, so each class comes in four versions.

Why no patch knows the class: scenes come in matched sets, every class in every version, with the
same background, light, noise and parts. The gap between parts is wider than a patch, so a patch
sees one part at most; over the four versions every part lies on every corner exactly once, in
every class. So each patch of a set is there, pixel for pixel, equally often in all classes: in
train there is nothing to learn, not even by chance, and in test the scores of patches add up to
the same sums. A classifier that adds up patch scores can then do no better than the constant
answer, which is the minimum of cross-entropy, convex in those scores.

With windows that overlap, the promise is about votes that are added or averaged. Pooled
*features* that a nonlinear head recombines are another matter: a part near the border is never
seen in one half of a window, so the set of all windows does hold the arrangement, as the pieces
of a jigsaw do. Cut into nine tiles (32 px of a 96 px image), every part lies whole in a tile, at
the same place of it, and the promise holds for whatever does not know where the tiles were.
That needs a side of 84 px or more that three divides: in a smaller one parts lie further apart, at
another place of each, and the place tells the corner to whatever takes the highest vote.
"""

from itertools import permutations
from math import ceil

import numpy as np

from patchbench.datasets import _scene_light as light
from patchbench.datasets import _scene_shapes as shapes
from patchbench.datasets import _scene_textures as textures

Rng = np.random.Generator

PARTS = ("disc", "star", "cross", "square")
_PART_COLOURS = ((0.86, 0.22, 0.20), (0.95, 0.77, 0.16), (0.22, 0.62, 0.34), (0.20, 0.42, 0.82))
MIN_GAP_PX = 34
N_VERSIONS = 4  # of each class in a matched set


def class_names() -> list[str]:
    """Six names such as ``disc-star+cross-square``: one row of parts, then the other."""
    return ["{}-{}+{}-{}".format(*(PARTS[p] for p in first)) for first in layouts()[:, 0]]


def layouts() -> np.ndarray:
    """Which part lies on which corner: int array (6 classes, 4 versions, 4 corners).

    Corners are top left, top right, bottom left, bottom right; values index :data:`PARTS`.
    In every class, every part lies on every corner in exactly one of the versions.
    """
    # even permutations first: in the first three classes beside, across and diagonal all
    # differ, so any one of the relations tells those classes apart
    rests = sorted(permutations((1, 2, 3)), key=lambda rest: (rest[1] - rest[0]) % 3)
    first = np.array([(0, *rest) for rest in rests])
    swaps = np.array([(0, 1, 2, 3), (1, 0, 3, 2), (2, 3, 0, 1), (3, 2, 1, 0)])
    return first[:, swaps]


def geometry(size_px: int) -> tuple[int, int, int]:
    """Side of a part's box, step between boxes, and room for a random offset, in pixels.

    The step is two tiles of nine where there is room, so that the four tiles at the corners hold
    a part each, whole and at the same place of the tile.
    """
    gap = max(MIN_GAP_PX, round(0.354 * size_px))
    box = ceil(0.43 * (size_px - gap))
    step = max(box + gap, 2 * (size_px // 3))
    return box, step, size_px - box - step


def draw(label: int, size_px: int, rng: Rng, version: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw one image of class ``label``: uint8 (h, w, 3) and bool mask (h, w).

    ``rng`` draws all that the images of a matched set have in common.
    """
    box, step, room = geometry(size_px)
    top, left = rng.integers(0, room + 1, 2)
    looks = rng.spawn(len(PARTS))  # a part looks the same on whichever corner it lies
    sun = light.light_direction(rng)
    low, high = light.near_colours(rng, (0.5, 0.66), (0.05, 0.3))
    canvas = light.two_tone(0.5 * textures.background(size_px, rng), low, high)
    mask = np.zeros((size_px, size_px), dtype=bool)
    for corner, part in enumerate(layouts()[label, version]):
        y, x = top + step * (corner // 2), left + step * (corner % 2)
        place = (slice(y, y + box), slice(x, x + box))
        mask[place] = _put_part(canvas[place], int(part), sun, looks[part])
    return light.photograph(canvas, rng), mask


def _put_part(window: np.ndarray, part: int, sun: tuple[float, float], rng: Rng) -> np.ndarray:
    """Draw a part in the middle of its box; it looks the same wherever the box lies."""
    box = len(window)
    corners = shapes.turned(shapes.SHAPES[PARTS[part]], rng.uniform(0, 2 * np.pi))
    radius = 0.38 * box * rng.uniform(0.88, 1.0)  # leaves room for the shadow in the box
    alpha = shapes.coverage(corners, (box / 2, box / 2), radius, box)
    paint = np.array(_PART_COLOURS[part], dtype=np.float32) * np.float32(rng.uniform(0.8, 1.1))
    light.put(window, alpha, paint, sun, edge_px=0.16 * box, shadow_px=0.06 * box)
    mask: np.ndarray = alpha > 0.5
    return mask
