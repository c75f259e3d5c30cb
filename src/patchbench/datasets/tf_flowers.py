"""TensorFlow's flower photographs: 3,670 of daisy, dandelion, roses, sunflowers and tulips.

The TensorFlow Team, "Flowers", 2019, http://download.tensorflow.org/example_images/. Without a
split of their own; pictures that are alike to the byte stay on one side. Licence: CC BY 2.0, the
photographers are named in ``LICENSE.txt`` of the archive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from patchbench.datasets._published import Archive, Published, in_class_folders
from patchbench.records import Record

_PATH = "download.tensorflow.org/example_images/flower_photos.tgz"
ARCHIVE = Archive(
    f"https://storage.googleapis.com/{_PATH}",
    "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
    mirrors=(f"http://{_PATH}",),
)
_FOLDER = "flower_photos"


@dataclass(frozen=True, kw_only=True)
class Dataset(Published):
    """TensorFlow's flowers; ``root`` holds ``flower_photos``."""

    summary: ClassVar[str] = "TensorFlow's 3,670 photographs of five kinds of flowers."
    licence: ClassVar[str] = "CC BY 2.0"

    @property
    def archives(self) -> Sequence[Archive]:
        """One archive."""
        return (ARCHIVE,)

    def records(self, folder: Path) -> list[Record]:
        """One record per photograph."""
        return in_class_folders(self.place(folder) / _FOLDER)
