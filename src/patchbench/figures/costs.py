"""Where the effort goes: processor time of every stage and peak memory, by encoder and network."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from patchbench import cost_results
from patchbench import results_table as results
from patchbench.figures import _style as style
from patchbench.study import NONE, OWN_HEAD, WHOLE_IMAGE, Study

CAPTION = (
    "Processor time, in seconds on a logarithmic scale that all panels share, and largest resident "
    "memory of any stage run (of a GPU, by tensors), by encoder and whole-image network; the one "
    "that took most time on top. "
    "Stages of all patch sizes, patch classifiers, seeds and shards are added up, with their "
    "imports, loading, saving and scoring, but without the start of Python. Decide: classify "
    "patches and fuse their votes; of a network, its forward passes. Look closer: map embeddings, "
    "explain, detect noisy patches, take images apart. Grid lines: factors of ten."
)
_HEADS = {
    "train encoder": "Train\nencoder",
    "encode": "Encode\npatches",
    "train classifiers": "Train\nclassifiers",
    "decide": "Decide",
    "look closer": "Look\ncloser",
}
_MEMORY = {"peak_rss_mib": "Peak\nmemory", "peak_gpu_mib": "Peak GPU\nmemory"}
_MAX_ROWS, _ROW_IN, _TOP_IN, _RIGHT_IN = 20, 0.17, 0.62, 0.42
_NAMES_IN, _GAP_IN = 1.5, 0.07


def data(study: Study, dataset: str) -> pd.DataFrame:
    """One row per encoder or network and part of the way: stages run, times, memory."""
    frame = cost_results.by_part(study, dataset)
    frame.insert(1, "label", [_label(study, row) for row in frame.to_dict("records")])
    return frame


def draw(study: Study, dataset: str) -> Figure:
    """A row per encoder or network; a panel for every part of the way, and for memory."""
    frame = data(study, dataset)
    encoders = list(dict.fromkeys(frame["encoder"]))
    shown = frame[frame["encoder"].isin(encoders[:_MAX_ROWS])]
    height = _ROW_IN * len(encoders[:_MAX_ROWS]) or 0.6
    footer = _facts(study, dataset, frame, len(encoders))
    fig = style.figure(_TOP_IN + height + 0.26 + style.footer_in(footer))
    style.title(fig, f"{dataset}: what each encoder and network took")
    style.footer(fig, footer)
    if shown.empty:
        ax = style.panel(fig, 0.3, _TOP_IN, style.WIDTH_IN - 0.6, height)
        style.blank(ax, "No job with an encoder has told what it took on this dataset.")
        return fig
    _names(fig, study, shown)
    parts = [part for part in _HEADS if (shown["part"] == part).any()]
    memory = [name for name in _MEMORY if shown[name].notna().any()]
    left = 0.1 + _NAMES_IN + 0.2
    room = style.WIDTH_IN - left - _RIGHT_IN - 0.12
    width = room / (len(parts) + len(memory)) - _GAP_IN
    places = left + (width + _GAP_IN) * np.arange(len(parts) + len(memory))
    places[len(parts) :] += 0.12
    limits = _decades(shown["cpu_s"])
    for part, at in zip(parts, places, strict=False):
        ax = _panel(fig, at, width, height, _HEADS[part], shown["encoder"].nunique())
        ax.set_xscale("log")
        ax.set_xlim(*limits)
        ax.set_xticks(10.0 ** np.arange(np.log10(limits[0]), np.log10(limits[1]) + 1))
        ax.minorticks_off()
        rows = shown[shown["part"] == part].set_index("encoder")["cpu_s"]
        _points(ax, study, shown, rows)
    below = _TOP_IN + height + 0.1
    for unit, of in (("processor time, s, logarithmic", places[: len(parts)]),
                     ("MiB", places[len(parts) :])):  # fmt: skip
        style.write(fig, (of[0] + of[-1] + width) / 2, below, unit, ha="center", va="top")
    for name, at in zip(memory, places[len(parts) :], strict=True):
        ax = _panel(fig, at, width, height, _MEMORY[name], shown["encoder"].nunique())
        rows = shown.groupby("encoder", sort=False)[name].max().dropna()
        ax.set_xlim(0, 1.08 * float(rows.max()))
        _points(ax, study, shown, rows)
    return fig


def _label(study: Study, row: dict[Any, Any]) -> str:
    if row["patches"] == WHOLE_IMAGE:
        return f"{row['encoder']} (whole image)"
    control = results.is_control(study, "encoders", str(row["encoder"]))
    return f"{row['encoder']} (control)" if control else str(row["encoder"])


def _facts(study: Study, dataset: str, frame: pd.DataFrame, n_encoders: int) -> str:
    rows = study.costs[study.costs["dataset"] == dataset]
    text = f"n = {int(frame['n_stages'].sum())} stages run"
    metrics = study.metrics[study.metrics["dataset"] == dataset]
    if len(metrics):
        text += f"; {style.seeds(metrics)}"
    shared = cost_results.shared_cpu_s(study, dataset)
    if not np.isnan(shared):
        text += f"; preparing and cutting the images, for all alike: {_short(shared)} s more"
    devices, threads = (
        ", ".join(sorted({str(value) for value in rows[name].dropna()}))
        for name in ("device", "threads")
    )
    if devices:
        text += f". Device: {devices}; threads per job: {threads}"
    return style.signed(study, ". ".join([text, *style.not_drawn(n_encoders - _MAX_ROWS)]))


def _decades(seconds: "pd.Series[float]") -> tuple[float, float]:
    """Whole factors of ten around all values."""
    known = seconds[seconds > 0]
    if known.empty:
        return 1.0, 10.0
    low, high = np.floor(np.log10(known.min())), np.ceil(np.log10(known.max()))
    return float(10**low), float(10 ** max(high, low + 1))


def _names(fig: Figure, study: Study, frame: pd.DataFrame) -> None:
    """Names on the left, and how many stages were run for each on the right."""
    right = style.WIDTH_IN - 0.1
    style.write(fig, right, _TOP_IN - 0.04, "Stages", ha="right", va="bottom")
    for i, (_, rows) in enumerate(frame.groupby("encoder", sort=False)):
        top = _TOP_IN + _ROW_IN * (i + 0.5)
        name = style.fit(str(rows["label"].iloc[0]), _NAMES_IN)
        style.write(fig, 0.1 + _NAMES_IN + 0.1, top, name, ha="right")
        style.write(fig, right, top, f"{int(rows['n_stages'].sum()):,}", ha="right")


def _panel(fig: Figure, left: float, width: float, height: float, head: str, n_rows: int) -> Axes:
    ax = style.panel(fig, left, _TOP_IN, width, height)
    ax.set(ylim=(n_rows - 0.5, -0.5), yticks=range(n_rows))
    ax.tick_params(labelbottom=False, labelleft=False, length=0)
    ax.spines[:].set_visible(False)
    style.write(fig, left + width / 2, _TOP_IN - 0.04, head, ha="center", va="bottom")
    return ax


def _points(ax: Axes, study: Study, frame: pd.DataFrame, values: "pd.Series[float]") -> None:
    """A point for each encoder that has a value, and the value beside it, where there is room."""
    for i, (encoder, rows) in enumerate(frame.groupby("encoder", sort=False)):
        if encoder not in values.index or not values[encoder] > 0:
            continue
        value, patches = float(values[encoder]), str(rows["patches"].iloc[0])
        own_head = OWN_HEAD if patches == WHOLE_IMAGE else NONE
        method = {"patches": patches, "encoder": encoder, "classifier": own_head}
        ax.plot(value, i, clip_on=False, **style.mark(study, method).point(4.2))
        x = ax.transAxes.inverted().transform(ax.transData.transform((value, i)))[0]
        side = 1 if x < 0.5 else -1
        ax.annotate(
            _short(value),
            (value, i),
            (5 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=style.SMALL_PT,
        )


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
