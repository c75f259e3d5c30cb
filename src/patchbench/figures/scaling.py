"""What do growing images take? Peak memory and time against the side, and what did not fit."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from patchbench import scaling_results as results
from patchbench.apart import DONE, FAILED, MEMORY, TIME
from patchbench.figures import _style as style
from patchbench.figures._labels import LEADER_IN, names_beside
from patchbench.measuring import REPEAT_BELOW_S
from patchbench.study import Study

NEEDS = {"benchmark.ways": 1}
ACROSS_DATASETS = True  # of no dataset: the images are drawn for it
CAPTION = (
    "Peak memory of the process (on a GPU: of its tensors) and elapsed time for one square image "
    "against its side, both axes logarithmic; left inference, right training (one pass forward and "
    "backward). Each point is a process of its own. Filled points: median of several looks, with a "
    "bar from the shortest to the longest; hollow: one look. Beside a name: the exponent k of "
    "growth as the side to the power of k, least squares through the largest three sides, memory "
    "less what was there before the image; a dash where fewer fitted. Cross: out of "
    "memory, triangle: too long, plus: failed; "
    "above the dashed limit of its panel, at the side where a way went over it, in the other panel "
    "beside the last point. Larger sides were not tried."
)
_TOP_IN, _LEFT_IN, _BETWEEN_IN, _HEIGHT_IN, _GAP_IN = 0.62, 0.58, 0.16, 1.75, 0.42
_LINE_IN, _MAX_NAMES_IN, _STRIP_IN, _ASIDE_IN = 0.13, 1.4, 0.085, 0.085
_MARKS = {MEMORY: "x", TIME: ">", FAILED: "+"}
_SIGNS = {MEMORY: "\N{MULTIPLICATION SIGN}", TIME: "▷", FAILED: "+"}
_GROWTH = {"memory_gib": "growth_memory", "work_s": "growth_time"}
_OWN = {"memory_gib": MEMORY, "work_s": TIME}
_LIMITS = {"memory_gib": ("max_memory_gib", "GiB"), "work_s": ("max_time_s", "s")}
Points = tuple[np.ndarray, np.ndarray]
_SPREAD = ("work_low_s", "work_high_s")


def data(study: Study, dataset: str) -> pd.DataFrame:
    """One row per way, task and side: table ``scaling``, with exponents."""
    return results.curves(study)


def draw(study: Study, dataset: str) -> Figure:
    """A column of two panels per task, below it what did not fit."""
    frame = data(study, dataset)
    tasks = list(dict.fromkeys(frame["task"]))
    marks = _looks(frame)
    ended = {task: results.stops(frame[frame["task"] == task]) for task in tasks}
    below = _LINE_IN * (1 + max([len(rows) for rows in ended.values()], default=0)) + 0.1
    panels = _HEIGHT_IN * 2 + _GAP_IN
    footer = _facts(study, frame)
    fig = style.figure(_TOP_IN + panels + 0.5 + below + style.footer_in(footer))
    style.title(fig, "Memory and time against the side of an image")
    style.footer(fig, footer)
    if not (frame["status"] == DONE).any():
        ax = style.panel(fig, _LEFT_IN, _TOP_IN, style.WIDTH_IN - 2 * _LEFT_IN, panels)
        style.blank(ax, "No image of any side was measured.")
        return fig
    names_in = min(_MAX_NAMES_IN, max(map(style.text_width_in, _names(frame))) + 0.02)
    room = style.WIDTH_IN - _LEFT_IN - 0.06 - _BETWEEN_IN * (len(tasks) - 1)
    width = min(3.6, room / len(tasks) - LEADER_IN - names_in)
    for i, task in enumerate(tasks):
        left = _LEFT_IN + i * (width + LEADER_IN + names_in + _BETWEEN_IN)
        style.write(fig, left, _TOP_IN - 0.18, task.capitalize(), fontsize=style.TEXT_PT)
        told = "way · k, as side to the k"
        style.write(fig, left + width + LEADER_IN, _TOP_IN - 0.18, told, color=style.MUTED)
        for j, measure in enumerate(results.MEASURES):
            ax = style.panel(fig, left, _TOP_IN + j * (_HEIGHT_IN + _GAP_IN), width, _HEIGHT_IN)
            over = [int((rows["status"] == _OWN[measure]).sum()) for rows in ended.values()]
            _frame(ax, frame, measure, width, max(over))
            _panel(ax, frame[frame["task"] == task], measure, marks, names_in)
            ax.set_ylabel("" if i else results.MEASURES[measure])
            ax.tick_params(labelleft=not i)
            ax.set_xlabel("Side of the image, px" if j else "")
        _list(fig, ended[task], marks, left, _TOP_IN + panels + 0.5)
    return fig


def _looks(frame: pd.DataFrame) -> dict[Any, style.Mark]:
    ways = list(dict.fromkeys(frame["way"]))
    return {
        way: style.Mark(style.COLORS[i % 10], style.MARKERS[i % 10], style.DASHES[0], False, 3)
        for i, way in enumerate(ways)
    }


def _names(frame: pd.DataFrame) -> list[str]:
    """Ways with the exponents beside them, as wide as they come."""
    return [_name(way, -9.9) for way in dict.fromkeys(frame["way"])]


def _name(way: str, exponent: float) -> str:
    return f"{way} · {style.number(exponent, 1)}"


def _frame(ax: Axes, frame: pd.DataFrame, measure: str, width: float, n_over: int) -> None:
    """Logarithms on plain axes, so that labels beside a panel are spread by what is drawn."""
    limit = float(frame[_LIMITS[measure][0]].max())
    values = frame[[measure, *(_SPREAD if measure == "work_s" else ())]].to_numpy(float)
    low, high = np.log10(np.nanmin(values)), np.log10(max(limit, np.nanmax(values)))
    # the strip of what did not fit, a line for each way
    strip = (high - low) * _STRIP_IN * (n_over + 1.3) / (_HEIGHT_IN - _STRIP_IN * (n_over + 1.3))
    sides = np.unique(frame["side_px"])
    x = np.log2(sides)
    room = 0.06 * (x[-1] - x[0]) + 0.1
    ax.set(xlim=(x[0] - room, x[-1] + room), ylim=(low - 0.05 * (high - low), high + strip))
    ax.xaxis.set_major_locator(FixedLocator(list(x)))
    ax.set_xticklabels(_side_labels(sides, (x - x[0] + room) / np.ptp(ax.get_xlim()) * width))
    ticks, labels = _ticks(measure, low, high)
    ax.set_yticks(ticks, labels)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_locator(NullLocator())
    ax.axhline(np.log10(limit), color=style.MUTED, linewidth=0.8, linestyle=(0, (4, 2)), zorder=2)
    ax.annotate(f"limit {limit:g} {_LIMITS[measure][1]}", (0, np.log10(limit)), (2, 1.5),
                xycoords=("axes fraction", "data"), textcoords="offset points",
                fontsize=style.SMALL_PT, color=style.MUTED, zorder=4,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # fmt: skip


def _side_labels(sides: np.ndarray, places_in: np.ndarray) -> list[str]:
    """Sides as text, blank where there is no room beside a larger one."""
    labels, free = [], np.inf
    for side, place in zip(sides[::-1], places_in[::-1], strict=True):
        half = style.text_width_in(f"{side:,}") / 2
        fits = place + half < free
        labels.append(f"{side:,}" if fits else "")
        free = place - half - 0.06 if fits else free
    return labels[::-1]


def _ticks(measure: str, low: float, high: float) -> tuple[list[float], list[str]]:
    """Powers of two of GiB, of ten of seconds; at most about seven."""
    base = 2.0 if measure == "memory_gib" else 10.0
    first, last = (int(np.ceil(low / np.log10(base))), int(np.floor(high / np.log10(base))))
    powers = range(first, last + 1, max(1, (last - first) // 6))
    return [p * float(np.log10(base)) for p in powers], [f"{base**p:,g}" for p in powers]


def _panel(
    ax: Axes, frame: pd.DataFrame, measure: str, marks: Mapping[Any, style.Mark], names_in: float
) -> None:
    """Lines of the ways, dotted on to where they were stopped, names at the right."""
    (left, right), bottom_top = ax.get_xlim(), ax.get_ylim()
    limit = float(np.log10(frame[_LIMITS[measure][0]].max()))
    ended = results.stops(frame)
    over = list(ended.loc[ended["status"] == _OWN[measure], "way"])
    apart = (bottom_top[1] - limit) / (len(over) + 1)
    ends, named = {}, {}
    for way, rows in frame.groupby("way", sort=False):
        look, known = marks[way], rows[rows["status"] == DONE]
        x, y = (np.log2(known["side_px"].to_numpy()), np.log10(known[measure].to_numpy(float)))
        ax.plot(x, y, color=look.color, linewidth=1.1, zorder=look.order)
        several = (known["n_repeats"] > 1).to_numpy()
        if measure == "work_s":
            lows, highs = (np.log10(known.loc[several, name].to_numpy(float)) for name in _SPREAD)
            ax.vlines(x[several], lows, highs, color=look.color, linewidth=0.8)
        hollow = style.Mark(look.color, look.marker, look.dash, True, look.order)
        ax.plot(x[several], y[several], **look.point(3.6))
        ax.plot(x[~several], y[~several], **hollow.point(3.6))
        for row in ended[ended["way"] == way].to_dict("records"):
            own = limit + apart * (over.index(way) + 0.7) if way in over else None
            _stop(ax, {str(k): v for k, v in row.items()}, look, own, (x, y))
        if len(known):
            name = _name(str(way), float(known[_GROWTH[measure]].iloc[0]))
            place = (float(x[-1]) - left) / (right - left)
            named[name], ends[name] = look, (min(place, 0.999), float(y[-1]))
    names_beside(ax, named, ends, names_in)


def _stop(
    ax: Axes,
    row: Mapping[str, Any],
    look: style.Mark,
    y: float | None,
    known: tuple[np.ndarray, np.ndarray],
) -> None:
    """A mark at the height ``y``, joined with the last point; without a height, beside that."""
    form: dict[str, Any] = {"marker": _MARKS[row["status"]], "markersize": 4, "color": look.color}
    form |= {"markerfacecolor": "white", "markeredgewidth": 1.1, "linestyle": "none", "zorder": 5}
    last = [float(part[-1]) for part in known if len(part)]
    if y is not None:
        at = float(np.log2(row["side_px"]))
        if last:
            ax.plot([last[0], at], [last[1], y], color=look.color, linewidth=0.8,
                    linestyle=(0, (1, 1.8)), zorder=2.5)  # fmt: skip
        ax.plot(at, y, **form)
    elif last:
        aside = ScaledTranslation(_ASIDE_IN, 0, style.page(ax).dpi_scale_trans)
        ax.plot(*last, **form, transform=ax.transData + aside)


def _list(
    fig: Figure, ended: pd.DataFrame, marks: Mapping[Any, style.Mark], left: float, top: float
) -> None:
    """What did not fit, a line each."""
    if len(ended):
        style.write(fig, left, top, "did not fit", color=style.MUTED)
    for i, row in enumerate(ended.to_dict("records")):
        y, text = top + _LINE_IN * (i + 1), results.stop_text({str(k): v for k, v in row.items()})
        style.write(fig, left, y, _SIGNS[row["status"]], color=marks[row["way"]].ink)
        style.write(fig, left + 0.12, y, style.fit(text, 3.2), color=marks[row["way"]].ink)


def _facts(study: Study, frame: pd.DataFrame) -> str:
    known = frame[frame["status"] == DONE]
    if known.empty:
        return style.signed(study, "n = 0 points measured")
    most = int(known["n_repeats"].max())
    looks = "n = 1 look at each image"
    if most > 1:
        looks = f"n = {most} looks where one takes less than {REPEAT_BELOW_S:g} s, else 1"
    device = ", ".join(sorted({*known["device"]}))
    threads = ", ".join(str(n) for n in sorted({*known["threads"]}))
    hosts = "; ".join(sorted({*known["host"]}))
    more = f"device: {device}, threads: {threads}, {hosts}. Random weights, batch of 1, float32"
    return style.signed(study, f"{looks}. {more[0].upper()}{more[1:]}")
