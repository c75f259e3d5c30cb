"""Which claims of the 2019 study hold here, by paired differences on the same test images."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from patchbench import runtimes
from patchbench.bootstrap import draw_groups
from patchbench.decisions import groups_of
from patchbench.evaluation import BOOTSTRAP_SEED
from patchbench.literature import MEASURES, blackout, chosen_networks, published
from patchbench.metrics import log_losses
from patchbench.paired import Difference, difference
from patchbench.study import WHOLE_IMAGE, Study

VERDICTS = ("holds", "does not hold", "cannot be told")
# a change of accuracy that a claim of "no change" leaves room for
MARGIN = 0.02
_WORSE = {"accuracy": "recognises fewer", "log_loss": "gives the true class less probability"}
_SHARES = {0.25: "a quarter", 0.5: "half", 0.75: "three quarters"}
# channels that the study set to zero
_BLACKOUTS = (("random", 0.25), ("random", 0.5), ("alternating", 0.5), ("random", 0.75))


@dataclass(frozen=True)
class Claim:
    """One thing the study said, and what became of it here.

    Attributes
    ----------
    measure : str
        One of `MEASURES`.
    policy : str
        Which channels were set to zero, as in ``literature.csv``.
    text : str
        What was claimed.
    published : float
        The published difference of the measure.
    found : Difference or None
        The same here, paired on the same test images; None where it was not measured.
    n_images : int
        Test images that the difference rests on.
    verdict : str
        One of `VERDICTS`.
    """

    measure: str
    policy: str
    text: str
    published: float
    found: Difference | None
    n_images: int
    verdict: str


def claims(study: Study, dataset: str) -> list[Claim]:
    """What the study claimed, held against this dataset; empty where nothing is compared."""
    chosen = chosen_networks(study.run["config"])
    if not {"resnet50", "bagnet33"} <= set(chosen):
        return []
    return [claim for of in MEASURES for claim in _claims_on(of, study, dataset, chosen)]


def _claims_on(
    measure: str, study: Study, dataset: str, chosen: Mapping[str, str]
) -> Iterator[Claim]:
    """First how the two networks compare, then what BagNet loses without channels."""
    bagnet, resnet = chosen["bagnet33"], chosen["resnet50"]
    of = published().set_index(["measure", "method", "policy", "amount"])["value"][measure]
    apart = float(of["bagnet33", "none", 0] - of["resnet50", "none", 0])
    found, n = _apart(study, dataset, bagnet, resnet, measure)
    verdict = _verdict(found, measure, worse=True)
    text = f"BagNet-33 {_WORSE[measure]} than ResNet-50"
    yield Claim(measure, "none", text, apart, found, n, verdict)
    for policy, amount in _BLACKOUTS:
        lost = float(of["bagnet33", policy, amount] - of["bagnet33", "none", 0])
        found, n = _lost(study, dataset, bagnet, policy, amount, measure)
        worse = measure != "accuracy" or abs(lost) > MARGIN
        verdict = _verdict(found, measure, worse=worse)
        text = f"{_without(policy, amount)} it {_WORSE[measure] if worse else 'loses nothing'}"
        yield Claim(measure, policy, text, lost, found, n, verdict)


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


def _without(policy: str, amount: float) -> str:
    if policy == "alternating":
        return "Without every other channel"
    return f"Without {_SHARES[amount]} of its channels, drawn at random,"


def _lost(
    study: Study, dataset: str, entry: str, policy: str, amount: float, measure: str
) -> tuple[Difference | None, int]:
    """What a network loses without channels, and on how many images that was measured."""
    rows = blackout(study, dataset, entry, policy, amount, measure)
    if rows.empty:
        return None, 0
    row = rows.iloc[0]
    ends = row["difference_low"], row["difference_high"]
    return Difference(row["difference"], *ends, row["p"]), int(row["n_images"])


def _apart(
    study: Study, dataset: str, entry: str, other: str, measure: str
) -> tuple[Difference | None, int]:
    """A measure of a network less that of another, seeds averaged, and on how many images."""
    draws, n_images = [], 0
    for name in (entry, other):
        rows = study.predictions
        rows = rows[(rows["dataset"] == dataset) & (rows["patches"] == WHOLE_IMAGE)]
        rows = rows[(rows["encoder"] == name) & (rows["split"] == "test")]
        if rows.empty:
            return None, 0
        each = rows.assign(each=_of_images(rows, measure))
        by_image = each.groupby("image_id")["each"].mean().sort_index()
        weights = draw_groups(groups_of(study, dataset, by_image.index), BOOTSTRAP_SEED)
        draws.append(weights @ by_image.to_numpy(dtype=float) / weights.sum(axis=1))
        n_images = len(by_image)
    return difference(*draws), n_images


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
