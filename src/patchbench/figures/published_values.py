"""What the 2019 study published beside what is measured here: accuracy and log-loss."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from patchbench import literature
from patchbench.figures import _style as style
from patchbench.study import WHOLE_IMAGE, Study

NEEDS = {"literature": ("resnet50", "bagnet33")}
CAPTION = (
    "Accuracy and log-loss (mean negative log-probability of the true class, nats) of two "
    "whole-image networks, and of BagNet with some channels of its features set to zero and "
    "nothing rescaled. Diamonds: published by the 2019 study, with the Wilson interval of an "
    "accuracy on the 426 test (last rows: 2,968 train) images it states. Points: measured here on "
    "test images, with 95 % bootstrap intervals; of channels drawn at random the mean over draws. "
    "Points of the last rows, without an interval: mean loss over the epoch whose weights were "
    "kept, while the network learned, on train images altered at random as its training has it."
)
_PANELS = {"accuracy": "Accuracy", "log_loss": "Log-loss, nats"}
_ROW_IN, _TOP_IN, _BETWEEN_IN, _ASIDE = 0.3, 0.62, 0.25, 0.16


def data(study: Study, dataset: str) -> pd.DataFrame:
    """One row per published value, ours beside it; see :func:`patchbench.literature.compared`."""
    return literature.compared(study, dataset)


def draw(study: Study, dataset: str) -> Figure:
    """Two panels, a line per published method."""
    frame = data(study, dataset)
    names = list(dict.fromkeys(frame["what"]))
    footer = _facts(study, dataset, frame)
    height = _ROW_IN * max(3, len(names))
    fig = style.figure(_TOP_IN + height + 0.5 + style.footer_in(footer))
    style.title(fig, f"{dataset}: published in 2019, and measured here")
    style.footer(fig, footer)
    if frame["found"].isna().all():
        ax = style.panel(fig, 0.3, _TOP_IN, style.WIDTH_IN - 0.6, height)
        style.blank(ax, "No published method was run on this dataset.")
        return fig
    left = 0.15 + max(style.text_width_in(name, style.TEXT_PT) for name in names)
    width = (style.WIDTH_IN - left - _BETWEEN_IN - 0.15) / 2
    for i, (measure, heading) in enumerate(_PANELS.items()):
        ax = style.panel(fig, left + i * (width + _BETWEEN_IN), _TOP_IN, width, height)
        _panel(ax, study, frame[frame["measure"] == measure], names)
        ax.set(xlabel=heading)
        ax.tick_params(labelleft=not i)
    _legend(fig, left)
    return fig


def _panel(ax: Axes, study: Study, frame: pd.DataFrame, names: list[str]) -> None:
    ax.set(ylim=(len(names) - 0.5, -0.5))
    ax.set_yticks(range(len(names)), names)
    ax.grid(visible=False, axis="y")
    for row in frame.to_dict("records"):
        y = names.index(row["what"])
        method = {"patches": WHOLE_IMAGE, "encoder": row["entry"], "classifier": "own_head"}
        look = style.mark(study, method | {"detector": "none"})
        ax.hlines(y - _ASIDE, row["published_low"], row["published_high"], color="0.6", lw=0.9)
        ax.plot(row["value"], y - _ASIDE, "D", color="white", markeredgecolor="0.35", markersize=4)
        if not np.isnan(row["found"]):
            ax.hlines(y + _ASIDE, row["low"], row["high"], color=look.color, lw=1.1)
            ax.plot(row["found"], y + _ASIDE, **look.point(4.2))


def _legend(fig: Figure, left: float) -> None:
    style.write(fig, left, _TOP_IN - 0.16, "◇ published     filled: here", fontsize=style.SMALL_PT)


def _facts(study: Study, dataset: str, frame: pd.DataFrame) -> str:
    """Images of every kind of row, seeds, what stands for what, and why a place is empty."""
    if frame["found"].isna().all():
        return style.facts(study, dataset)
    n_classes = len(study.datasets[dataset]["classes"])
    rows = study.metrics[study.metrics["dataset"] == dataset]
    parts = [*_n_images(frame), *([style.seeds(rows)] if len(rows) else [])]
    parts += literature.stand_ins(study)
    parts.append(f"Chance: accuracy {1 / n_classes:.2f}, log-loss {np.log(n_classes):.2f}")
    missing = frame["found"].isna()
    never = (frame["split"] == "train") & (frame["measure"] == "accuracy")
    if (missing & never).any():
        parts.append("Accuracy on train images is not measured here")
    if (missing & ~never).any():
        parts.append("Another diamond without a point below it: not measured in this study")
    return style.signed(study, ". ".join(parts))


def _n_images(frame: pd.DataFrame) -> list[str]:
    """How many images each kind of row rests on; empty where none was measured."""
    off, train = frame["policy"] != "none", frame["split"] == "train"
    kinds = {"whole": ~off & ~train, "off": off, "train": train}
    n = {kind: frame.loc[rows, "n_found"].max() for kind, rows in kinds.items()}
    parts = [f"{n['whole']:,.0f} test images"] if n["whole"] > 0 else []
    if n["off"] > 0 and n["off"] != n["whole"]:
        of = "of them" if parts else "test images"
        parts.append(f"{n['off']:,.0f} {of} where channels are off")
    parts += [f"{n['train']:,.0f} train images"] if n["train"] > 0 else []
    return [f"n = {', '.join(parts)}"] if parts else []
