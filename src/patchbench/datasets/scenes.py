"""Procedural photographs with a known answer: drawn in seconds, masks included.

Three cues decide what tells the classes apart:

* ``object``: an object near the centre, with the texture *and* the outline of its class, on a
  cluttered background with small plain distractors;
* ``texture``: a large blob of random outline; the class is in its texture alone, so every
  patch of the foreground knows it;
* ``arrangement``: the same four parts in every class, further apart than a patch is wide; the
  class is which part lies beside and which across from the disc. No patch knows it (see
  ``_scene_arrangement`` for why), a network that sees the whole image does.

Place, size, turn, light, hue, contrast and background vary; hue never tells the class. Image
*i* depends only on the settings, the seed and *i*. Images of an arrangement come in matched sets
that differ in nothing but the places of the parts; a set is a group and stays in one split.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from patchbench.datasets import _scene_arrangement, _scene_object
from patchbench.records import Pixels, Record
from patchbench.seeds import derive

Draw = Callable[..., tuple[np.ndarray, np.ndarray]]

_DRAW: dict[str, tuple[list[str], Draw]] = {
    "object": (
        _scene_object.class_names(),
        partial(_scene_object.draw, outline_too=True),
    ),
    "texture": (
        _scene_object.class_names(),
        partial(_scene_object.draw, outline_too=False),
    ),
    "arrangement": (_scene_arrangement.class_names(), _scene_arrangement.draw),
}
_N_VERSIONS = {"arrangement": _scene_arrangement.N_VERSIONS}  # of the cues with matched sets
MIN_SIZE_PX = 48


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Drawn scenes, classes equally many.

    Parameters
    ----------
    image_size_px : int
        Side of the square images, at least 48; 96 is what the cues were tuned for. For an
        arrangement, 84 or more and a multiple of three: cut it into nine tiles.
    seed : int
        Chooses the images.
    cue : str
        What tells the classes apart: ``object``, ``texture`` or ``arrangement``.
    n_images : int
        Images in all; image *i* is the same however many there are.
    n_classes : int
        2 to 6.
    """

    image_size_px: int
    seed: int = 0
    cue: str = "object"
    n_images: int = 1200
    n_classes: int = 6

    masks: ClassVar[bool] = True
    summary: ClassVar[str] = (
        "Procedural photographs with object masks; the class is in an object, in a texture, "
        "or only in the arrangement of parts."
    )
    licence: ClassVar[str] = "drawn by the program, no rights reserved (CC0-1.0)"

    def __post_init__(self) -> None:
        """Refuse settings that cannot be drawn."""
        if self.cue not in _DRAW:
            raise ValueError(f"cue is {self.cue!r}; choose one of {', '.join(_DRAW)}")
        n_known = len(_DRAW[self.cue][0])
        if not 2 <= self.n_classes <= n_known:
            raise ValueError(f"n_classes is {self.n_classes}; choose 2 to {n_known}")
        if self.n_images < self.n_classes:
            raise ValueError(
                f"n_images is {self.n_images}; it takes at least one for each of "
                f"{self.n_classes} classes"
            )
        if self.image_size_px < MIN_SIZE_PX:
            raise ValueError(
                f"image_size_px is {self.image_size_px}; scenes are drawn from {MIN_SIZE_PX} px up"
            )

    @property
    def needs_download(self) -> bool:
        """False: everything is drawn."""
        return False

    def download(self, folder: Path) -> None:
        """Do nothing; there is nothing to download."""

    def records(self, folder: Path) -> list[Record]:
        """One record per image, sorted by ``image_id``; ``folder`` is not used."""
        return sorted(map(self._record, range(self.n_images)), key=lambda r: r.image_id)

    def _record(self, i: int) -> Record:
        rank, label = divmod(i, self.n_classes)
        name = _DRAW[self.cue][0][label]
        read = partial(draw, self.cue, label, size_px=self.image_size_px, seed=self.seed)
        if self.cue not in _N_VERSIONS:
            return Record(f"{name}/{i:05d}", name, partial(read, number=i))
        number, version = divmod(rank, _N_VERSIONS[self.cue])
        read = partial(read, number=number, version=version)
        return Record(f"{name}/{i:05d}", name, read, group=f"set-{number:05d}")


def draw(cue: str, label: int, number: int, size_px: int, seed: int, **version: int) -> Pixels:
    """Draw image ``number`` of a cue: uint8 (h, w, 3) RGB and bool mask (h, w) of the objects.

    Where images come in matched sets, ``number`` is that of the set and ``version`` chooses one
    of the images that a class has in it.
    """
    rng = np.random.default_rng(derive(seed, "scenes", cue, str(number)))
    return _DRAW[cue][1](label, size_px, rng, **version)
