"""Made-up rows of experiments, for studies of ``_synthetic_study``."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from patchbench.reasons import NOT_COMPARED, joined

Run = tuple[str, str, str, str, int]
_NAMES = ("dataset", "patches", "encoder", "classifier", "seed")
_SHARES = (0.0, 0.25, 0.5, 0.75, 0.95)
# what removing all of it would change the AUC by, by who goes first
_ORDERS = {"random": -0.2, "most_confident_first": -0.5, "least_confident_first": -0.05}
_ORDERS |= {"center_first": -0.45, "border_first": -0.04}


def experiment_rows(run: Run, auc: float, experiments: Sequence[str]) -> list[dict[str, Any]]:
    """All that was asked for and that a run can be put to."""
    whole = run[1] == "whole-image"
    makers = {"spatial_blackout": _spatial, "channel_blackout": _channels, "shuffle": _shuffle}
    makers |= {"interaction": _parts}
    base = dict(zip(_NAMES, run, strict=True)) | {"detector": "none", "n_images": 240}
    return [
        base | {"experiment": name} | row
        for name in experiments
        if not (whole and name == "spatial_blackout")
        for row in makers[name](auc, whole)
    ]


def _rows(change: float, auc: float, n_draws: int, **place: Any) -> list[dict[str, Any]]:
    """One row per measure; differences are certain where they are large."""
    found = []
    for measure, value, sign in (("auc_macro", auc, 1), ("accuracy", auc - 0.2, 1),
                                 ("log_loss", 1.6 - auc, -3)):  # fmt: skip
        moved = sign * change
        spread = (moved - 0.01, moved + 0.01) if n_draws > 1 else (np.nan, np.nan)
        found.append(
            place
            | {"measure": measure, "value": value + moved, "n_draws": n_draws}
            | {"low": value + moved - 0.03, "high": value + moved + 0.03}
            | {"draw_low": value + spread[0], "draw_high": value + spread[1]}
            | {"difference": moved, "difference_low": moved - 0.02, "difference_high": moved + 0.02}
            | {"p": 0.001 if abs(moved) > 0.02 else 0.5, "reason": None}
        )
    return found


def _spatial(auc: float, whole: bool) -> list[dict[str, Any]]:
    ways = (("mean_probability", True), ("mean_logit", True), ("mean_logit", False))
    found = []
    for fusion, rescaled in ways:
        told = {"fusion": fusion, "rescaled": rescaled}
        for policy, most in _ORDERS.items():
            for share in _SHARES:
                change = most * share**2 - (0.02 * share if not rescaled else 0)
                found += _rows(change, auc, 20, policy=policy, amount=share, **told)
        found += _rows(-0.02, auc, 2, policy="checkerboard", amount=0.5, **told)
    return found


def _channels(auc: float, whole: bool) -> list[dict[str, Any]]:
    fusion, found = "none" if whole else "mean_logit", []
    for rescaled in (True, False):
        told = {"fusion": fusion, "rescaled": rescaled}
        for share in _SHARES:
            change = -(0.05 if rescaled else 0.12) * share
            found += _rows(change, auc, 20, policy="random", amount=share, **told)
        found += _rows(-0.02, auc, 2, policy="alternating", amount=0.5, **told)
    return found


def _shuffle(auc: float, whole: bool) -> list[dict[str, Any]]:
    found = []
    for policy in ("shuffled", "shuffled_and_turned"):
        for fusion in ("none",) if whole else ("mean_logit", "mean_probability"):
            told = {"policy": policy, "fusion": fusion, "rescaled": None}
            for k in (1, 2, 3, 4, 6, 8):
                change = -(0.05 if whole else 0.004) * (k - 1)
                found += _rows(change, auc, 3, amount=float(k), **told)
    return found


def _parts(auc: float, whole: bool) -> list[dict[str, Any]]:
    nothing = dict.fromkeys(("draw_low", "draw_high", "difference", "p"), np.nan)
    nothing |= dict.fromkeys(("difference_low", "difference_high"), np.nan)
    nothing["reason"] = joined({"difference": NOT_COMPARED})
    found = []
    for fill in ("mean_color", "grey"):
        for side in (8.0, 16.0, 24.0, 32.0):
            r = auc - 0.01 * side if whole else 1.0
            values = {"pearson_r": (r, r - 0.1 * (1 - r), min(1.0, r + 0.1 * (1 - r)))}
            values |= {"sum_of_drops": (1.0, 0.8, 1.2), "joint_drop": (0.9, 0.7, 1.1)}
            place = {"policy": fill, "fusion": "none" if whole else "mean_logit"}
            place |= {"rescaled": None, "amount": side, "n_draws": 1, "n_images": 60}
            found += [
                nothing | place | {"measure": name, "value": v, "low": low, "high": high}
                for name, (v, low, high) in values.items()
            ]
    return found
