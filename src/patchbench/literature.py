"""Values that the 2019 study published, beside what this study measured, and which claims hold.

The study (CS229, Stanford 2019, https://github.com/rui-yan/CS229-bagnet) put a new last layer on
ResNet-50 and BagNet-33 of ImageNet, and set channels of BagNet's features to zero.
``literature.csv`` has its poster's values. They carry no interval; the one drawn is Wilson's
("Probable inference, the law of succession, and statistical inference", JASA 1927) for the 426
test images that it states, though the values are no multiples of 1/426.

The same table has what others published of BagNets on ImageNet, as measure `TOP5`; no claim of the
2019 study is judged by those.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench import experiment_results, runtimes
from patchbench import results_table as results
from patchbench.bootstrap import draw_groups
from patchbench.decisions import groups_of
from patchbench.evaluation import BOOTSTRAP_SEED
from patchbench.metrics import log_losses
from patchbench.paired import Difference, difference
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
VERDICTS = ("holds", "does not hold", "cannot be told")
# a change of accuracy that a claim of "no change" leaves room for
MARGIN = 0.02
_WORSE = {"accuracy": "recognises fewer", "log_loss": "gives the true class less probability"}
_SHARES = {0.25: "a quarter", 0.5: "half", 0.75: "three quarters"}
# channels that the study set to zero
_BLACKOUTS = (("random", 0.25), ("random", 0.5), ("alternating", 0.5), ("random", 0.75))
_Z = 1.959964  # of a two-sided interval of 95 %


@dataclass(frozen=True)
class Claim:
    """One thing the study said, and what became of it here.

    Attributes
    ----------
    measure : str
        One of `MEASURES`.
    text : str
        What was claimed.
    published : float
        The published difference of the measure.
    found : Difference or None
        The same here, paired on the same test images; None where it was not measured.
    verdict : str
        One of `VERDICTS`.
    """

    measure: str
    text: str
    published: float
    found: Difference | None
    verdict: str


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


def compared(study: Study, dataset: str) -> pd.DataFrame:
    """Every published accuracy and log-loss beside ours, a row each.

    Returns
    -------
    frame : DataFrame
        Columns of ``literature.csv``; ``what`` in words; ``published_low``, ``published_high``
        (accuracy only); ``entry``, ours; ``found``, ``low``, ``high``, ``n_found``: our value,
        its 95 % interval and our test images, NaN where it was not measured.
    """
    rows = published()
    chosen = chosen_networks(study.run["config"])
    rows = rows[rows["measure"].isin(MEASURES) & rows["method"].isin(list(chosen))]
    ends = [_wilson(row) for row in rows.to_dict("records")]
    found = [_ours(study, dataset, row, chosen) for row in rows.to_dict("records")]
    return rows.assign(
        what=[_what(row) for row in rows.to_dict("records")],
        published_low=[low for low, _ in ends],
        published_high=[high for _, high in ends],
        entry=rows["method"].map(chosen),
        **{name: [row[name] for row in found] for name in ("found", "low", "high", "n_found")},
    ).reset_index(drop=True)


def claims(study: Study, dataset: str) -> list[Claim]:
    """What the study claimed, held against this dataset; empty where nothing is compared."""
    chosen = chosen_networks(study.run["config"])
    if not {"resnet50", "bagnet33"} <= set(chosen):
        return []
    values = published().set_index(["measure", "method", "policy", "amount"])["value"]
    told = []
    for measure in MEASURES:
        of = values[measure]
        apart = float(of["bagnet33", "none", 0] - of["resnet50", "none", 0])
        found = _apart(study, dataset, chosen["bagnet33"], chosen["resnet50"], measure)
        text = f"BagNet-33 {_WORSE[measure]} than ResNet-50"
        told.append(Claim(measure, text, apart, found, _verdict(found, measure, worse=True)))
        for policy, amount in _BLACKOUTS:
            lost = float(of["bagnet33", policy, amount] - of["bagnet33", "none", 0])
            found = _lost(study, dataset, chosen["bagnet33"], policy, amount, measure)
            worse = measure != "accuracy" or abs(lost) > MARGIN
            text = f"{_without(policy, amount)} it {_WORSE[measure] if worse else 'loses nothing'}"
            told.append(Claim(measure, text, lost, found, _verdict(found, measure, worse=worse)))
    return told


def logged(name: str) -> tuple[float, int]:
    """Accuracy that the log of the study's repository has of a network, and of how many images."""
    rows = published().set_index(["method", "measure"])
    return float(rows["value"][name, "log_accuracy"]), int(rows["n_images"][name, "log_accuracy"])


def training_ratio(study: Study, dataset: str) -> tuple[float, float] | None:
    """How many times as long BagNet-33 trains as ResNet-50: published, and here."""
    chosen = chosen_networks(study.run["config"])
    values = published().set_index(["method", "measure"])["value"]
    times = runtimes.mean_runtime(study, dataset)
    times = times[times["patches"] == WHOLE_IMAGE]
    trained_s = dict(zip(times["encoder"], times["train_s"], strict=True))
    bagnet_s, resnet_s = (
        float(trained_s.get(chosen.get(name, ""), np.nan)) for name in ("bagnet33", "resnet50")
    )
    if not (bagnet_s >= 0 and resnet_s > 0):
        return None
    said = float(values["bagnet33", "train_s"]) / float(values["resnet50", "train_s"])
    return said, bagnet_s / resnet_s


def _what(row: Mapping[Any, Any]) -> str:
    name = NAMES[row["method"]]
    return name if row["policy"] == "none" else f"{name}, {_off(row['policy'], row['amount'])}"


def _off(policy: str, amount: float) -> str:
    if policy == "alternating":
        return "every other channel off"
    return f"{amount:.0%} of the channels off".replace("%", " %")


def _without(policy: str, amount: float) -> str:
    if policy == "alternating":
        return "Without every other channel"
    return f"Without {_SHARES[amount]} of its channels, drawn at random,"


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
    if row["policy"] == "none":
        rows = results.scores(study, dataset, "image", measure)
        rows = rows[(rows["patches"] == WHOLE_IMAGE) & (rows["encoder"] == entry)]
    else:
        rows = _blackout(study, dataset, entry, row["policy"], row["amount"], measure)
    if rows.empty:
        return dict.fromkeys(("found", "low", "high", "n_found"), np.nan)
    means = rows[["value", "low", "high"]].mean()
    found = {"found": means["value"], "low": means["low"], "high": means["high"]}
    return found | {"n_found": int(rows["n_images"].max())}


def _blackout(
    study: Study, dataset: str, entry: str, policy: str, amount: float, measure: str
) -> pd.DataFrame:
    """Channel blackout of a whole-image network without rescaling, as the study did it."""
    rows = experiment_results.steps(study, dataset, "channel_blackout")
    rows = rows[(rows["patches"] == WHOLE_IMAGE) & (rows["encoder"] == entry)]
    rows = rows[(rows["policy"] == policy) & (rows["amount"] == amount)]
    return rows[(rows["measure"] == measure) & ~rows["rescaled"].fillna(True).astype(bool)]


def _lost(
    study: Study, dataset: str, entry: str, policy: str, amount: float, measure: str
) -> Difference | None:
    rows = _blackout(study, dataset, entry, policy, amount, measure)
    if rows.empty:
        return None
    row = rows.iloc[0]
    return Difference(row["difference"], row["difference_low"], row["difference_high"], row["p"])


def _apart(study: Study, dataset: str, entry: str, other: str, measure: str) -> Difference | None:
    """A measure of a network less that of another on the same test images, seeds averaged."""
    draws = []
    for name in (entry, other):
        rows = study.predictions
        rows = rows[(rows["dataset"] == dataset) & (rows["patches"] == WHOLE_IMAGE)]
        rows = rows[(rows["encoder"] == name) & (rows["split"] == "test")]
        if rows.empty:
            return None
        each = rows.assign(each=_of_images(rows, measure))
        by_image = each.groupby("image_id")["each"].mean().sort_index()
        weights = draw_groups(groups_of(study, dataset, by_image.index), BOOTSTRAP_SEED)
        draws.append(weights @ by_image.to_numpy(dtype=float) / weights.sum(axis=1))
    return difference(*draws)


def _of_images(rows: pd.DataFrame, measure: str) -> np.ndarray:
    """Whether each decision is right, or its log-loss."""
    labels = rows["label"].to_numpy()
    if measure == "accuracy":
        return np.asarray(rows["predicted_label"].to_numpy() == labels)
    return log_losses(labels, np.stack(list(rows["probabilities"])))


def _verdict(found: Difference | None, measure: str, *, worse: bool) -> str:
    """Whether a claim of worse (or of no change of accuracy within `MARGIN`) holds."""
    if found is None or np.isnan([found.low, found.high]).any():
        return VERDICTS[2]
    if worse:
        holds, fails = found.high < 0, found.low > 0
        if measure == "log_loss":
            holds, fails = fails, holds
    else:
        holds = found.low > -MARGIN and found.high < MARGIN
        fails = found.high < -MARGIN or found.low > MARGIN
    return VERDICTS[0] if holds else VERDICTS[1 if fails else 2]
