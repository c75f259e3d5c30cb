"""Are probabilities as often right as they say? One temperature for the logits, and its measure.

Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017, arXiv:1706.04599): logits are
divided by one positive number, chosen by log-loss on val. The order of the classes in a patch
stays, how sure the patch is does not, and so rules that average or weigh probabilities may decide
otherwise. One number is learned from all val patches: too little to know val by heart, but
decisions on val, by which rules are chosen, have seen it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from patchbench.bags import Bags
from patchbench.bootstrap import draw_groups
from patchbench.evaluation import BOOTSTRAP_SEED, run_columns
from patchbench.metrics import Estimate, estimate, log_loss_draws
from patchbench.paired import difference
from patchbench.reasons import EMPTY_BIN
from patchbench.reliability import Reliability, levelled, reliability

NO_CALIBRATION, TEMPERATURE = "none", "temperature"
SETTINGS = (NO_CALIBRATION, TEMPERATURE)
WHOLE = -1  # "bin" of what is measured over all bins
_LOWEST, _HIGHEST = 0.01, 100.0


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Find the number to divide logits by that gives the lowest log-loss.

    The loss is convex in one over the temperature, so that a bounded search finds the lowest.

    Parameters
    ----------
    logits : float array, (n, n_classes)
        Of val patches.
    labels : int array, (n,)
        Labels of their images.

    Returns
    -------
    float
        Within 0.01 and 100: near the first where logits separate the classes without a mistake,
        near the second where they tell nothing of them. 1 where all patches have the same logits,
        so that there is nothing to scale, and where no other number gives a lower loss.
    """
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = shifted - shifted.max(axis=1, keepdims=True)
    if not len(shifted) or np.ptp(shifted, axis=0).max() == 0:
        return 1.0
    own = shifted[np.arange(len(labels)), labels]

    def loss(value: float) -> float:
        return float((np.log(np.exp(shifted / value).sum(axis=1)) - own / value).mean())

    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda power: loss(10**power),
        bounds=(np.log10(_LOWEST), np.log10(_HIGHEST)),
        method="bounded",
    )
    best = float(10**found.x)
    return best if loss(best) < loss(1.0) else 1.0


def divided(bags: Bags, by: float) -> Bags:
    """The same bags, their patch logits divided by a temperature."""
    return replace(bags, patch_logits=bags.patch_logits / bags.patch_logits.dtype.type(by))


def reliability_rows(
    about: Mapping[str, Any],
    bags: Bags,
    labels: np.ndarray,
    group_of: np.ndarray,
    found: float,
) -> pd.DataFrame:
    """Rows of table ``reliability``: patches and images, before and after calibration.

    Parameters
    ----------
    about : mapping
        dataset, patches, encoder, classifier and seed of the run.
    bags : Bags
        Test images with logits as the classifier gave them.
    labels : int array, (n_images,)
        True classes of the images.
    group_of : int array, (n_images,)
        Group of each image, from 0; images of a group are drawn together.
    found : float
        The temperature that was fitted on val.
    """
    weights = draw_groups(group_of, BOOTSTRAP_SEED)
    each = np.arange(len(labels))
    image_of = np.repeat(each, bags.bag_sizes)
    rows: list[dict[str, Any]] = []
    before: dict[tuple[str, str], np.ndarray] = {}
    for calibrated, by in ((False, 1.0), (True, found)):
        asked = divided(bags, by)
        levels = {
            "patch": (labels[image_of], asked.probabilities, image_of),
            "image": (labels, asked.mean(asked.probabilities), each),
        }
        for level, predicted in levels.items():
            about_rows = {"level": level, "calibrated": calibrated, "temperature": by}
            measured = reliability(*predicted, weights)
            whole = {"ece": levelled(measured.ece), "log_loss": log_loss_draws(*predicted, weights)}
            own = _bin_rows(measured) + [_whole_row(name, whole[name], measured) for name in whole]
            for name, draws in whole.items():
                if calibrated:
                    own.append(_change_row(name, draws, before[level, name], measured))
                before[level, name] = draws
            rows += [row | about_rows for row in own]
    return pd.DataFrame(rows).assign(**run_columns(about), n_images=len(labels))


def _bin_rows(measured: Reliability) -> list[dict[str, Any]]:
    rows = []
    for i, draws in enumerate(measured.accuracy):
        columns = {
            "confidence": measured.confidence[i],
            "share": measured.share[i],
            "n_predictions": measured.n[i],
        }
        found = estimate(draws) if measured.n[i] else Estimate(reason=EMPTY_BIN)
        rows.append({"measure": "accuracy", "bin": i} | found.columns | columns)
    return rows


def _whole_row(name: str, draws: np.ndarray, measured: Reliability) -> dict[str, Any]:
    return {"measure": name, **estimate(draws).columns, **_all_bins(measured)}


def _change_row(
    name: str, after: np.ndarray, before: np.ndarray, measured: Reliability
) -> dict[str, Any]:
    change = difference(after, before)
    ends: dict[str, Any] = {"value": change.value, "low": change.low, "high": change.high}
    ends["reason"] = change.reason or None
    return {"measure": f"{name}_change", **ends, **_all_bins(measured)}


def _all_bins(measured: Reliability) -> dict[str, Any]:
    sure = float(np.nansum(measured.confidence * measured.share))
    n = int(measured.n.sum())
    return {"bin": WHOLE, "confidence": sure, "share": 1.0, "n_predictions": n}
