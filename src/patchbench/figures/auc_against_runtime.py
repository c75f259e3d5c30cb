"""What quality costs: image AUC against training time and against time per image."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from patchbench import results_table as results
from patchbench import runtimes
from patchbench.evaluation import preferred_fusion
from patchbench.figures import _style as style
from patchbench.figures._labels import spread, without_bars
from patchbench.study import Study

CAPTION = (
    "Area under the receiver operating characteristic (ROC) curve of image decisions against "
    "elapsed time. Training: fitting the encoder and the patch classifier; for a whole-image "
    "network, its training. Inference: encoding and classifying all patches of an image, already "
    "cut, and fusing their votes by one rule of average cost; for a whole-image network, its "
    "forward pass. Shards are added up; loading, saving and scoring are not counted, nor is the "
    "warm-up of inference where it was timed piece by piece; horizontal bars then reach from the "
    "5th to the 95th percentile over pieces, stages added up."
)
_TIMES = {
    "train_s": "Training time, s",
    "inference_ms_per_image": "Inference time per image, ms",
}
_SPREAD = {"inference_ms_per_image": ("inference_ms_low", "inference_ms_high")}
_MAX_LABELS, _TOP_IN, _WIDTH_IN, _LEFT_IN = 16, 0.3, 2.95, (0.5, 3.9)


def data(study: Study, dataset: str) -> pd.DataFrame:
    """One row per method: AUC, interval, both times and the spread of inference, seeds averaged."""
    frame = results.with_one_fusion(results.scores(study, dataset, "image"))
    frame = results.merge_controls(frame)
    times = runtimes.mean_runtime(study, dataset)
    return frame.merge(times, on=["patches", "encoder", "classifier", "fusion"], how="left")


def draw(study: Study, dataset: str) -> Figure:
    """Two panels that share the AUC axis, one point per method, labelled beside it."""
    frame = data(study, dataset)
    n_labels = min(len(frame), _MAX_LABELS)
    height = 2.6 + 0.07 * max(0, n_labels - 8)
    footer = _facts(study, dataset, frame)
    fig = style.figure(_TOP_IN + height + 0.5 + style.footer_in(footer))
    style.title(fig, f"{dataset}: image AUC against runtime")
    style.footer(fig, footer)
    limits = _auc_limits(frame)
    for (column, name), left in zip(_TIMES.items(), _LEFT_IN, strict=True):
        ax = style.panel(fig, left, _TOP_IN, _WIDTH_IN, height)
        known = frame[frame["value"].notna() & (frame[column] > 0)].reset_index(drop=True)
        if known.empty:
            style.blank(ax, f"No method has both an AUC and a {name.split(',')[0].lower()}.")
            continue
        times = known[[column, *_SPREAD.get(column, ())]].to_numpy(float)
        _frame(ax, times[times > 0], limits)
        ax.set_xlabel(name)
        if left == _LEFT_IN[0]:
            ax.set_ylabel("Image AUC-ROC")
        _points(ax, study, known, column)
    return fig


def _facts(study: Study, dataset: str, frame: pd.DataFrame) -> str:
    fusion = preferred_fusion(f for f in frame["fusion"] if f != "none")
    rows = study.costs[study.costs["dataset"] == dataset]
    devices = ", ".join(sorted(set(rows["device"].dropna())))
    threads = ", ".join(str(n) for n in sorted(set(rows["threads"].dropna())))
    more = [f"fusion of patch methods: {fusion}", "bars: 95 % bootstrap intervals over test images"]
    more += without_bars(frame)
    if frame["inference_ms_low"].notna().any():
        more.append("bars of inference time: 5th to 95th percentile over pieces of the work")
    if devices:
        more.append(f"device: {devices}; threads per job: {threads}")
    if len(frame) > _MAX_LABELS:
        more.append("points without a label are in the table behind this figure")
    missing = frame[list(_TIMES)].isna().any(axis=1) | frame["value"].isna()
    if missing.any():
        names = ", ".join(style.shorten(name, 24) for name in frame.loc[missing, "label"][:4])
        more.append(f"not drawn everywhere, for want of a time or an AUC: {names}")
    return style.facts(study, dataset, *more)


def _auc_limits(frame: pd.DataFrame) -> tuple[float, float]:
    low = np.nanmin([0.5, *frame["low"], *frame["value"]])
    return float(low) - 0.05, 1.04


def _frame(ax: Axes, times: np.ndarray, limits: tuple[float, float]) -> None:
    ax.set_xscale("log")
    first, last = (float(np.log10(end)) for end in (times.min(), times.max()))
    lacking = max(0.0, 0.7 - (last - first))
    room = 0.18 * (last - first + lacking)
    ax.set_xlim(10 ** (first - lacking / 2 - room), 10 ** (last + lacking / 2 + room))
    steps = (1, 2, 5) if last - first < 2 else (1,)
    ax.xaxis.set_major_locator(LogLocator(subs=steps))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    ax.set_ylim(*limits)
    ax.set_yticks([tick for tick in np.arange(0.1, 1.01, 0.1) if limits[0] < tick])
    ax.axhline(0.5, color=style.MUTED, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1.5)


def _points(ax: Axes, study: Study, frame: pd.DataFrame, column: str) -> None:
    keep_off, marks = [], []
    for row in frame.to_dict("records"):
        look = style.mark(study, {str(k): v for k, v in row.items()})
        marks.append(look)
        low, high = row["low"], row["high"]
        if not (pd.isna(low) or pd.isna(high)):
            ax.vlines(row[column], low, high, color=look.color, linewidth=1.0, zorder=look.order)
        else:
            low = high = row["value"]
        left, right = (row[name] for name in _SPREAD.get(column, (column, column)))
        if left > 0 and right > left:
            ax.hlines(row["value"], left, right, color=look.color, linewidth=0.8, zorder=look.order)
            ends = ax.transData.transform([(left, row["value"]), (right, row["value"])])
            keep_off.append([ends[0, 0] - 3, ends[0, 1] - 1, ends[1, 0] + 3, ends[1, 1] + 1])
        ax.plot(row[column], row["value"], **look.point(5.0))
        ends = ax.transData.transform([(row[column], low), (row[column], high)])
        middle = ax.transData.transform((row[column], row["value"]))
        keep_off.append([ends[0, 0] - 1, ends[0, 1], ends[1, 0] + 1, ends[1, 1]])
        keep_off.append([*(middle - 6), *(middle + 6)])
    keep_off += _chance(ax, np.array(keep_off))
    labelled = set(results.at_most(frame, _MAX_LABELS)["label"])
    names = [style.shorten(n, 30) if n in labelled else "" for n in frame["label"]]
    spread(ax, frame[[column, "value"]].to_numpy(float), names, marks, np.array(keep_off))


def _chance(ax: Axes, taken: np.ndarray) -> list[list[float]]:
    """Name the line of chance at the left, or right where points are in the way; what it takes.

    Boxes, also ``taken``, (n, 4): left, bottom, right, top, in pixels.
    """
    y = float(ax.transData.transform((1.0, 0.5))[1])
    left, right = (float(x) for x in ax.transAxes.transform([(0, 0), (1, 0)])[:, 0])
    width = 0.15 * (right - left)
    boxes = [[x, y - 14, x + width, y] for x in (left, right - width)]
    met = [
        (np.minimum(taken[:, 2:], box[2:]) > np.maximum(taken[:, :2], box[:2])).all(axis=1).sum()
        for box in boxes
    ]
    side = int(met[1] < met[0])
    ax.text(0.99 if side else 0.01, 0.497, "chance", transform=ax.get_yaxis_transform(),
            ha=("left", "right")[side], va="top", fontsize=style.SMALL_PT,
            color=style.MUTED)  # fmt: skip
    return [[left, y - 1, right, y + 1], boxes[side]]
