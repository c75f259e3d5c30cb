"""Values that the 2019 study published, beside what this study measured.

The study (CS229, Stanford 2019, https://github.com/rui-yan/CS229-bagnet) put a new last layer on
ResNet-50 and BagNet-33 of ImageNet, and set channels of BagNet's features to zero.
``literature.csv`` has its poster's values. They carry no interval; the one drawn is Wilson's
("Probable inference, the law of succession, and statistical inference", JASA 1927) for the 426
test and 2,968 train images that it states, though the values are no multiples of 1/426 or 1/2968.

The same table has what others published of BagNets on ImageNet, as measure `TOP5`; no claim of the
2019 study is judged by those. Which of its claims hold is told by ``literature_claims.py``.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench import experiment_results
from patchbench import results_table as results
from patchbench.study import WHOLE_IMAGE, Study

CSV_PATH = Path(__file__).with_suffix(".csv")
NAMES = {"resnet50": "ResNet-50", "bagnet33": "BagNet-33"}
TOP5 = "imagenet_top5"
TOP5_NAMES = {
    **{f"bagnet{side}": f"BagNet-{side}" for side in (9, 17, 33)},
    "alexnet": "AlexNet",
    "vgg16": "VGG-16",
    "resnet50": "ResNet-50",
}
MEASURES = ("accuracy", "log_loss")
_OF_TRAIN = {f"train_{measure}": measure for measure in MEASURES}
_FOUND = ("found", "low", "high", "n_found")
_Z = 1.959964  # of a two-sided interval of 95 %


@cache
def _everything() -> pd.DataFrame:
    return pd.read_csv(CSV_PATH)


def published() -> pd.DataFrame:
    """What the 2019 study published: columns as in ``literature.csv``."""
    rows = _everything()
    return rows[rows["measure"] != TOP5]


def published_patch_sizes() -> pd.DataFrame:
    """Top-5 accuracy on ImageNet, one crop each, of BagNets and of networks that see all."""
    rows = _everything()
    return rows[rows["measure"] == TOP5]


def chosen_networks(config: Mapping[str, Any]) -> dict[str, str]:
    """Networks of the 2019 study that a config asks for, and their entries of cnns."""
    asked: Mapping[str, Any] = config.get("literature") or {}
    return {name: str(asked[name]) for name in NAMES if name in asked}


def stand_ins(study: Study) -> list[str]:
    """Which entries stand for the networks of the 2019 study, for a footer."""
    chosen = chosen_networks(study.run["config"])
    return [f"{NAMES[name]} is {entry} here" for name, entry in chosen.items()]


def compared(study: Study, dataset: str) -> pd.DataFrame:
    """Every published accuracy and log-loss beside ours, a row each; those on train images last.

    Returns
    -------
    frame : DataFrame
        Columns of ``literature.csv``, ``measure`` one of `MEASURES`; ``split``, train or test;
        ``what`` in words; ``published_low``, ``published_high`` (accuracy only); ``entry``, ours;
        ``found``, ``low``, ``high``, ``n_found``: our value, its 95 % interval and our images of
        the split, NaN where it was not measured.
    """
    rows = published()
    chosen = chosen_networks(study.run["config"])
    of_train = rows["measure"].isin(list(_OF_TRAIN))
    rows = rows.assign(split=np.where(of_train, "train", "test"))
    rows = rows.assign(measure=rows["measure"].replace(_OF_TRAIN))
    rows = rows[rows["measure"].isin(MEASURES) & rows["method"].isin(list(chosen))]
    ends = [_wilson(row) for row in rows.to_dict("records")]
    found = [_ours(study, dataset, row, chosen) for row in rows.to_dict("records")]
    return rows.assign(
        what=[_what(row) for row in rows.to_dict("records")],
        published_low=[low for low, _ in ends],
        published_high=[high for _, high in ends],
        entry=rows["method"].map(chosen),
        **{name: [row[name] for row in found] for name in _FOUND},
    ).reset_index(drop=True)


def best_on_val(name: str) -> float:
    """The best accuracy on val that the log of the study's repository has of a network."""
    values = published().set_index(["method", "measure"])["value"]
    return float(values[name, "log_val_accuracy"])


def logged(name: str) -> tuple[float, int]:
    """Accuracy that the log of the study's repository has of a network, and of how many images."""
    rows = published().set_index(["method", "measure"])
    return float(rows["value"][name, "log_accuracy"]), int(rows["n_images"][name, "log_accuracy"])


def _what(row: Mapping[Any, Any]) -> str:
    name = NAMES[row["method"]]
    if row["split"] == "train":
        return f"{name}, train images"
    return name if row["policy"] == "none" else f"{name}, {_off(row['policy'], row['amount'])}"


def _off(policy: str, amount: float) -> str:
    if policy == "alternating":
        return "every other channel off"
    return f"{amount:.0%} of the channels off".replace("%", " %")


def _wilson(row: Mapping[Any, Any]) -> tuple[float, float]:
    """Interval of a published share of n images."""
    if row["measure"] != "accuracy":
        return np.nan, np.nan
    share, n = row["value"], row["n_images"]
    middle = share + _Z**2 / (2 * n)
    half = _Z * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return float((middle - half) / (1 + _Z**2 / n)), float((middle + half) / (1 + _Z**2 / n))


def _ours(
    study: Study, dataset: str, row: Mapping[Any, Any], chosen: Mapping[str, str]
) -> dict[str, float]:
    """Our value of a published one."""
    entry, measure = chosen[row["method"]], row["measure"]
    if row["split"] == "train":
        return _on_train(study, dataset, entry, measure)
    if row["policy"] == "none":
        rows = results.scores(study, dataset, "image", measure)
        rows = rows[(rows["patches"] == WHOLE_IMAGE) & (rows["encoder"] == entry)]
    else:
        rows = blackout(study, dataset, entry, row["policy"], row["amount"], measure)
    if rows.empty:
        return dict.fromkeys(_FOUND, np.nan)
    means = rows[["value", "low", "high"]].mean()
    found = {"found": means["value"], "low": means["low"], "high": means["high"]}
    return found | {"n_found": int(rows["n_images"].max())}


def _on_train(study: Study, dataset: str, entry: str, measure: str) -> dict[str, float]:
    """Log-loss of the epochs kept, seeds averaged; accuracy on train is not measured."""
    rows = study.history
    rows = rows[(rows["dataset"] == dataset) & (rows["patches"] == WHOLE_IMAGE)]
    rows = rows[(rows["encoder"] == entry) & (rows["split"] == "train")]
    rows = rows[(rows["measure"] == "loss") & rows["kept"].astype(bool)]
    counts = study.datasets.get(dataset, {}).get("n_images", {}).get("train", {})
    nothing = dict.fromkeys(_FOUND, np.nan)
    if measure != "log_loss" or rows.empty:
        return nothing
    return nothing | {"found": float(rows["value"].mean()), "n_found": sum(counts.values())}


def blackout(
    study: Study, dataset: str, entry: str, policy: str, amount: float, measure: str
) -> pd.DataFrame:
    """Channel blackout of a whole-image network without rescaling, as the study did it."""
    rows = experiment_results.steps(study, dataset, "channel_blackout")
    rows = rows[(rows["patches"] == WHOLE_IMAGE) & (rows["encoder"] == entry)]
    rows = rows[(rows["policy"] == policy) & (rows["amount"] == amount)]
    return rows[(rows["measure"] == measure) & ~rows["rescaled"].fillna(True).astype(bool)]
