"""Logits of patches by a fitted classifier, a few thousand embeddings in memory at a time."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench.patchset import gather

_CHUNK_PATCHES = 8192


def patch_logits(classifier: Any, shards: list[Path], index: pd.DataFrame) -> np.ndarray:
    """Logits of the patches that ``index`` names: float32 (n_patches, n_classes)."""
    starts = range(0, len(index), _CHUNK_PATCHES)
    parts = [index.iloc[start : start + _CHUNK_PATCHES] for start in starts]
    return np.concatenate([classifier.logits(gather(shards, part)) for part in parts])
