"""Paint, light and camera of the drawn scenes. Canvases are float32 (h, w, 3), 0-1, RGB."""

import colorsys

import numpy as np

Rng = np.random.Generator


def colour(
    rng: Rng, lightness: float, saturation: tuple[float, float], hue: float | None = None
) -> np.ndarray:
    """Mix a colour, of random hue unless one is given: float32 (3,)."""
    hue = rng.uniform() if hue is None else hue % 1
    rgb = colorsys.hls_to_rgb(hue, lightness, rng.uniform(*saturation))
    return np.array(rgb, dtype=np.float32)


def near_colours(
    rng: Rng, lightness: tuple[float, float], saturation: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Two colours of neighbouring hue and the given lightness, as of one material."""
    hue, drift = rng.uniform(), rng.uniform(-0.14, 0.14)
    low = colour(rng, lightness[0], saturation, hue)
    return low, colour(rng, lightness[1], saturation, hue + drift)


def two_tone(field: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Paint a field of -1..1 from colour ``low`` to colour ``high``: (h, w, 3)."""
    share = np.asarray(0.5 + 0.5 * field, dtype=np.float32)[..., None]
    painted: np.ndarray = low + share * (high - low)
    return painted


def relief(alpha: np.ndarray, light: tuple[float, float], edge_px: float) -> np.ndarray:
    """Brightness of a body with rounded edges: float32 (h, w), about 0.6-1.3.

    ``light`` is the direction (vertical, horizontal) the light comes from.
    """
    import cv2

    inside = np.asarray(alpha > 0.5, dtype=np.uint8)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    height = np.sqrt(1 - (1 - np.clip(depth / edge_px, 0, 1)) ** 2) * edge_px
    height = cv2.GaussianBlur(height, (0, 0), 0.3 * edge_px)
    dy, dx = np.gradient(height)
    facing = -(light[0] * dy + light[1] * dx)
    return np.asarray(1 + 0.32 * np.clip(facing, -1, 1), dtype=np.float32)


def put(
    canvas: np.ndarray,
    alpha: np.ndarray,
    paint: np.ndarray,
    light: tuple[float, float],
    edge_px: float,
    shadow_px: float,
) -> None:
    """Lay a painted body with rounded edges and a soft shadow on ``canvas``, in place."""
    import cv2

    move = np.array([[1, 0, -light[1] * shadow_px], [0, 1, -light[0] * shadow_px]])
    size = (canvas.shape[1], canvas.shape[0])
    shadow = cv2.warpAffine(alpha, move, size, flags=cv2.INTER_LINEAR)
    shadow = cv2.GaussianBlur(shadow, (0, 0), 0.6 * shadow_px)
    canvas *= 1 - 0.5 * shadow[..., None]
    body = paint * relief(alpha, light, edge_px)[..., None]
    canvas += alpha[..., None] * (body - canvas)


def light_direction(rng: Rng) -> tuple[float, float]:
    """Where the light comes from: a unit vector (vertical, horizontal), mostly from above."""
    angle = rng.uniform(-1.1, 1.1)
    return -float(np.cos(angle)), float(np.sin(angle))


def photograph(canvas: np.ndarray, rng: Rng, noise: float = 0.02) -> np.ndarray:
    """Expose, tint and add sensor noise, the same everywhere: uint8 (h, w, 3)."""
    tint = rng.uniform(0.94, 1.06, 3).astype(np.float32)
    exposed = canvas * tint * np.float32(rng.uniform(0.8, 1.1))
    grain = rng.standard_normal(canvas.shape, dtype=np.float32) * np.float32(noise)
    return np.asarray(np.clip((exposed + grain) * 255 + 0.5, 0, 255), dtype=np.uint8)
