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
    "accuracy on the 426 test images it states. Points: measured here on test images, with 95 % "
    "bootstrap intervals; of channels drawn at random the mean over draws."
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
    pairs = dict(zip(frame["method"].map(literature.NAMES), frame["entry"], strict=True))
    n_classes = len(study.datasets[dataset]["classes"])
    chance = f"chance: accuracy {1 / n_classes:.2f}, log-loss {np.log(n_classes):.2f}"
    told = [f"{name} is {entry} here" for name, entry in pairs.items()]
    return style.facts(study, dataset, *told, chance)
