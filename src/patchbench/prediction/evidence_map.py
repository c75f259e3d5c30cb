"""Draw where in an image the patches see a class."""

from pathlib import Path
from typing import Any

import numpy as np

from patchbench import fonts
from patchbench.prediction.answer import Grid
from patchbench.windows import Windows
from patchbench.windows.shrinking import shrunk

# side of the picture at most; larger images are shrunk window by window
_LONGEST_PX = 768
_PANEL_IN, _HEAD_IN, _FOOT_IN, _GAP_IN = 3.4, 0.34, 0.56, 0.12
_INK = "#1a1a1a"
_RC: dict[Any, Any] = {
    "font.size": 7.5,
    "text.color": _INK,
    "text.parse_math": False,  # a "$" in a name is a "$"
    "xtick.color": _INK,
}
# how much of a place is colour, the rest is the picture
_SHARE = 0.65


def thumbnail(windows: Windows) -> np.ndarray:
    """The image, each side at most `_LONGEST_PX`: uint8 array, (height, width, 3)."""
    height_px, width_px = windows.height_px, windows.width_px
    scale = max(1.0, max(height_px, width_px) / _LONGEST_PX)
    shape = max(1, round(height_px / scale)), max(1, round(width_px / scale))
    return shrunk(windows, (0, 0, height_px, width_px), shape)


def spread(
    evidence: np.ndarray, where: Grid, image_px: tuple[int, int], shape: tuple[int, int]
) -> np.ndarray:
    """Mean over the patches that cover each place of a picture of the image.

    Parameters
    ----------
    evidence : float array, (n_rows, n_cols)
        A value of each patch.
    where : Grid
        Where the patches lie.
    image_px : pair of int
        Height and width of the image.
    shape : pair of int
        Of the picture.

    Returns
    -------
    float64 array of that shape
        NaN where no patch is.

    Examples
    --------
    >>> where = Grid(np.array([0]), np.array([0, 2]), 4)
    >>> spread(np.array([[0.0, 1.0]]), where, (4, 7), (1, 7))
    array([[0. , 0. , 0.5, 0.5, 1. , 1. , nan]])
    """
    down, across = (
        _covers(starts, where.patch_size_px, side_px, n)
        for starts, side_px, n in zip((where.ys, where.xs), image_px, shape, strict=True)
    )
    count = np.outer(down.sum(axis=1), across.sum(axis=1))
    total: np.ndarray = down @ evidence.astype(np.float64) @ across.T
    return np.divide(total, count, out=np.full(shape, np.nan), where=count > 0)


def _covers(starts: np.ndarray, patch_size_px: int, side_px: int, n: int) -> np.ndarray:
    """Whether the middle of each of ``n`` places lies in each patch: float64 (n, n_starts)."""
    middles = (np.arange(n)[:, None] + 0.5) * side_px / n
    return ((starts <= middles) & (middles < starts + patch_size_px)).astype(np.float64)


def write_map(
    path: Path, picture: np.ndarray, evidence: np.ndarray, class_name: str, probability: float
) -> None:
    """Write the picture beside itself in grey under the evidence for a class, as PNG.

    Parameters
    ----------
    path : Path
        Where to.
    picture : uint8 array, (height, width, 3)
    evidence : float array, (height, width)
        Probability of the class by place, from 0 to 1; NaN where no patch is.
    class_name, probability
        What was decided on the image, and how probable it is.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    tall = _PANEL_IN * min(2.0, max(0.25, picture.shape[0] / picture.shape[1]))
    width, height = 2 * _PANEL_IN + 3 * _GAP_IN, tall + _HEAD_IN + _FOOT_IN
    with fonts.look(_RC, class_name):
        fig = Figure(figsize=(width, height), dpi=160)
        for i, shown in enumerate((picture, _under(picture, evidence))):
            left = _GAP_IN + i * (_PANEL_IN + _GAP_IN)
            box = (left / width, _FOOT_IN / height, _PANEL_IN / width, tall / height)
            ax = fig.add_axes(box)
            ax.imshow(shown, interpolation="nearest" if max(picture.shape) < 384 else "antialiased")
            ax.set_axis_off()
        head = 1 - 0.6 * _HEAD_IN / height
        title = f"{_short(class_name)}: {100 * probability:.1f} %"
        fig.text(_GAP_IN / width, head, title, fontsize=9, va="center")
        left = 2 * _GAP_IN + _PANEL_IN
        bar = fig.add_axes((left / width, 0.36 / height, _PANEL_IN / width, 0.08 / height))
        colours = mpl.cm.ScalarMappable(mpl.colors.Normalize(0, 1), "inferno")
        fig.colorbar(colours, cax=bar, orientation="horizontal").outline.set_visible(False)
        label = f"mean probability of {_short(class_name)} in the patches on each place"
        fig.text(left / width, 0.07 / height, label, fontsize=7)
        fig.savefig(path, format="png", metadata={"Software": None})


def _short(name: str, n_most: int = 40) -> str:
    return name if len(name) <= n_most else f"{name[: n_most - 1]}\N{HORIZONTAL ELLIPSIS}"


def _under(picture: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """The picture in grey with the evidence as colours over it: float64 (height, width, 3)."""
    from matplotlib import colormaps

    grey = np.repeat(picture.mean(axis=2, keepdims=True) / 255, 3, axis=2)
    known = np.isfinite(evidence)[..., None] * _SHARE
    mixed: np.ndarray = (
        grey * (1 - known) + colormaps["inferno"](np.nan_to_num(evidence))[..., :3] * known
    )
    return mixed
