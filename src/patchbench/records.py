"""What a dataset hands to the rest of the program: one `Record` per image, read on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from patchbench import plugins
from patchbench.errors import UserError, printable
from patchbench.limits import Limits

Pixels = tuple[np.ndarray, np.ndarray | None]
"""(h, w, 3) uint8 RGB, and a (h, w) bool mask of the object or None."""


class BadImageError(Exception):
    """One image cannot be used; `str()` of it is the reason, in words and on one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(printable(reason))


class TooLargeImageError(BadImageError):
    """An image has more pixels than are decoded at once."""


@dataclass(frozen=True)
class Record:
    """One image of a dataset, before it is decoded."""

    image_id: str
    """Unique and stable; "/"-separated is fine ("daisy/123.jpg")."""
    class_name: str
    read: Callable[[], Pixels]
    """Decodes or draws the image; raises `BadImageError` if it cannot."""
    split: str | None = None
    """"train", "val", "test", "drop" (leave out), or None: `splits.assign` decides."""
    group: str | None = None
    """Images of the same scene share it and never end up on two sides of the split."""


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Settings that every dataset entry of the config may have, whatever its type."""

    image_size_px: int
    """Side of the square images."""
    resize: str = "crop"
    """How to get there: crop, squash or pad."""
    val_fraction: float = 0.15
    """Share of each class for val, where the dataset brings no split; of its train images where
    it brings train and test alone."""
    test_fraction: float = 0.25
    """Share of each class for test, where the dataset brings no split."""
    seed: int = 0
    """For what is drawn or dealt at random."""
    max_bad_images: float = 0.01
    """Share of images that may be unusable before the preparation stops."""
    min_source_px: int = 8
    """Images with a smaller short side are unusable."""
    max_image_megapixels: float = Limits.max_image_megapixels
    """Images of more pixels are unusable, and not decoded."""
    max_download_gib: float = Limits.max_download_gib
    """Larger files are not downloaded, and archives of more than that not unpacked."""

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        sizes = {"image_size_px": self.image_size_px, "min_source_px": self.min_source_px}
        for name, value in sizes.items():
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} is {value!r}; it must be a whole number above 0")
        if self.resize not in ("crop", "squash", "pad"):
            raise ValueError(f"resize is {self.resize!r}; choose one of crop, squash, pad")
        for name in ("val_fraction", "test_fraction", "max_bad_images"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be between 0 and 1")
        _ = self.limits

    @property
    def limits(self) -> Limits:
        """What is refused for its size."""
        return Limits(self.max_image_megapixels, self.max_download_gib)


def open_dataset(entry: str, spec: Mapping[str, Any]) -> tuple[Any, Preparation]:
    """Build the dataset plug-in of a config entry, and its common settings.

    Raises
    ------
    UserError
        If a setting is missing, unknown or out of range.
    """
    common = {f.name: spec[f.name] for f in fields(Preparation) if f.name in spec}
    if "image_size_px" not in common:
        raise UserError(f"datasets.{entry}: image_size_px is missing; give the side of the images")
    try:
        preparation = Preparation(**common)
    except (ValueError, TypeError) as error:
        raise UserError(f"datasets.{entry}: {error}") from error
    own = {key: value for key, value in spec.items() if key not in common}
    size_px, seed = preparation.image_size_px, preparation.seed
    return plugins.build("datasets", entry, own, image_size_px=size_px, seed=seed), preparation


def deciding_download(entry: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """What of a config entry decides what is downloaded.

    A change of anything else is no reason to download again: archives go once they are unpacked,
    so all of them would have to be fetched anew.
    """
    kind = spec.get("type", entry)
    own = getattr(plugins.load("datasets", kind).Dataset, "download_settings", ())
    deciding = {name: spec[name] for name in ("max_download_gib", *own) if name in spec}
    return {"type": kind} | deciding
