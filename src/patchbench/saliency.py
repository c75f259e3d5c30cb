"""Saliency of patches, from the maps that stage ``explain`` left."""

from pathlib import Path

import numpy as np
import pandas as pd

from patchbench.faithfulness import patch_means
from patchbench.io import read_array, read_table

TRUE, PREDICTED = "true", "predicted"


def patch_saliency(
    folder: Path, which: str, patches: pd.DataFrame, sides_px: tuple[int, int]
) -> np.ndarray:
    """Mean of the image's raw map over each patch.

    Parameters
    ----------
    folder : Path
        With ``explained.parquet``, ``true.npy`` and ``predicted.npy``.
    which : str
        Map of the ``true`` or of the ``predicted`` class.
    patches : DataFrame
        Rows of table "patches".
    sides_px : pair of int
        Height and width of the images.

    Returns
    -------
    float64 array, (n_patches,)
    """
    rows = read_table(folder / "explained.parquet", "explained")["image_row"]
    place = pd.Series(np.arange(len(rows)), index=rows.to_numpy())
    boxes = patches[["y_px", "x_px", "height_px", "width_px"]].to_numpy()
    map_of = place.loc[patches["image_row"]].to_numpy()
    return patch_means(read_array(folder / f"{which}.npy"), map_of, boxes, *sides_px)
