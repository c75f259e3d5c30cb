"""How training went: loss and accuracy of everything trained, epoch by epoch."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from patchbench import literature
from patchbench.figures import _chance as chance
from patchbench.figures import _style as style
from patchbench.figures._labels import NAME_IN, spread_out
from patchbench.study import NONE, OWN_HEAD, WHOLE_IMAGE, Study

CAPTION = (
    "Loss per epoch on the training split (light) and the validation split (dark); the dot marks "
    "the epoch whose weights were kept. Each method minimises its own loss, so heights compare "
    "within a panel only. Below, where a network tells classes: its accuracy on whole validation "
    "images, on one scale for all; it is not measured on the training split. Dotted line: chance; "
    "without it the scale does not go that far. Dashed line, of studies that are held against it: "
    "the best accuracy on its own validation images that the log of the 2019 study has."
)
_MEASURES = {"loss": "Loss", "accuracy": "Accuracy"}
_COLUMNS, _WIDTH_IN, _TOP_IN, _STEP_X_IN = 3, 1.6, 0.55, 2.3
_HEIGHT_IN = {"loss": 1.25, "accuracy": 0.85}
_BETWEEN_IN, _BELOW_IN = 0.12, 0.6  # the two panels of a method; what follows them
_PUBLISHED = "2019"
Method = tuple[str, str]


def data(study: Study, dataset: str) -> pd.DataFrame:
    """Rows of the history: patches, encoder, seed, epoch, split, measure, value, kept."""
    rows = study.history[(study.history["dataset"] == dataset)]
    rows = rows[rows["measure"].isin(list(_MEASURES))].drop(columns="dataset")
    order = ["patches", "encoder", "measure", "seed", "split", "epoch"]
    return rows.sort_values(order, ignore_index=True)


def draw(study: Study, dataset: str) -> Figure:
    """One or two small panels per trained method, whole-image networks last."""
    frame = data(study, dataset)
    trained = sorted(set(zip(frame["patches"], frame["encoder"], strict=True)), key=_whole_last)
    measured = {m: _measured(_of(frame, m)) for m in trained}
    lines = [trained[i : i + _COLUMNS] for i in range(0, len(trained), _COLUMNS)]
    tall = [max(_height_in(measured[m]) for m in line) + _BELOW_IN for line in lines]
    footer = _facts(study, dataset, trained)
    height = _TOP_IN + (sum(tall) or _HEIGHT_IN["loss"]) - 0.12 + style.footer_in(footer)
    fig = style.figure(height)
    style.title(fig, f"{dataset}: training")
    style.footer(fig, footer)
    if not trained:
        ax = style.panel(fig, 0.5, 0.4, 6, 1)
        style.blank(ax, "Nothing on this dataset was trained by epochs.")
    for i, line in enumerate(lines):
        for j, method in enumerate(line):
            place = 0.5 + j * _STEP_X_IN, _TOP_IN + sum(tall[:i])
            several = len({p for p, e in trained if e == method[1]}) > 1
            name = " · ".join(reversed(method)) if several else method[1]
            axes = _axes(fig, place, measured[method], name)
            _method(axes, study, dataset, frame, method)
            for measure, ax in axes.items():
                ax.set_ylabel("" if j else _MEASURES[measure])
    return fig


def _whole_last(method: Method) -> tuple[bool, str, str]:
    return method[0] == WHOLE_IMAGE, method[1], method[0]


def _of(frame: pd.DataFrame, method: Method) -> pd.DataFrame:
    return frame[(frame["patches"] == method[0]) & (frame["encoder"] == method[1])]


def _measured(rows: pd.DataFrame) -> list[str]:
    """Loss always, so that a reason stands where there is none."""
    found = set(rows.loc[rows["value"].notna(), "measure"])
    return [measure for measure in _MEASURES if measure in found | {"loss"}]


def _height_in(measures: list[str]) -> float:
    return sum(_HEIGHT_IN[m] for m in measures) + _BETWEEN_IN * (len(measures) - 1)


def _facts(study: Study, dataset: str, trained: list[Method]) -> str:
    counts = study.datasets.get(dataset, {}).get("n_images", {})
    n = {split: sum(counts[split].values()) for split in ("train", "val") if split in counts}
    sizes = ", ".join(f"{value:,} {split}" for split, value in n.items())
    seeds = sorted(set(study.history.loc[study.history["dataset"] == dataset, "seed"]))
    text = f"n = {sizes} images. " if sizes else ""
    text += f"{len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'}"
    text += "; thin lines: single seeds" if len(seeds) > 1 else ""
    if _published(study, trained):
        text = ". ".join([text, *literature.stand_ins(study)])
    return style.signed(study, text)


def _published(study: Study, trained: list[Method]) -> dict[Method, float]:
    """Best accuracy on val that the 2019 study has of what was trained."""
    chosen = literature.chosen_networks(study.run["config"])
    found = {(WHOLE_IMAGE, entry): literature.best_on_val(name) for name, entry in chosen.items()}
    return {method: value for method, value in found.items() if method in trained}


def _axes(
    fig: Figure, place: tuple[float, float], measures: list[str], name: str
) -> dict[str, Axes]:
    """The panels of a method under each other, its name above and epochs below."""
    found, (left, top) = {}, place
    for measure in measures:
        found[measure] = style.panel(fig, left, top, _WIDTH_IN, _HEIGHT_IN[measure])
        top += _HEIGHT_IN[measure] + _BETWEEN_IN
        found[measure].tick_params(labelbottom=measure == measures[-1])
    title = style.shorten(name, 30)
    found[measures[0]].set_title(title, fontsize=style.TEXT_PT, loc="left", pad=4)
    found[measures[-1]].set_xlabel("Epoch")
    return found


def _method(
    axes: dict[str, Axes], study: Study, dataset: str, frame: pd.DataFrame, method: Method
) -> None:
    """Fill the panels of a method."""
    own_head = OWN_HEAD if method[0] == WHOLE_IMAGE else NONE
    look = {"patches": method[0], "encoder": method[1], "classifier": own_head}
    trained = list(zip(frame["patches"], frame["encoder"], strict=True))
    color, published = style.mark(study, look).color, _published(study, trained)
    for measure, ax in axes.items():
        rows = _of(frame, method)
        ends = _curves(ax, rows[rows["measure"] == measure], color)
        if not ends:
            style.blank(ax, "No finite loss was recorded.")
            continue
        if measure == "accuracy":
            known = frame.loc[frame["measure"] == measure, "value"]
            ax.set_ylim(_limits([*known, *published.values()]))
            chance.line(ax, 1 / max(2, len(study.datasets[dataset]["classes"])))
            if method in published:
                ends[_PUBLISHED] = published[method]
                ax.axhline(published[method], color=style.MUTED, linestyle=(0, (4, 2)),
                           linewidth=0.9)  # fmt: skip
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(4 if measure == "loss" else 3))
        _names_at_ends(ax, ends)


def _limits(values: list[float]) -> tuple[float, float]:
    """Ends of the scale of accuracies, a tenth or more apart."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    pad = max(0.04 * (high - low), (0.1 - (high - low)) / 2)
    return low - pad, high + pad


def _curves(ax: Axes, rows: pd.DataFrame, color: str) -> dict[str, float]:
    """Draw one measure; the last mean of each split, empty where nothing was measured."""
    wide = rows.pivot_table(index="epoch", columns=["split", "seed"], values="value")
    last: dict[str, float] = {}
    for split, alpha in (("train", 0.45), ("val", 1.0)):
        if wide.empty or split not in wide.columns.get_level_values("split"):
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
    return last


def _names_at_ends(ax: Axes, last: dict[str, float]) -> None:
    """Write what a line is at its end, no two names closer than a line of text."""
    ends = sorted((value, name) for name, value in last.items() if pd.notna(value))
    if not ends:
        return
    low, high = ax.get_ylim()
    height = ax.get_window_extent().height / style.page(ax).dpi
    wanted = np.array([(value - low) / (high - low) * height for value, _ in ends])
    for y, (_, name) in zip(spread_out(wanted, NAME_IN, 0.0, height), ends, strict=True):
        ax.annotate(name, (1, y / height), (3, 0), xycoords="axes fraction", va="center",
                    textcoords="offset points", fontsize=style.SMALL_PT,
                    color=style.MUTED if name == _PUBLISHED else style.INK)  # fmt: skip
