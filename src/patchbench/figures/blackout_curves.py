"""What may go? Image AUC and log-loss when patches or feature channels are taken away."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from patchbench import experiment_results
from patchbench.figures import _chance as chance
from patchbench.figures import _style as style
from patchbench.results_table import CHANCE_AUC
from patchbench.study import WHOLE_IMAGE, Study

NEEDS = {"benchmark.experiments": ("spatial_blackout", "channel_blackout")}
CAPTION = (
    "What happens when parts are taken away from test images, nothing being fitted again; a row "
    "for each method. Left: area under the receiver operating characteristic (ROC) curve of image "
    "decisions (AUC) when patches are dropped and the rest is fused, by who goes first. Middle: "
    "AUC when feature channels before the last, linear step are set to zero, the same for all "
    "images and classes. Right: log-loss when patches or channels go at random, rescaled (mean "
    "over what is left) or not (what is gone counts as zero, so logits shrink). "
    "Values are means over draws. Light bands: 95 % bootstrap intervals over test images; dark "
    "bands: the middle 95 % of single draws; both for random removal only. Points: every second "
    "patch of a checkerboard, every second channel. "
    "Dotted line: chance; without it the scale does not go that far."
)
_KINDS = ("spatial_blackout", "channel_blackout")
_MAX_METHODS, _LEFT_IN, _BETWEEN_IN, _TOP_IN, _ROW_IN, _APART_IN = 4, 0.5, 0.5, 0.6, 1.3, 0.42
_COLUMNS = ("Patches dropped", "Channels set to zero", "At random: log-loss")
_PATCHES, _CHANNELS = style.COLORS[0], style.COLORS[1]


@dataclass(frozen=True)
class Line:
    """One line of a panel: what it is called, which rows it is, how it looks."""

    name: str
    policy: str
    rescaled: bool
    color: str
    dash: Any = "-"
    fusion: str = ""
    kind: str = ""


def _spatial(name: str, policy: str, color: str, dash: Any = "-") -> Line:
    return Line(name, policy, True, color, dash, "mean_probability", _KINDS[0])


_LINES: dict[str, tuple[Line, ...]] = {
    _COLUMNS[0]: (
        _spatial("at random", "random", style.MUTED),
        _spatial("most confident first", "most_confident_first", style.COLORS[1], style.DASHES[1]),
        _spatial("least confident first", "least_confident_first", style.COLORS[0]),
        _spatial("centre first", "center_first", style.COLORS[4], style.DASHES[3]),
        _spatial("border first", "border_first", style.COLORS[2], style.DASHES[2]),
        _spatial("checkerboard", "checkerboard", style.INK),
    ),
    _COLUMNS[1]: (
        Line("at random, rescaled", "random", True, style.MUTED, kind=_KINDS[1]),
        Line("not rescaled", "random", False, _CHANNELS, style.DASHES[1], kind=_KINDS[1]),
        Line("every second, rescaled", "alternating", True, style.INK, kind=_KINDS[1]),
    ),
    _COLUMNS[2]: (
        Line("patches, rescaled", "random", True, _PATCHES, "-", "mean_logit", _KINDS[0]),
        Line("patches, not rescaled", "random", False, _PATCHES, style.DASHES[1], "mean_logit",
             _KINDS[0]),
        Line("channels, rescaled", "random", True, _CHANNELS, "-", kind=_KINDS[1]),
        Line("channels, not rescaled", "random", False, _CHANNELS, style.DASHES[1],
             kind=_KINDS[1]),
    ),
}  # fmt: skip
# the smallest range of an axis: differences below a hundredth are not drawn large
_LEAST = {"auc_macro": 0.08, "log_loss": 0.3}


def data(study: Study, dataset: str) -> pd.DataFrame:
    """One row per method, policy, fusion, share and measure, seeds averaged."""
    return experiment_results.steps(study, dataset, *_KINDS)


def draw(study: Study, dataset: str) -> Figure:
    """Rows of panels by method, columns by what is taken away."""
    frame = data(study, dataset)
    shown = _shown(experiment_results.methods(frame))
    footer = _facts(study, dataset, frame, shown)
    below, keys = _ROW_IN + _APART_IN, style.KEY_LINE_IN * 7 + 0.16
    n_rows = max(1, len(shown))
    fig = style.figure(_TOP_IN + below * n_rows + keys + style.footer_in(footer))
    style.title(fig, f"{dataset}: image decisions when patches or channels are taken away")
    style.footer(fig, footer)
    if not shown:
        ax = style.panel(fig, 0.3, _TOP_IN, style.WIDTH_IN - 0.6, _ROW_IN)
        style.blank(ax, "No patches or channels were taken away on this dataset.")
        return fig
    kinds = {name: _kind(study, name) for name in set(frame["experiment"])}
    frame = frame.assign(kind=frame["experiment"].map(kinds))
    width = (style.WIDTH_IN - _LEFT_IN - 2 * _BETWEEN_IN - 0.08) / 3
    guess = float(np.log(max(2, len(study.datasets[dataset]["classes"]))))
    for i, method in enumerate(shown):
        top, rows = _TOP_IN + i * below, frame[frame["label"] == method["label"]]
        name = style.fit(str(method["label"]), 4.0, style.TEXT_PT)
        style.write(fig, _LEFT_IN, top - 0.1, name, fontweight="bold")
        for j, heading in enumerate(_COLUMNS):
            left = _LEFT_IN + j * (width + _BETWEEN_IN)
            ax = style.panel(fig, left, top, width, _ROW_IN)
            _panel(ax, rows, heading, guess)
            if i == 0:
                style.write(fig, left, top - 0.27, heading, fontsize=style.TEXT_PT)
            if ax.axison and ax.get_xticks().size:
                ax.set_xlabel("Share taken away" if i + 1 == n_rows else "")
                ax.set_ylabel("Log-loss, nats" if j == 2 else "Image AUC")
    under = _TOP_IN + below * n_rows
    for j, heading in enumerate(_COLUMNS):
        _keys(fig, heading, _LEFT_IN + j * (width + _BETWEEN_IN), under)
    return fig


def _shown(methods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The best patch methods, and the best CNN."""
    cnns = [method for method in methods if method["patches"] == WHOLE_IMAGE][:1]
    rest = [method for method in methods if method["patches"] != WHOLE_IMAGE]
    return rest[: _MAX_METHODS - len(cnns)] + cnns


def _kind(study: Study, name: str) -> str:
    entry = study.run["config"].get("experiments", {}).get(name) or {}
    return str(entry.get("type", name))


def _panel(ax: Axes, rows: pd.DataFrame, heading: str, guess: float) -> None:
    measure = "log_loss" if heading == _COLUMNS[2] else "auc_macro"
    found = [(line, _of(rows, line, measure)) for line in _LINES[heading]]
    found = [(line, own) for line, own in found if own["value"].notna().any()]
    if not found:
        whole = (rows["patches"] == WHOLE_IMAGE).all()
        why = "a CNN has no patches to drop" if whole else "not asked for, or not linear"
        style.blank(ax, why)
        return
    for line, own in found:
        x, y = own["amount"].to_numpy(), own["value"].to_numpy()
        if len(own) == 1:
            reach = np.array([y - own["low"], own["high"] - y]).reshape(2, 1)
            ax.errorbar(x, y, yerr=reach, fmt="D", color=line.color, markersize=3.2,
                        elinewidth=0.8, zorder=5)  # fmt: skip
            continue
        ax.plot(x, y, color=line.color, linestyle=line.dash, linewidth=1.2, zorder=3)
        if line.policy != "random":
            continue
        for ends, alpha in (("", 0.15), ("draw_", 0.3)):
            ax.fill_between(x, own[f"{ends}low"], own[f"{ends}high"], color=line.color,
                            alpha=alpha, linewidth=0, zorder=1.5)  # fmt: skip
    ax.set(xlim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1])
    ax.set_xticklabels(["0", "0.25", "0.5", "0.75", "1"])
    ax.margins(y=0.08)
    low, high = ax.get_ylim()
    short = max(0.0, _LEAST[measure] - (high - low)) / 2
    ax.set_ylim(low - short, high + short)
    chance.line(ax, guess if measure == "log_loss" else CHANCE_AUC)
    ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.yaxis.set_label_coords(-0.2, 0.5)


def _of(rows: pd.DataFrame, line: Line, measure: str) -> pd.DataFrame:
    """The values of a line, by share."""
    own = rows[(rows["kind"] == line.kind) & (rows["policy"] == line.policy)]
    own = own[(own["measure"] == measure) & (own["rescaled"] == line.rescaled)]
    if line.fusion:
        own = own[own["fusion"] == line.fusion]
    # of several entries of one kind, the first
    return own[own["experiment"] == own["experiment"].min()].sort_values("amount")


def _keys(fig: Figure, heading: str, left: float, top: float) -> None:
    """Below a column, a line and a name for each of its lines."""
    full_width, full_height = fig.get_size_inches()
    handles: list[tuple[str, dict[str, Any]]] = []
    for line in _LINES[heading]:
        point = line.policy in ("checkerboard", "alternating")
        look: dict[str, Any] = {"linestyle": line.dash, "color": line.color}
        look |= {"marker": "D", "markersize": 3.2, "linestyle": "none"} if point else {}
        handles.append((line.name, look))
    handles.append((chance.CHANCE, {"linestyle": chance.MARK.dash, "color": chance.MARK.color}))
    for i, (name, look) in enumerate(handles):
        y = top + style.KEY_LINE_IN * (i + 0.5)
        ends = [left, left + 0.26] if look["linestyle"] != "none" else [left + 0.13]
        x, height = [end / full_width for end in ends], [1 - y / full_height] * len(ends)
        fig.add_artist(Line2D(x, height, linewidth=1.3, transform=fig.transFigure, **look))
        style.write(fig, left + 0.34, y, name)


def _facts(study: Study, dataset: str, frame: pd.DataFrame, shown: list[dict[str, Any]]) -> str:
    more = []
    if len(frame):
        draws = int(frame["n_draws"].max())
        more += [experiment_results.n_images(frame), f"{draws} draws where chance decides"]
        more += ["AUC by the mean of probabilities (patches) or of logits (channels)"]
        more += ["log-loss by the mean of logits", "scales differ between panels"]
        names = [str(m["label"]) for m in experiment_results.methods(frame) if m not in shown]
        if names:
            listed = ", ".join(style.shorten(name, 24) for name in names[:4])
            more.append(f"in the table, not drawn: {listed}" + ", and more" * (len(names) > 4))
    return style.facts(study, dataset, *more)
