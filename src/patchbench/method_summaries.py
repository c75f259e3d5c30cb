"""What is told of each method by itself: class by class, over seeds, over datasets.

Pure functions that make the rows of the tables class_metrics, seed_summary and dataset_ranks.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from patchbench import results_table as results
from patchbench import tables
from patchbench.bootstrap import Estimate, estimate
from patchbench.class_areas import class_areas
from patchbench.decisions import Decided, Decisions, Draws
from patchbench.method_tests import ALL_SEEDS
from patchbench.metrics import confusion_draws, estimates
from patchbench.ranks import FEWEST_METHODS, Ranking, rank_methods
from patchbench.study import Study

FEWEST_DATASETS = 3
_COUNTS_AT_ONCE = 1 << 22  # cells of confusion matrices

# ------------------------------------------------------------------------------ class by class


def class_table(found: Decisions, names: list[str]) -> pd.DataFrame:
    """Rows of table ``class_metrics`` for one dataset; ``names`` of its classes, in label order."""
    rows = [
        {"dataset": found.dataset, **method.place, "seed": seed, **row}
        for method in found.methods
        for seed, among in _seeds_and_all(method)
        for row in _classes(found, np.stack(among), names)
    ]
    return pd.DataFrame(rows) if rows else tables.empty("class_metrics")


def _seeds_and_all(method: Decided) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Probabilities of each seed and, of several, of all together."""
    yield from ((seed, [own]) for seed, own in method.probabilities.items())
    if len(method.probabilities) > 1:
        yield ALL_SEEDS, list(method.probabilities.values())


def _classes(
    found: Decisions, probabilities: np.ndarray, names: list[str]
) -> Iterator[dict[str, Any]]:
    """What is told of each class; ``probabilities`` (n_seeds, n_images, n_classes)."""
    by_seed = [_shares(found, own) for own in probabilities]
    for area in class_areas(found.labels, probabilities):
        about = {"label": area.label, "class_name": names[area.label]}
        about |= {"n_positive": area.n_positive, "n_negative": area.n_negative}
        yield about | _told("auc", area.area)
        for measure in by_seed[0]:
            own = np.mean([shares[measure][area.label] for shares in by_seed], axis=0)
            if area.n_positive == 0:  # decisions for it would have a precision of 0, by necessity
                why = f"no image of the class: no {measure}"
                yield about | _told(measure, Estimate(reason=why))
            elif np.isnan(own[0]):
                why = f"never decided for: no {measure}"
                yield about | _told(measure, Estimate(reason=why))
            else:
                n_trials = _n_groups(found, probabilities, measure, area.label)
                yield about | _told(measure, estimate(own, n_trials))


def _told(measure: str, found: Estimate) -> dict[str, Any]:
    told = {"measure": measure, **found.numbers, "n_draws": found.n_draws}
    return told | {"reason": found.reason or None}


def _n_groups(found: Decisions, probabilities: np.ndarray, measure: str, label: int) -> int:
    """Groups of the images that a share of a class is of; of several seeds the fewest."""
    if measure == "recall":
        return len(np.unique(found.group_of[found.labels == label]))
    decided = probabilities.argmax(axis=2) == label
    return min(len(np.unique(found.group_of[own])) for own in decided)


def _shares(found: Decisions, probabilities: np.ndarray) -> dict[str, np.ndarray]:
    """Recall and precision of every class, (n_classes, 1 + n_draws); NaN where there is none."""
    weights, n_classes = found.weights(), probabilities.shape[1]
    step, image_of = max(1, _COUNTS_AT_ONCE // n_classes**2), np.arange(len(found.labels))
    hits, true, named = (np.empty((n_classes, len(weights))) for _ in range(3))
    for start in range(0, len(weights), step):
        rows = slice(start, start + step)
        counts = confusion_draws(found.labels, probabilities, image_of, weights[rows])
        hits[:, rows] = np.diagonal(counts, axis1=1, axis2=2).T
        true[:, rows], named[:, rows] = counts.sum(axis=2).T, counts.sum(axis=1).T
    return {
        name: np.divide(hits, total, out=np.full(hits.shape, np.nan), where=total > 0)
        for name, total in (("recall", true), ("precision", named))
    }


# ----------------------------------------------------------------------------------- over seeds


def seed_table(found: Decisions, draws: Iterable[Draws]) -> pd.DataFrame:
    """Rows of table ``seed_summary`` for one dataset; ``draws`` of each method, in order."""
    rows = [
        {"dataset": found.dataset, **method.place, **found.counts(), **row}
        for method, own in zip(found.methods, draws, strict=True)
        for row in _seeds(found, method, own)
    ]
    return pd.DataFrame(rows) if rows else tables.empty("seed_summary")


def _seeds(found: Decisions, method: Decided, draws: Draws) -> Iterator[dict[str, Any]]:
    lost = len(method.seeds) - len(draws)
    metrics = next(iter(draws.values()), {})
    means = {name: np.mean([own[name] for own in draws.values()], axis=0) for name in metrics}
    for metric, whole in estimates(means, found.n_groups).items():
        values = np.array([own[metric][0] for own in draws.values()])
        known = values[np.isfinite(values)]
        reasons = [whole.reason] if whole.reason else []
        if len(known) == 1:
            reasons.append("a single seed: no spread over seeds")
        if lost:
            reasons.append(f"other test images in {lost} of {len(method.seeds)} seeds")
        yield {
            "metric": metric,
            "mean": whole.value,
            "sd": known.std(ddof=1) if len(known) > 1 else np.nan,
            "lowest": known.min() if len(known) else np.nan,
            "highest": known.max() if len(known) else np.nan,
            "low": whole.low,
            "high": whole.high,
            "n_draws": whole.n_draws,
            "n_seeds": len(known),
            "reason": "; ".join(reasons) or None,
        }


# -------------------------------------------------------------------------------- over datasets


def rank_table(study: Study, chosen: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Rows of table ``dataset_ranks``; ``chosen``: each dataset's methods, one rule each.

    Empty where the tests are not defined, see :func:`why_no_ranks`.
    """
    frame = pd.concat(
        [rows.assign(dataset=name) for name, rows in chosen.items()], ignore_index=True
    )
    frame = frame[(frame["kind"] != "control") & frame["value"].notna()]
    wide = frame.pivot_table(index="dataset", columns=results.METHOD, values="value", sort=False)
    wide = wide.dropna(axis="columns").round(12)  # rounding errors break no tie
    if len(chosen) > len(wide) or why_no_ranks(*wide.shape):
        return tables.empty("dataset_ranks")
    ranking = rank_methods(wide.to_numpy())
    columns = [tuple(map(str, column)) for column in wide.columns]
    means = dict(zip(columns, map(float, ranking.mean_ranks), strict=True))
    ranks = wide.rank(axis="columns", ascending=False).stack(results.METHOD, future_stack=True)
    rows = []
    for row in frame.to_dict("records"):
        method = tuple(str(row[name]) for name in results.METHOD)
        if method in means:
            place = {name: row[name] for name in (*results.METHOD, "dataset", "fusion", "value")}
            own = {"rank": ranks[(row["dataset"], *method)], "mean_rank": means[method]}
            rows.append(place | own | _tests(ranking, len(means)))
    order = ["mean_rank", *results.METHOD]
    return pd.DataFrame(rows).sort_values(order, kind="stable", ignore_index=True)


def _tests(ranking: Ranking, n_methods: int) -> dict[str, Any]:
    tests = ranking.tests
    if tests is None:
        raise ValueError(f"ranks were not tested: {ranking.reason}")
    return {
        "n_datasets": ranking.n_datasets,
        "n_methods": n_methods,
        "friedman_chi2": tests.chi2,
        "friedman_p": tests.chi2_p,
        "iman_davenport_f": tests.f,
        "iman_davenport_p": tests.f_p,
        "critical_difference": tests.critical_difference,
    }


def why_no_ranks(n_datasets: int, n_methods: int) -> str:
    """Why methods cannot be ranked over datasets; empty where they can.

    >>> why_no_ranks(2, 9)
    'methods were not ranked over datasets: that needs 3 datasets, and there are 2'
    """
    for n, fewest, what in (
        (n_datasets, FEWEST_DATASETS, "datasets"),
        (n_methods, FEWEST_METHODS, "methods that ran on all of them"),
    ):
        if n < fewest:
            are = "is 1" if n == 1 else f"are {n}"
            needs = f"that needs {fewest} {what}, and there {are}"
            return f"methods were not ranked over datasets: {needs}"
    return ""
