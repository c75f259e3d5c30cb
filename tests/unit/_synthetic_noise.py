"""Made-up rows about noisy patches, for studies of ``_synthetic_study``."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from patchbench.reasons import NOT_COMPARED, joined

Run = tuple[str, str, str, str, int]
_NAMES = ("dataset", "patches", "encoder", "classifier", "seed")
# what dropping a share of 1 would change the AUC by
_GAINS = {"oracle_mask": 0.09, "gradcam": 0.04, "random": -0.01, "entropy": -0.08}


def sweep_rows(run: Run, detectors: Sequence[str]) -> list[dict[str, Any]]:
    """Every detector dropping more and more patches, and weighing them."""
    base = dict(zip(_NAMES, run, strict=True)) | {"n_images": 300, "fit_s": 0.4}
    plain = 0.8 - 0.001 * (len(run[2]) + run[4])
    told = ("difference", "difference_low", "difference_high", "p")
    told += tuple(f"random_{name}" for name in told)
    step: dict[str, Any] = {"detector": "none", "use": "filter", "applied": "both", "fraction": 0.0}
    step |= {"removed_train": 0.0, "removed_test": 0.0, "n_by_floor": 0}
    alone = dict.fromkeys(("difference", "random_difference"), NOT_COMPARED)
    reason = {"reason": joined(alone)}
    rows = [base | step | _around(plain, 0.04) | dict.fromkeys(told, np.nan) | reason]
    for name in detectors:
        labelled = name in ("small_loss", "confident_learning")
        for applied in ("train",) if labelled else ("train", "test", "both"):
            for fraction in (0.1, 0.3, 0.5, 0.7, np.nan):
                share = 0.5 if np.isnan(fraction) else fraction
                gain = share * _GAINS.get(name, 0.003 * len(name) - 0.03)
                more = gain - share * _GAINS["random"]
                values = dict(zip(told, (*_apart(gain), *_apart(more)), strict=True))
                use = "weight" if np.isnan(fraction) else "filter"
                place = {"detector": name, "use": use, "applied": applied, "fraction": fraction}
                place |= {"removed_train": share} if applied != "test" else {}
                rows.append(base | step | place | _around(plain + gain, 0.04) | values)
    rules = {"patch": "none", "image": "mean_probability", "fused": "center_gaussian"}
    return [
        row | {"level": level, "fusion": rule}
        for row in rows
        for level, rule in rules.items()
        if not (level == "fused" and row["use"] == "weight")
    ]


def _around(value: float, half: float) -> dict[str, float | None]:
    return {"value": value, "low": value - half, "high": value + half, "reason": None}


def _apart(value: float) -> tuple[float, float, float, float]:
    """A difference with a half interval of 0.01, and p about as small as that says."""
    return value, value - 0.01, value + 0.01, 0.001 if abs(value) > 0.01 else 0.6


def found_rows(run: Run, detectors: Sequence[str]) -> list[dict[str, Any]]:
    """How well every detector tells background, and its seconds."""
    base = dict(zip(_NAMES, run, strict=True)) | {"n_images": 300}
    base |= {"measure": "background_auc"} | _around(0.6, 0.02)
    return [
        base | {"detector": name, "split": split, "work_s": 0.5 + i}
        for i, name in enumerate(detectors)
        for split in ("train", "test")
    ]


def vote_rows(run: Run) -> list[dict[str, Any]]:
    """Votes that are the better the more object a patch holds."""
    base = dict(zip(_NAMES, run, strict=True)) | {"n_images": 300, "n_patches": 750}
    rows: list[dict[str, Any]] = []
    ends = [(0.0, 0.0), (0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0)]
    for by, groups in (
        ("saliency", [(i / 5, (i + 1) / 5) for i in range(10)]),
        ("foreground", ends),
    ):
        for i, (low, high) in enumerate(groups):
            auc = 0.5 + 0.3 * i / len(groups) - 0.01 * len(run[2])
            group = {"by": by, "bin": i, "bin_low": low, "bin_high": high}
            for measure, value in (("auc_macro", auc), ("log_loss", 2.6 - auc)):
                rows.append(base | group | {"measure": measure} | _around(value, 0.02))
    group = {"by": "votes", "bin": 0, "bin_low": np.nan, "bin_high": np.nan}
    for suffix, value in (("confident_wrong", 0.32), ("all", 0.17)):
        measure = {"measure": f"background_among_{suffix}"}
        rows.append(base | group | measure | _around(value, 0.05))
    return rows


def seen(images: np.ndarray, n_classes: int, detectors: Sequence[str]) -> dict[str, np.ndarray]:
    """Some images with maps and with what two detectors keep."""
    images, side = images[: min(n_classes, 6)], images.shape[1]
    n, rows = len(images), np.linspace(-1, 1, side)
    inside = np.tile(rows[:, None] ** 2 + rows**2 < 0.4, (n, 1, 1))
    heat = np.tile(np.add.outer(np.arange(6.0), np.arange(6.0)), (n, 1, 1)).astype(np.float32)
    found = {"images": images, "labels": np.arange(n), "predicted": np.arange(n)[::-1]}
    found |= {"masks": inside, "maps/gradcam/resnet18": heat, "maps/evidence/bagnet17": heat - 6}
    found |= {"maps/abmil/bagnet17": np.where(inside, np.nan, 1.0).astype(np.float32)}
    kept = {"gradcam": inside.astype(np.float32), "oracle_mask": np.full(inside.shape, np.nan)}
    return found | {f"kept/{name}": array for name, array in kept.items() if name in detectors}
