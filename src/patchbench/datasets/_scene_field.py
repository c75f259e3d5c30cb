"""Scenes of any size, drawn window by window: see ``scenes_highres`` for what they mean.

A scene is a sheet of blocks. A block depends on the seed, the scene and its place alone, and no
body reaches beyond its block, so a window is put together from the blocks that it touches; the
scene as a whole is never in memory.
"""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from patchbench.datasets import _scene_light as light
from patchbench.datasets import _scene_shapes as shapes
from patchbench.datasets import _scene_textures as textures
from patchbench.seeds import derive
from patchbench.windows import Windows

BLOCK_PX = 256
_SQUARE_PX = 72  # holds a body and its shadow
_RADIUS_PX, _PERIOD_PX = (20.0, 27.0), (6.0, 8.0)
# Two surfaces that each repeat: together they do after 195 thousand px only.
_GROUND_PERIODS_PX, _GRAIN_PERIOD_PX = (509, 383), 251
_GRAIN = 0.02
_CACHED_BLOCKS = 300


@dataclass(frozen=True)
class Scene:
    """What a scene is drawn from.

    Attributes
    ----------
    texture : str
        Of the telling bodies.
    number, seed : int
        Which scene.
    size_px : int
        Side.
    n_telling : int
        Bodies with the texture; all others, one a block, are plain.
    """

    texture: str
    number: int
    seed: int
    size_px: int
    n_telling: int


class SceneWindows(Windows):
    """Windows of a scene, drawn on demand.

    Parameters
    ----------
    scene : Scene
        With at least as many whole blocks as telling bodies.
    """

    def __init__(self, scene: Scene) -> None:
        self.height_px = self.width_px = scene.size_px
        self.n_channels = 3
        self._scene = scene
        rng = self._rng("ground")
        self._sun = light.light_direction(rng)
        middle, contrast = rng.uniform(0.38, 0.62), rng.uniform(0.08, 0.2) * rng.choice((-1, 1))
        self._tones = light.near_colours(rng, (middle - contrast, middle + contrast), (0.05, 0.4))
        self._grounds = [textures.background(side, rng) for side in _GROUND_PERIODS_PX]
        shape = (_GRAIN_PERIOD_PX, _GRAIN_PERIOD_PX, 3)
        self._grain = _GRAIN * rng.standard_normal(shape, dtype=np.float32)
        self._exposure = (rng.uniform(0.94, 1.06, 3) * rng.uniform(0.8, 1.1)).astype(np.float32)
        self._n_blocks = scene.size_px // BLOCK_PX
        chosen = rng.choice(self._n_blocks**2, scene.n_telling, replace=False)
        self._telling = {divmod(int(block), self._n_blocks) for block in chosen}
        self._drawn: OrderedDict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = OrderedDict()

    def _rng(self, *purpose: str) -> np.random.Generator:
        number = str(self._scene.number)
        seed = derive(self._scene.seed, "scenes_highres", number, *purpose)
        return np.random.default_rng(seed)

    def read(self, y_px: int, x_px: int, height_px: int, width_px: int) -> np.ndarray:
        """Pixels of a window, uint8 (height_px, width_px, 3)."""
        return self._assembled(0, y_px, x_px, np.empty((height_px, width_px, 3), np.uint8))

    def mask(self, y_px: int, x_px: int, height_px: int, width_px: int) -> np.ndarray:
        """Where in a window the telling bodies are, bool (height_px, width_px)."""
        return self._assembled(1, y_px, x_px, np.empty((height_px, width_px), bool))

    def close(self) -> None:
        """Forget what was drawn."""
        self._drawn.clear()

    def _assembled(self, layer: int, top: int, left: int, out: np.ndarray) -> np.ndarray:
        bottom, right = top + out.shape[0], left + out.shape[1]
        for row in range(top // BLOCK_PX, -(-bottom // BLOCK_PX)):
            for col in range(left // BLOCK_PX, -(-right // BLOCK_PX)):
                y, x = row * BLOCK_PX, col * BLOCK_PX
                ys = max(top, y), min(bottom, y + BLOCK_PX)
                xs = max(left, x), min(right, x + BLOCK_PX)
                part = self._block(row, col)[layer][ys[0] - y : ys[1] - y, xs[0] - x : xs[1] - x]
                out[ys[0] - top : ys[1] - top, xs[0] - left : xs[1] - left] = part
        return out

    def _block(self, row: int, col: int) -> tuple[np.ndarray, np.ndarray]:
        """Pixels and mask of a block, drawn or remembered."""
        place = (row, col)
        if place in self._drawn:
            self._drawn.move_to_end(place)
            return self._drawn[place]
        canvas, mask = self._ground(row, col), np.zeros((BLOCK_PX, BLOCK_PX), bool)
        if max(place) < self._n_blocks:
            self._put_body(canvas, mask, place)
        canvas = canvas * self._exposure + _tiled(self._grain, row, col)
        pixels = np.clip(canvas * 255 + 0.5, 0, 255).astype(np.uint8)
        self._drawn[place] = pixels, mask
        if len(self._drawn) > _CACHED_BLOCKS:
            self._drawn.popitem(last=False)
        return pixels, mask

    def _ground(self, row: int, col: int) -> np.ndarray:
        first, second = (_tiled(ground, row, col) for ground in self._grounds)
        return light.two_tone(0.5 * (first + second), *self._tones)

    def _put_body(self, canvas: np.ndarray, mask: np.ndarray, place: tuple[int, int]) -> None:
        """Put the body of a block somewhere inside it, in place."""
        rng, side_px, telling = self._rng(*map(str, place)), _SQUARE_PX, place in self._telling
        y, x = rng.integers(0, BLOCK_PX - side_px + 1, 2)
        corners = shapes.turned(shapes.blob(rng), rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1))
        middle, radius_px = side_px / 2, rng.uniform(*_RADIUS_PX)
        alpha = shapes.coverage(corners, (middle, middle), radius_px, side_px)
        if telling:
            period_px = rng.uniform(*_PERIOD_PX)
            field = textures.class_texture(self._scene.texture, side_px, period_px, rng)
        else:
            field = textures.background(side_px, rng)
        lightness, contrast = rng.uniform(0.42, 0.6), rng.uniform(0.1, 0.24)
        low, high = (
            light.colour(rng, lightness + sign * contrast, (0.3, 0.8)) for sign in (-1.0, 1.0)
        )
        square = np.s_[y : y + side_px, x : x + side_px]
        paint = light.two_tone(field, low, high)
        light.put(canvas[square], alpha, paint, self._sun, edge_px=4, shadow_px=2)
        if telling:
            mask[square] = alpha > 0.5


def _tiled(sheet: np.ndarray, row: int, col: int) -> np.ndarray:
    """Part of an endlessly repeated sheet that lies under a block."""
    at = np.arange(BLOCK_PX)
    ys, xs = ((index * BLOCK_PX + at) % len(sheet) for index in (row, col))
    found: np.ndarray = sheet[ys[:, None], xs]
    return found
