"""Handwritten digits: 1,797 grey pictures of 8 x 8 px that come with scikit-learn.

Alpaydin & Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, 1998, https://doi.org/10.24432/C50P49 (its test part, 13 writers).
Needs no download, so it is a quick check of an installation; the pictures are too small to say
much about patches. Licence: CC BY 4.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from patchbench.records import Pixels, Record


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Handwritten digits 0-9, enlarged from 8 x 8 px."""

    image_size_px: int
    seed: int = 0

    masks: ClassVar[bool] = False
    summary: ClassVar[str] = "1,797 handwritten digits of 8 x 8 px, bundled with scikit-learn."
    licence: ClassVar[str] = "CC BY 4.0"

    @property
    def needs_download(self) -> bool:
        """Always false: the pictures are part of scikit-learn."""
        return False

    def records(self, folder: Path) -> list[Record]:
        """One record per digit; ``folder`` is not used."""
        from sklearn.datasets import load_digits

        bundle = load_digits()
        records = [
            Record(f"{label}/{i:04d}", str(label), partial(_read, grey))
            for i, (grey, label) in enumerate(zip(bundle.images, bundle.target, strict=True))
        ]
        return sorted(records, key=lambda record: record.image_id)


def _read(grey: np.ndarray) -> Pixels:
    scaled = np.rint(grey * (255 / 16)).astype(np.uint8)  # the bundle counts from 0 to 16
    return np.repeat(scaled[..., None], 3, axis=2), None
