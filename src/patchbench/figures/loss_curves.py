"""How training went: train and validation loss of everything trained, epoch by epoch."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from patchbench.figures import _style as style
from patchbench.study import NONE, OWN_HEAD, WHOLE_IMAGE, Study

CAPTION = (
    "Loss per epoch on the training split (light) and the validation split (dark); the dot marks "
    "the epoch whose weights were kept. Each method minimises its own loss, so heights compare "
    "within a panel only."
)
_COLUMNS, _WIDTH_IN, _HEIGHT_IN, _TOP_IN, _STEP_X_IN, _STEP_Y_IN = 3, 1.6, 1.25, 0.55, 2.3, 1.85


def data(study: Study, dataset: str) -> pd.DataFrame:
    """Loss rows of the history: patches, encoder, seed, epoch, split, value, kept."""
    rows = study.history[(study.history["dataset"] == dataset)]
    rows = rows[rows["measure"] == "loss"].drop(columns=["dataset", "measure"])
    return rows.sort_values(["patches", "encoder", "seed", "split", "epoch"], ignore_index=True)


def draw(study: Study, dataset: str) -> Figure:
    """One small panel per trained method, whole-image networks last."""
    frame = data(study, dataset)
    trained = sorted(set(zip(frame["patches"], frame["encoder"], strict=True)), key=_whole_last)
    n_rows = max(1, -(-len(trained) // _COLUMNS))
    footer = _facts(study, dataset)
    height = _TOP_IN + _STEP_Y_IN * (n_rows - 1) + _HEIGHT_IN + 0.48 + style.footer_in(footer)
    fig = style.figure(height)
    style.title(fig, f"{dataset}: training")
    style.footer(fig, footer)
    if not trained:
        ax = style.panel(fig, 0.5, 0.4, 6, 1)
        style.blank(ax, "Nothing on this dataset was trained by epochs.")
    for i, (patches, encoder) in enumerate(trained):
        left, top = 0.5 + i % _COLUMNS * _STEP_X_IN, _TOP_IN + i // _COLUMNS * _STEP_Y_IN
        ax = style.panel(fig, left, top, _WIDTH_IN, _HEIGHT_IN)
        rows = frame[(frame["patches"] == patches) & (frame["encoder"] == encoder)]
        own_head = OWN_HEAD if patches == WHOLE_IMAGE else NONE
        look = style.mark(study, {"patches": patches, "encoder": encoder, "classifier": own_head})
        several = len({p for p, e in trained if e == encoder}) > 1
        name = f"{encoder} · {patches}" if several else encoder
        ax.set_title(style.shorten(name, 30), fontsize=style.TEXT_PT, loc="left", pad=4)
        _panel(ax, rows, look.color)
        ax.set_ylabel("Loss" if i % _COLUMNS == 0 else "")
        ax.set_xlabel("Epoch")
    return fig


def _whole_last(method: tuple[str, str]) -> tuple[bool, str, str]:
    return method[0] == WHOLE_IMAGE, method[1], method[0]


def _facts(study: Study, dataset: str) -> str:
    counts = study.datasets.get(dataset, {}).get("n_images", {})
    n = {split: sum(counts[split].values()) for split in ("train", "val") if split in counts}
    sizes = ", ".join(f"{value:,} {split}" for split, value in n.items())
    seeds = sorted(set(study.history.loc[study.history["dataset"] == dataset, "seed"]))
    text = f"n = {sizes} images. " if sizes else ""
    text += f"{len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'}"
    return style.signed(study, text + ("; thin lines: single seeds" if len(seeds) > 1 else ""))


def _panel(ax: Axes, rows: pd.DataFrame, color: str) -> None:
    wide = rows.pivot_table(index="epoch", columns=["split", "seed"], values="value")
    if wide.empty:
        style.blank(ax, "No finite loss was recorded.")
        return
    last: dict[str, float] = {}
    for split, alpha in (("train", 0.45), ("val", 1.0)):
        if split not in wide.columns.get_level_values("split"):
            continue
        curves = pd.DataFrame(wide[split])
        if curves.shape[1] > 1:
            ax.plot(curves.index, curves, color=color, alpha=0.35 * alpha, linewidth=0.5)
        mean = curves.mean(axis=1)
        marker = "." if len(mean) == 1 else ""
        ax.plot(mean.index, mean, color=color, alpha=alpha, linewidth=1.4, marker=marker)
        last[split] = float(mean.dropna().iloc[-1]) if mean.notna().any() else float("nan")
    kept = rows[rows["kept"].astype(bool) & (rows["split"] == "val") & rows["value"].notna()]
    ax.plot(kept["epoch"], kept["value"], "o", markersize=3.6, color=color,
            markeredgecolor="white", markeredgewidth=0.6, zorder=4)  # fmt: skip
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    _names_at_ends(ax, last)


def _names_at_ends(ax: Axes, last: dict[str, float]) -> None:
    """Write the split's name at the end of its line, the two never closer than a line."""
    ends = sorted((value, split) for split, value in last.items() if pd.notna(value))
    low, high = ax.get_ylim()
    apart = 0.1 * (high - low)
    heights = [value for value, _ in ends]
    if len(heights) == 2 and heights[1] - heights[0] < apart:
        middle = sum(heights) / 2
        heights = [middle - apart / 2, middle + apart / 2]
    for y, (_, split) in zip(heights, ends, strict=True):
        ax.annotate(split, (1, y), (3, 0), xycoords=("axes fraction", "data"), va="center",
                    textcoords="offset points", fontsize=style.SMALL_PT)  # fmt: skip
