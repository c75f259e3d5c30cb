"""Every method against one reference, on the same test images: the rows of table method_tests.

The reference is the whole-image CNN that is best on val, or, where none was run, the best patch
method on val. Paired bootstrap of the difference (Efron & Tibshirani, "An introduction to the
bootstrap", 1993); McNemar's exact test of accuracies; DeLong's test where there are two classes;
Holm's adjustment over all methods. Pure functions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from patchbench import results_table as results
from patchbench import tables
from patchbench.auc import auc_draws
from patchbench.bootstrap import N_DRAWS
from patchbench.decisions import PLACE, Decided, Decisions, Draws
from patchbench.delong import delong_test
from patchbench.metrics import ONE_CLASS, share_draws
from patchbench.paired import difference, holm, mcnemar
from patchbench.study import NONE, Study

ALL_SEEDS = -1
MEASURES = ("auc_macro", "accuracy")
DELONG, MCNEMAR = "delong", "mcnemar"
BOOTSTRAP = "paired bootstrap"
_IN_WORDS = {MCNEMAR: "McNemar", DELONG: "DeLong"}


def reference(study: Study, found: Decisions) -> Decided | None:
    """The method that others are compared with; None where there is none on trial."""
    for kind in ("cnn", "patch"):
        best = results.best_on_val(study, found.dataset, found.frame, kind)
        if best is not None:
            return next(m for m in found.methods if all(best[k] == v for k, v in m.place.items()))
    return None


def tested(found: Decisions, draws: list[Draws], other: Decided | None) -> pd.DataFrame:
    """Rows of table ``method_tests`` for one dataset.

    Parameters
    ----------
    found : Decisions
    draws : list of Draws
        Of each method, in the same order.
    other : Decided or None
        The method of ``found`` that all others are compared with; without one there are no rows.
    """
    if other is None:
        return tables.empty("method_tests")
    place = {f"reference_{name}": value for name, value in other.place.items()}
    if found.n_draws > N_DRAWS:
        draws = [_more_draws(found, method) for method in found.methods]
    by_method = dict(zip(map(id, found.methods), draws, strict=True))
    rows = [
        {"dataset": found.dataset, **method.place, **place, **row, "n_images": len(found.labels)}
        for method in found.methods
        if method is not other
        for row in _against(found, method, other, by_method[id(method)], by_method[id(other)])
    ]
    if not rows:
        return tables.empty("method_tests")
    frame = pd.DataFrame(rows).assign(n_groups=found.n_groups, p_holm=np.nan, second_p_holm=np.nan)
    for _, family in frame.groupby(["seed", "measure"]):
        for p in ("p", "second_p"):
            known = family[family[p].notna()]
            frame.loc[known.index, f"{p}_holm"] = holm(known[p].to_numpy(np.float64))
    return frame


def _more_draws(found: Decisions, method: Decided) -> Draws:
    """Both measures for as many draws as the tests need."""
    weights, image_of = found.weights(found.n_draws), np.arange(len(found.labels))
    everyone = np.ones(len(found.labels), dtype=bool)
    return {
        seed: {
            "auc_macro": auc_draws(found.labels, own, image_of, weights),
            "accuracy": share_draws(
                own.argmax(axis=1) == found.labels, everyone, image_of, weights
            ),
        }
        for seed, own in method.probabilities.items()
    }


def _against(
    found: Decisions, method: Decided, other: Decided, own: Draws, rival: Draws
) -> Iterator[dict[str, Any]]:
    """Both measures of each seed and, of several, of all together."""
    shared = [seed for seed in method.seeds if seed in own and seed in rival]
    groups = [(seed, [seed] if seed in shared else []) for seed in method.seeds]
    for seed, among in groups + ([(ALL_SEEDS, shared)] if len(method.seeds) > 1 else []):
        for measure in MEASURES:
            row: dict[str, Any] = {"seed": seed, "measure": measure, "n_seeds": len(among)}
            if among:
                apart = [np.mean([d[s][measure] for s in among], axis=0) for d in (own, rival)]
                row |= _bootstrapped(*apart)
            else:
                row |= _UNDEFINED | {"reason": "its test images are not those of the reference"}
            row |= _second(found, measure, method, other, among if seed >= 0 else [])
            if row["second_test"] == DELONG and np.isnan(row["second_p"]):
                reasons = row["reason"], "no DeLong p: a class has a single image"
                row["reason"] = "; ".join(filter(None, reasons))
            yield row


_NUMBERS = ("value", "reference_value", "difference", "low", "high", "p")
_UNDEFINED: dict[str, Any] = dict.fromkeys(_NUMBERS, np.nan) | {"n_draws": 0}


def _bootstrapped(own: np.ndarray, rival: np.ndarray) -> dict[str, Any]:
    told = difference(own, rival)
    values = {"value": own[0], "reference_value": rival[0], "difference": told.value}
    ends = {"low": told.low, "high": told.high, "p": told.p, "n_draws": told.n_draws}
    reason = ONE_CLASS if np.isnan(told.value) else told.reason or None
    return values | ends | {"reason": reason}


def _second(
    found: Decisions, measure: str, method: Decided, other: Decided, seeds: list[int]
) -> dict[str, Any]:
    """The test of a single seed that needs no draws, where there is one."""
    nothing = {"second_test": NONE, "second_p": np.nan}
    if not seeds:
        return nothing
    own, rival = (each.probabilities[seeds[0]] for each in (method, other))
    if measure == "accuracy":
        right = [each.argmax(axis=1) == found.labels for each in (own, rival)]
        return {"second_test": MCNEMAR, "second_p": mcnemar(*right).p}
    if own.shape[1] != 2 or len(np.unique(found.labels)) < 2:
        return nothing
    p = delong_test(found.labels, own[:, 1], rival[:, 1]).p
    return {"second_test": DELONG, "second_p": p}


# ------------------------------------------------------------------------------- reading them


def verdicts(study: Study, dataset: str, measure: str = "auc_macro") -> pd.DataFrame:
    """Tests of one measure against the reference of the study, each method once."""
    rows = study.method_tests
    rows = rows[(rows["dataset"] == dataset) & (rows["measure"] == measure)]
    return joint(rows)


def joint(rows: pd.DataFrame) -> pd.DataFrame:
    """Of tests of one measure each method once: of its only seed, or of all together."""
    once = rows.sort_values("seed", kind="stable").drop_duplicates(PLACE)  # -1 is first
    return once.sort_index(ignore_index=True)


@dataclass(frozen=True)
class Judgement:
    """The test that a reader is shown: its name, its p and that after Holm, NaN where not known."""

    test: str
    p: float
    p_holm: float


def judgement(row: Mapping[Any, Any], end: str = "") -> Judgement:
    """Of the tests of a row the exact one, or DeLong's, where there is one and images are alone.

    These take images as independent. Where images come in groups, only draws of groups tell how
    sure a difference is, so the paired bootstrap stands.

    Parameters
    ----------
    row : mapping
        Columns of table ``method_tests``, each with ``end`` at the end of its name.
    """
    alone = row[f"n_groups{end}"] == row[f"n_images{end}"]
    if alone and not pd.isna(row[f"second_p{end}"]):
        name = _IN_WORDS[row[f"second_test{end}"]]
        return Judgement(name, row[f"second_p{end}"], row[f"second_p_holm{end}"])
    return Judgement(BOOTSTRAP, row[f"p{end}"], row[f"p_holm{end}"])
