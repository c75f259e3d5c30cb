"""Surfaces of the drawn scenes: six class textures and an endless supply of backgrounds.

All are stationary: phase, direction and seed of the noise are random, so a cut-out tells
what the surface is but not where in the image it lay.
"""

from collections.abc import Callable

import numpy as np

Rng = np.random.Generator
Texture = Callable[[np.ndarray, np.ndarray, Rng], np.ndarray]
TAU = 2 * np.pi


def _stripes(u: np.ndarray, v: np.ndarray, rng: Rng) -> np.ndarray:
    return np.sin(TAU * u)


def _chevrons(u: np.ndarray, v: np.ndarray, rng: Rng) -> np.ndarray:
    return np.sin(TAU * (u + 1.3 * np.abs((v / 1.8) % 1 - 0.5)))


def _checks(u: np.ndarray, v: np.ndarray, rng: Rng) -> np.ndarray:
    return 1.6 * np.sin(TAU * 0.62 * u) * np.sin(TAU * 0.62 * v)


def _dots(u: np.ndarray, v: np.ndarray, rng: Rng) -> np.ndarray:
    # three plane waves at 120 degrees: round spots on a hexagonal lattice
    turns = (u, -0.5 * u + 0.866 * v, -0.5 * u - 0.866 * v)
    waves = [np.cos(TAU * 0.95 * turn) for turn in turns]
    return np.asarray(0.75 * np.sum(waves, axis=0) - 0.35)


def _bricks(u: np.ndarray, v: np.ndarray, rng: Rng) -> np.ndarray:
    course = np.floor(v)
    along = (u / 1.9 + 0.5 * (course % 2)) % 1
    joint = np.minimum(np.minimum(along, 1 - along) * 1.9, np.minimum(v % 1, 1 - v % 1))
    return np.asarray(8 * (joint - 0.16))


def _speckle(u: np.ndarray, v: np.ndarray, rng: Rng) -> np.ndarray:
    # waves of one length in random directions: spots without order
    angles, phases = rng.uniform(0, TAU, (2, 14))
    lengths = rng.uniform(0.6, 0.95, 14)
    waves = [
        np.cos(TAU * k * (np.cos(a) * u + np.sin(a) * v) + p)
        for k, a, p in zip(lengths, angles, phases, strict=True)
    ]
    return np.asarray(np.sum(waves, axis=0) / 2.2)


TEXTURES: dict[str, Texture] = {
    "stripes": _stripes,
    "chevrons": _chevrons,
    "checks": _checks,
    "dots": _dots,
    "bricks": _bricks,
    "speckle": _speckle,
}


def class_texture(name: str, size_px: int, period_px: float, rng: Rng) -> np.ndarray:
    """Draw one of :data:`TEXTURES` at a random angle, phase and polarity.

    Returns
    -------
    float32 array, (size_px, size_px)
        Between -1 and 1. Polarity is random, so mean brightness does not tell the texture.
    """
    angle, along, across = rng.uniform(0, TAU, 3)
    y, x = np.mgrid[:size_px, :size_px].astype(np.float32) / np.float32(period_px)
    u = np.cos(angle) * x + np.sin(angle) * y + 10 * along
    v = -np.sin(angle) * x + np.cos(angle) * y + 10 * across
    polarity = rng.choice((-1.0, 1.0))
    field = polarity * np.tanh(2.5 * TEXTURES[name](u, v, rng))
    return np.asarray(field, dtype=np.float32)


def background(size_px: int, rng: Rng) -> np.ndarray:
    """Make a random stationary surface: grain, fibres, blotches or cloud.

    White noise is shaped in the frequency domain by a random spectrum, so every window of
    the surface has the same statistics wherever it lies.

    Returns
    -------
    float32 array, (size_px, size_px)
        Mean 0, standard deviation 1, softly clipped to about -2..2.
    """
    fy, fx = np.meshgrid(np.fft.fftfreq(size_px), np.fft.rfftfreq(size_px), indexing="ij")
    angle, stretch = rng.uniform(0, TAU), np.exp(rng.uniform(0, 1.3))
    along = (np.cos(angle) * fx + np.sin(angle) * fy) * stretch
    across = (np.cos(angle) * fy - np.sin(angle) * fx) / stretch
    frequency = np.hypot(along, across) * 96  # cycles per 96 px
    centre, slope = rng.uniform(2.0, 9.0), rng.uniform(1.2, 2.4)
    power = 1 / (1 + (frequency / centre) ** slope)
    power[frequency < 0.5 * centre * rng.uniform(0, 1)] *= 0.3
    spectrum = np.fft.rfft2(rng.standard_normal((size_px, size_px))) * power
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, s=(size_px, size_px))
    return np.asarray(2 * np.tanh(field / (field.std() * 2)), dtype=np.float32)
