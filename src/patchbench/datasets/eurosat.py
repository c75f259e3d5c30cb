"""EuroSAT: 27,000 Sentinel-2 pictures of 64 x 64 px, ten kinds of land use, in colour.

Helber, Bischke, Dengel & Borth, "EuroSAT: a novel dataset and deep learning benchmark for land
use and land cover classification", IEEE JSTARS 2019, arXiv:1709.00029. No split of its own.
Licence: MIT; contains modified Copernicus Sentinel data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from patchbench.datasets._published import Archive, Published, in_class_folders
from patchbench.records import Record

ARCHIVE = Archive(
    "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
    "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
    "md5:c8fa014336c82ac7804f0398fcb19387",
)
_FOLDER = "2750"


@dataclass(frozen=True, kw_only=True)
class Dataset(Published):
    """EuroSAT in colour; ``root`` holds ``2750``."""

    summary: ClassVar[str] = "27,000 satellite pictures of ten kinds of land use (EuroSAT, RGB)."
    licence: ClassVar[str] = "MIT"

    @property
    def archives(self) -> Sequence[Archive]:
        """One archive."""
        return (ARCHIVE,)

    def records(self, folder: Path) -> list[Record]:
        """One record per picture."""
        return in_class_folders(self.place(folder) / _FOLDER)
