"""Scenes with one object on a cluttered background; see ``scenes`` for what the cues mean."""

import numpy as np

from patchbench.datasets import _scene_light as light
from patchbench.datasets import _scene_shapes as shapes
from patchbench.datasets import _scene_textures as textures

Rng = np.random.Generator


def class_names() -> list[str]:
    """Six class textures; cue ``object`` adds the outline of the same rank."""
    return list(textures.TEXTURES)


def draw(label: int, size_px: int, rng: Rng, *, outline_too: bool) -> tuple[np.ndarray, np.ndarray]:
    """Draw one image of class ``label``: uint8 (h, w, 3) and bool mask (h, w).

    With ``outline_too`` the object has the outline of its class and lies near the centre;
    otherwise it is a large random blob, and only the texture tells the class.
    """
    unit = size_px / 96
    sun = light.light_direction(rng)
    canvas = _ground(size_px, rng)
    alpha = _outline(label, size_px, rng, outline_too)
    for _ in range(rng.integers(3, 8)):
        _put_pebble(canvas, sun, unit, rng)
    period = rng.uniform(7.0, 10.0) * unit
    field = textures.class_texture(class_names()[label], size_px, period, rng)
    light.put(canvas, alpha, _paint(field, rng), sun, edge_px=5 * unit, shadow_px=3 * unit)
    canvas *= _falloff(size_px, sun, rng)
    return light.photograph(canvas, rng), alpha > 0.5


def _ground(size_px: int, rng: Rng) -> np.ndarray:
    middle, contrast = rng.uniform(0.38, 0.62), rng.uniform(0.08, 0.2) * rng.choice((-1, 1))
    low, high = light.near_colours(rng, (middle - contrast, middle + contrast), (0.05, 0.4))
    return light.two_tone(0.7 * textures.background(size_px, rng), low, high)


def _outline(label: int, size_px: int, rng: Rng, outline_too: bool) -> np.ndarray:
    if outline_too:
        corners = list(shapes.SHAPES.values())[label]
        radius, drift = rng.uniform(0.24, 0.34) * size_px, 0.1 * size_px
    else:
        corners = shapes.blob(rng)
        radius, drift = rng.uniform(0.27, 0.36) * size_px, 0.08 * size_px
    corners = shapes.turned(corners, rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1.0))
    y, x = size_px / 2 + rng.uniform(-drift, drift, 2)
    return shapes.coverage(corners, (float(y), float(x)), radius, size_px)


def _paint(field: np.ndarray, rng: Rng) -> np.ndarray:
    """Two colours of random hue; how far they lie apart varies from faint to strong."""
    middle, contrast = rng.uniform(0.42, 0.6), rng.uniform(0.1, 0.24)
    low, high = (light.colour(rng, middle + s * contrast, (0.3, 0.8)) for s in (-1.0, 1.0))
    return light.two_tone(field, low, high)


def _put_pebble(canvas: np.ndarray, sun: tuple[float, float], unit: float, rng: Rng) -> None:
    """Put a distractor: a small plain body anywhere; the object may hide it later."""
    size_px = len(canvas)
    known = list(shapes.SHAPES.values())
    corners = known[rng.integers(len(known))] if rng.uniform() < 0.5 else shapes.blob(rng)
    corners = shapes.turned(corners, rng.uniform(0, 2 * np.pi), rng.uniform(0.7, 1.0))
    y, x = rng.uniform(0, size_px, 2)
    radius = rng.uniform(5, 10) * unit
    alpha = shapes.coverage(corners, (float(y), float(x)), radius, size_px)
    grain = textures.background(size_px, rng)
    tone = light.colour(rng, rng.uniform(0.35, 0.65), (0.1, 0.6))
    paint = light.two_tone(0.4 * grain, tone * 0.8, tone * 1.2)
    light.put(canvas, alpha, paint, sun, edge_px=0.45 * radius, shadow_px=2 * unit)


def _falloff(size_px: int, sun: tuple[float, float], rng: Rng) -> np.ndarray:
    """Light that fades away from its source: (size_px, size_px, 1)."""
    across = np.linspace(-1, 1, size_px, dtype=np.float32)
    slope = np.float32(rng.uniform(0.0, 0.18))
    ramp: np.ndarray = 1 + slope * (sun[0] * across[:, None] + sun[1] * across[None, :])
    return ramp.astype(np.float32)[..., None]
