"""Outlines of the drawn scenes: six class shapes, smooth blobs, pebbles."""

import numpy as np

Rng = np.random.Generator
TAU = 2 * np.pi
_ANGLES = np.linspace(0, TAU, 72, endpoint=False)
_SUBPIXEL_BITS = 4


def _polar(radius: np.ndarray) -> np.ndarray:
    """Corners (n, 2), x before y, of an outline given by its radius at ``_ANGLES``."""
    return np.stack([radius * np.cos(_ANGLES), radius * np.sin(_ANGLES)], axis=1)


def _regular(n_corners: int, radius: float) -> np.ndarray:
    angles = np.arange(n_corners) * TAU / n_corners
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _star() -> np.ndarray:
    corners = _regular(10, 1.08)
    corners[1::2] *= 0.5
    return corners


def _cross() -> np.ndarray:
    a, b = 1.0, 0.38
    x = [a, a, b, b, -b, -b, -a, -a, -b, -b, b, b]
    y = [-b, b, b, a, a, b, b, -b, -b, -a, -a, -b]
    return np.array([x, y], dtype=float).T


def _heart() -> np.ndarray:
    x = 16 * np.sin(_ANGLES) ** 3
    y = -sum(a * np.cos(k * _ANGLES) for a, k in ((13, 1), (-5, 2), (-2, 3), (-1, 4)))
    return np.stack([x, y], axis=1) / 15.5


# corners in a circle of about radius 1, of similar area
SHAPES: dict[str, np.ndarray] = {
    "disc": _polar(np.full(len(_ANGLES), 0.84)),
    "square": _regular(4, 1.05),
    "triangle": _regular(3, 1.15),
    "star": _star(),
    "cross": _cross(),
    "heart": _heart(),
}


def blob(rng: Rng, roughness: float = 0.22) -> np.ndarray:
    """Corners (n, 2) of a random smooth closed outline, radius about 1."""
    orders = np.arange(2, 6)
    sizes = roughness * rng.standard_normal(len(orders)) / orders**0.7
    phases = rng.uniform(0, TAU, len(orders))
    ripple = (sizes[:, None] * np.cos(orders[:, None] * _ANGLES + phases[:, None])).sum(axis=0)
    return _polar(np.clip(1 + ripple, 0.55, 1.45))


def turned(corners: np.ndarray, angle: float, squeeze: float = 1.0) -> np.ndarray:
    """Corners squeezed along the horizontal, then turned by ``angle`` (radians)."""
    cos, sin = np.cos(angle), np.sin(angle)
    result: np.ndarray = (corners * [squeeze, 1.0]) @ np.array([[cos, sin], [-sin, cos]])
    return result


def coverage(
    corners: np.ndarray, centre_px: tuple[float, float], radius_px: float, size_px: int
) -> np.ndarray:
    """Share of every pixel that an outline covers: float32 (size_px, size_px), 0-1.

    ``centre_px`` is (vertical, horizontal). Drawn at four times the size and averaged.
    """
    import cv2

    finer = 4
    points = (corners * radius_px + [centre_px[1], centre_px[0]]) * finer - 0.5
    fixed = np.round(points * 2**_SUBPIXEL_BITS).astype(np.int32)
    mask = np.zeros((size_px * finer, size_px * finer), np.uint8)
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_8, _SUBPIXEL_BITS)
    small = cv2.resize(mask, (size_px, size_px), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32) / np.float32(255)
