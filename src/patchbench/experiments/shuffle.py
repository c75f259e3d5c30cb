"""Cut images into tiles and shuffle them, to see who needs the arrangement.

A method that joins the votes of patches in any order can only lose what lies across the borders
of tiles; a CNN that learned an arrangement loses it. With turns, every tile is also turned by a
random quarter, half or three-quarter turn, or left.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from patchbench.experiments._checks import check_count
from patchbench.seeds import derive
from patchbench.subject import Subject, decided
from patchbench.trials import Trials

POLICIES = {"shuffled": False, "shuffled_and_turned": True}


@dataclass(kw_only=True)
class Experiment:
    """Tiles of test images in another order.

    Parameters
    ----------
    tiles_per_side : list of int
        An image becomes k x k square tiles, for each k; pixels that are left over at the
        border stay where they are.
    n_draws : int
        How often chance is asked anew; each image has an order of its own.
    """

    tiles_per_side: list[int] = field(default_factory=lambda: [1, 2, 3, 4, 6, 8])
    n_draws: int = 3
    seed: int = 0

    needs: ClassVar[str] = "model"
    summary: ClassVar[str] = "tiles of the image in another order, with and without quarter turns"
    source: ClassVar[str] = "cf. Brendel & Bethge, ICLR 2019, arXiv:1904.00760"

    def __post_init__(self) -> None:
        check_count(n_draws=self.n_draws)
        if not self.tiles_per_side or min(self.tiles_per_side) < 1:
            raise ValueError(
                f"tiles_per_side is {self.tiles_per_side}; give at least one number, each 1 or more"
            )

    def check_image(self, side_px: int) -> None:
        """Refuse more tiles than an image of this side has pixels."""
        if max(self.tiles_per_side) > side_px:
            raise ValueError(
                f"tiles_per_side goes up to {max(self.tiles_per_side)}, but the images are "
                f"{side_px} px; ask for at most as many tiles as pixels"
            )

    def rows(self, subject: Subject) -> Iterator[dict[str, Any]]:
        """Rows of table "experiments": ``amount`` is the number of tiles per side."""
        trials, n_images = Trials(subject.labels, subject.group_of), len(subject.labels)
        votes = subject.asked(lambda images, _: images)
        plain = {name: trials.score([decided(votes, name)]) for name in subject.fusions}
        for policy, turned in POLICIES.items():
            for k in self.tiles_per_side:
                rng = np.random.default_rng(derive(self.seed, "experiment", policy, str(k)))
                draws = [votes]
                if k > 1 or turned:
                    moves = (Moves.drawn(n_images, k, turned, rng) for _ in range(self.n_draws))
                    draws = [subject.asked(each.applied) for each in moves]
                for name in subject.fusions:
                    scores = trials.score([decided(each, name) for each in draws])
                    told: dict[str, Any] = {"policy": policy, "fusion": name, "amount": float(k)}
                    yield from trials.rows(scores, plain[name], **told)


@dataclass(frozen=True)
class Moves:
    """Where the tiles of each image come from, and how they are turned.

    Attributes
    ----------
    source : int array, (n_images, k * k)
        Tile ``i`` of an image becomes what tile ``source[i]`` was; row by row.
    turns : int array, (n_images, k * k)
        Quarter turns, counter-clockwise.
    """

    source: np.ndarray
    turns: np.ndarray

    @classmethod
    def drawn(cls, n_images: int, k: int, turned: bool, rng: np.random.Generator) -> "Moves":
        """An order for each image."""
        source = rng.permuted(np.tile(np.arange(k * k), (n_images, 1)), axis=1)
        turns = rng.integers(0, 4, source.shape) if turned else np.zeros_like(source)
        return cls(source, turns)

    def applied(self, images: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Images, uint8 (n, height_px, width_px, 3), those of these places, in the new order."""
        k = int(np.sqrt(self.source.shape[1]) + 0.5)
        n, height_px, width_px, depth = images.shape
        side = min(height_px, width_px) // k
        top, left = (height_px - k * side) // 2, (width_px - k * side) // 2
        inside = slice(None), slice(top, top + k * side), slice(left, left + k * side)
        tiles = images[inside].reshape(n, k, side, k, side, depth).swapaxes(2, 3)
        tiles = tiles.reshape(n, k * k, side, side, depth)
        tiles = np.take_along_axis(tiles, self.source[places][..., None, None, None], axis=1)
        for turn in (1, 2, 3):
            chosen = self.turns[places] == turn
            tiles[chosen] = np.rot90(tiles[chosen], turn, axes=(1, 2))
        found = images.copy()
        mosaic = tiles.reshape(n, k, k, side, side, depth).swapaxes(2, 3)
        found[inside] = mosaic.reshape(n, k * side, k * side, depth)
        return found
