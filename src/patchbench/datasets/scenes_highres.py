"""Large procedural photographs that few small places tell the class of; masks included.

A ground without end is strewn with small bodies, one in every 256 px. A handful of them have the
texture of the class, the others a random plain surface; outline, size, hue and contrast tell
nothing. A wave of the texture is 6 to 8 px long. Shrunk to 224 px, an image of 2,048 px or more has
lost it, as have the "Needles in haystacks" of Pawlowski et al. 2019, arXiv:1908.06037; one of
1,024 px has not, so smaller sides than 2,048 px are refused.

Image *i* depends only on the settings, the seed and *i*. It is drawn window by window
(:meth:`Dataset.windows`), so images of 16,384 px and more need no memory and no file; a study,
which decodes its images to `image_size_px`, takes them whole.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from patchbench.datasets._scene_field import BLOCK_PX, Scene, SceneWindows
from patchbench.records import Pixels, Record

LEAST_PX = 2048
CLASSES = ("dots", "stripes", "checks", "bricks", "speckle", "chevrons")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Drawn scenes, classes equally many.

    Parameters
    ----------
    image_size_px : int
        Side of the square images, at least 2,048; 4,096 to 16,384 is what they are meant for.
    seed : int
        Chooses the images.
    n_images : int
        Images in all; image *i* is the same however many there are.
    n_classes : int
        2 to 6.
    n_telling : int
        Bodies that have the texture of the class, in every image.
    """

    image_size_px: int
    seed: int = 0
    n_images: int = 96
    n_classes: int = 2
    n_telling: int = 8

    masks: ClassVar[bool] = True
    summary: ClassVar[str] = (
        "Procedural photographs of any size, drawn by window; a few small bodies tell the class."
    )
    licence: ClassVar[str] = "drawn by the program, no rights reserved (CC0-1.0)"

    def __post_init__(self) -> None:
        """Refuse settings that cannot be drawn."""
        if not 2 <= self.n_classes <= len(CLASSES):
            raise ValueError(f"n_classes is {self.n_classes}; choose 2 to {len(CLASSES)}")
        if self.n_images < self.n_classes:
            raise ValueError(
                f"n_images is {self.n_images}; it takes at least one for each of "
                f"{self.n_classes} classes"
            )
        if self.image_size_px < LEAST_PX:
            raise ValueError(
                f"image_size_px is {self.image_size_px}; these scenes are drawn from {LEAST_PX:,} "
                "px up: smaller ones still tell their class when shrunk to 224 px"
            )
        n_blocks = (self.image_size_px // BLOCK_PX) ** 2
        if not 1 <= self.n_telling <= n_blocks:
            raise ValueError(
                f"n_telling is {self.n_telling}; an image of {self.image_size_px} px holds 1 to "
                f"{n_blocks} bodies"
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

    def label(self, i: int) -> int:
        """Class of image ``i``, from 0."""
        return i % self.n_classes

    def windows(self, i: int) -> SceneWindows:
        """Image ``i`` to be read by windows; its ``mask`` gives windows of the telling places."""
        name = CLASSES[self.label(i)]
        return SceneWindows(Scene(name, i, self.seed, self.image_size_px, self.n_telling))

    def _record(self, i: int) -> Record:
        name = CLASSES[self.label(i)]
        return Record(f"{name}/{i:05d}", name, partial(self._drawn, i))

    def _drawn(self, i: int) -> Pixels:
        whole = (0, 0, self.image_size_px, self.image_size_px)
        with self.windows(i) as image:
            return image.read(*whole), image.mask(*whole)
