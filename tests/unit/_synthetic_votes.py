"""Made-up reliability of votes, tests and weights of fusion rules, for the synthetic studies."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from patchbench.calibration import WHOLE
from patchbench.evaluation import preferred_fusion
from patchbench.reasons import EMPTY_BIN
from patchbench.reliability import N_BINS

SIDES = {"fine": 11}  # places of a patch grid along a side; others have 5
_RUN = ("dataset", "patches", "encoder", "classifier", "seed")


def reliability_rows(
    run: tuple[str, str, str, str, int], rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Patches that are too sure, images that are not sure enough; calibration mends the former."""
    base: dict[str, Any] = dict(zip(_RUN, run, strict=True)) | {"detector": "none"}
    base |= {"n_images": 300}
    rows = []
    for level, off in (("patch", 0.7), ("image", 1.3)):
        total = 14700 if level == "patch" else 300
        for calibrated in (False, True):
            bent = 1.0 if calibrated and level == "patch" else off
            own = base | {"level": level, "calibrated": calibrated}
            own |= {"temperature": 1.8 if calibrated else 1.0}
            share = rng.dirichlet(np.full(N_BINS, 0.4))
            share[:2] = 0.0
            for i in range(N_BINS):
                sure, n = (i + 0.5) / N_BINS, int(share[i] * total)
                right = min(0.98, bent * sure) if n else np.nan
                ends = {"low": right - 0.05, "high": right + 0.05} | {"share": share[i]}
                rows.append(
                    own
                    | {"measure": "accuracy", "bin": i, "confidence": sure if n else np.nan}
                    | {"value": right, "n_predictions": n, "reason": None if n else EMPTY_BIN}
                    | ends
                )
            measures = {"ece": abs(1 - bent), "log_loss": 1.0 + float(rng.random())}
            if calibrated:
                measures |= {"ece_change": -0.1, "log_loss_change": -0.2}
            for name, value in measures.items():
                ends = {"low": value - 0.02, "high": value + 0.02, "share": 1.0, "confidence": 0.6}
                more = {"measure": name, "bin": WHOLE, "value": value, "n_predictions": total}
                more["reason"] = None
                rows.append(own | more | ends)
    return rows


def learned_rows(run: tuple[str, str, str, str, int], fusion: str) -> list[dict[str, Any]]:
    """Weights that fall off from the centre, and the strength of their penalty."""
    base: dict[str, Any] = dict(zip(_RUN, run, strict=True)) | {"detector": "none"}
    base |= {"fusion": fusion}
    places = np.linspace(-0.8, 0.8, SIDES.get(run[1], 5))
    far = np.add.outer(places**2, places**2)
    weights = np.exp(-far * (2 + len(run[2])))
    rows = [
        base | {"setting": "weight", "y": places[i], "x": places[j], "value": value}
        for (i, j), value in np.ndenumerate(weights / weights.sum())
    ]
    return [*rows, base | {"setting": "penalty", "y": None, "x": None, "value": 0.1}]


def fusion_tests(metrics: list[dict[str, Any]], fusions: Sequence[str]) -> list[dict[str, Any]]:
    """Each rule against the preferred one, as far apart as their values are."""
    keys = ("dataset", "patches", "encoder", "classifier", "detector", "seed")
    rows = [row for row in metrics if row["level"] == "image" and row["fusion"] != "none"]
    auc = {
        (*(row[k] for k in keys), row["fusion"]): row["value"]
        for row in rows
        if row["metric"] == "auc_macro"
    }
    rival, found = preferred_fusion(fusions), []
    for (*run, fusion), value in auc.items():
        apart = value - auc[*run, rival]
        named = dict(zip(keys, run, strict=True)) | {"fusion": fusion, "rival": rival}
        named["rival_classifier"] = named["classifier"]
        ends = {"difference": apart, "low": apart - 0.02, "high": apart + 0.02, "reason": None}
        found.append(named | ends | {"p": 0.001 if abs(apart) > 0.02 else 0.4, "n_images": 300})
    return found
