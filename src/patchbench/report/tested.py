"""What the tests between methods say, in plain sentences and a table, and what they cannot say."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from patchbench import results_table as results
from patchbench.bootstrap import N_DRAWS
from patchbench.markdown import with_interval
from patchbench.method_summaries import why_no_ranks
from patchbench.method_tests import Judgement, judgement, verdicts
from patchbench.ranks import ALPHA
from patchbench.study import NONE, Study

Row = Mapping[str, Any]
_JUDGED = ("difference", "p (Holm)")
HEAD = ("Method", "Fusion", "AUC", *_JUDGED, "Accuracy", *_JUDGED)
_PLACE = [*results.METHOD, "fusion"]
_KIND = ["patches", "encoder", "classifier", "fusion"]
_ENDS = {"auc": "", "accuracy": "_accuracy"}  # of columns of both measures side by side
_MOST_NAMED = 5


def sentence(study: Study, dataset: str, best: Row, network: Row) -> str | None:
    """How much two methods differ, and whether by more than chance; None where it was not tested.

    The reference of the tests must be ``network``.
    """
    auc, accuracy = (_row(study, dataset, best, network, m) for m in ("auc_macro", "accuracy"))
    if auc is None or pd.isna(auc["difference"]):
        return None
    text = apart_text(auc["difference"])
    bootstrap = Judgement("", auc["p"], auc["p_holm"])
    n_tests = int(verdicts(study, dataset)["p_holm"].notna().sum())
    over = f", mean of {int(auc['n_seeds'])} seeds" if auc["n_seeds"] > 1 else ""
    how = f"{interval_text(auc)}{over}; {_p_of(bootstrap, n_tests)}"
    if pd.isna(auc["p"]):
        text += f"; draws of test images do not tell how sure that is ({auc['reason']})."
    elif auc["p"] >= ALPHA:
        text += f"; on this many test images the two cannot be told apart ({how})."
    elif auc["p_holm"] >= ALPHA:
        text += (
            ", more than chance in the choice of test images explains for one comparison, but not "
            f"among {n_tests} ({how})."
        )
    else:
        text += f", more than chance in the choice of test images explains ({how})."
    if accuracy is not None and not pd.isna(accuracy["difference"]):
        text += f" Of accuracy the difference is {signed(accuracy['difference'])}"
        found = judgement(accuracy)
        n_others = _n_judged(study, dataset, "accuracy")
        known = "" if pd.isna(found.p) else f" ({found.test}: {_p_of(found, n_others)})"
        text += f"{known}."
    if auc["n_groups"] < auc["n_images"]:
        text += f" Images were drawn by group, of which there are {int(auc['n_groups'])}."
    return text


def _n_judged(study: Study, dataset: str, measure: str) -> int:
    """Comparisons that Holm's adjustment counts."""
    rows = verdicts(study, dataset, measure).to_dict("records")
    return sum(not pd.isna(judgement(row).p) for row in rows)


def apart_text(difference: float) -> str:
    """How far the patch method is from the network, without a full stop."""
    where = "below" if difference < 0 else "above"
    return f"The patch method is {abs(difference):.3f} {where} the network"


def interval_text(row: Row) -> str:
    """``95 % interval of the paired difference +0.001 to +0.019``, or that there is none."""
    if pd.isna(row["low"]) or pd.isna(row["high"]):
        return "no interval of the paired difference"
    ends = f"{signed(row['low'])} to {signed(row['high'])}"
    return f"95 % interval of the paired difference {ends}"


def _row(study: Study, dataset: str, best: Row, network: Row, measure: str) -> Row | None:
    rows = verdicts(study, dataset, measure)
    for name in _PLACE:
        rows = rows[(rows[name] == best[name]) & (rows[f"reference_{name}"] == network[name])]
    return {str(k): v for k, v in rows.iloc[0].items()} if len(rows) else None


def table(study: Study, dataset: str) -> dict[str, Any] | None:
    """Every method against the reference: its name, head, rows; None where nothing was tested."""
    auc, accuracy = (verdicts(study, dataset, m) for m in ("auc_macro", "accuracy"))
    if auc.empty:
        return None
    both = auc.merge(accuracy, on=_PLACE, suffixes=("", "_accuracy"))
    both["mark"] = [results.label(study, _named(row)) for row in both.to_dict("records")]
    both = both.sort_values("value", ascending=False, kind="stable")
    reference = {name: auc[f"reference_{name}"].iloc[0] for name in _PLACE}
    name = results.label(study, reference)
    named = [_named(row) for row in both.to_dict("records")]
    return {
        "reference": name if reference["fusion"] == NONE else f"{name}, {reference['fusion']}",
        "head": HEAD,
        "rows": [_cells(row) for row in named],
        "tests": {
            name: " or ".join(sorted({judgement(row, end).test for row in named}))
            for name, end in _ENDS.items()
        },
        "n_seeds": int(auc["n_seeds"].max()),
        "by_group": bool((auc["n_groups"] < auc["n_images"]).any()),
    }


def _cells(row: Row) -> list[str]:
    cells = [str(row["mark"]), "" if row["fusion"] == NONE else str(row["fusion"])]
    for end in _ENDS.values():
        cells += ["" if pd.isna(row[f"value{end}"]) else f"{row[f'value{end}']:.3f}"]
        apart = (row[f"{name}{end}"] for name in ("difference", "low", "high"))
        cells += [with_interval(*apart, sign=True)]
        found = judgement(row, end)
        cells += ["" if pd.isna(found.p) else f"{p_text(found.p)} ({p_text(found.p_holm)})"]
    return cells


def signed(value: float) -> str:
    """A difference with its sign, a true minus.

    >>> signed(0.0123)
    '+0.012'
    """
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def p_text(p: float) -> str:
    """Two digits; empty where there is none.

    >>> p_text(0.0312), p_text(0.00002), p_text(0.1)
    ('0.031', '< 0.001', '0.10')
    """
    if pd.isna(p):
        return ""
    if p < 0.001:
        return "< 0.001"
    return f"{p:.2f}" if p >= 0.1 else f"{p:.2g}"


def _p_of(found: Judgement, n_tests: int) -> str:
    many = f", {p_text(found.p_holm)} after Holm for {n_tests} comparisons" if n_tests > 1 else ""
    return f"p {'' if found.p < 0.001 else '= '}{p_text(found.p)}{many}"


def _named(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in row.items()}


# ------------------------------------------------------------------------------ what is missing


def gaps(study: Study) -> list[str]:
    """What the tests leave undefined, and why."""
    if study.metrics.empty:
        return []
    if study.seed_summary.empty:
        return ["methods were not compared with each other: the tables of their tests are empty"]
    found = [gap for name in sorted(study.datasets) for gap in _of_dataset(study, name)]
    if study.metrics["seed"].nunique() == 1:
        found.append("a single seed was run, so nothing is known of the spread over seeds")
    if study.dataset_ranks.empty:
        ran = _on_all(study)
        found.append(why_no_ranks(len(study.datasets), ran) or "methods were not ranked")
    return found


def _of_dataset(study: Study, dataset: str) -> list[str]:
    classes = study.class_metrics[study.class_metrics["dataset"] == dataset]
    tests = study.method_tests[study.method_tests["dataset"] == dataset]
    found = []
    on_trial = [
        results.kind(study, *map(str, place)) != "control"
        for place in classes[_KIND].itertuples(index=False, name=None)
    ]
    areas = classes[np.array(on_trial, dtype=bool)]
    areas = areas[(areas["measure"] == "auc") & areas["reason"].notna()]
    for reason, rows in areas.groupby("reason", sort=False):
        found.append(f"{dataset}, AUC of {_some(rows['class_name'])}: {reason}")
    recalls = classes[(classes["measure"] == "recall") & classes["reason"].isna()]
    rare = recalls[recalls["n_draws"] < N_DRAWS].drop_duplicates("class_name")
    if len(rare):
        few = sorted(set(rare["n_positive"]))
        counts = f"{few[0]} to {few[-1]}" if len(few) > 1 else str(few[0])
        noun = "image" if few == [1] else "images"
        found.append(
            f"{dataset}: few test images of {_some(rare['class_name'])} ({counts} {noun} of a "
            "class); draws that hold none are left out of intervals of AUC and balanced accuracy"
        )
    if tests.empty:
        found.append(f"{dataset}: there are no two methods to test against each other")
    for reason, rows in tests[tests["reason"].notna()].groupby("reason", sort=False):
        names = [results.label(study, _named(row)) for row in rows.to_dict("records")]
        found.append(f"{dataset}, test of {_some(names)}: {reason}")
    if len(tests) and (tests["n_groups"] < tests["n_images"]).any():
        found.append(
            f"{dataset}: DeLong's intervals of single classes take images of one group as "
            "independent, which those by bootstrap do not"
        )
    return found


def _some(names: Iterable[str]) -> str:
    every = list(dict.fromkeys(names))
    more = len(every) - _MOST_NAMED
    return ", ".join(every[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _on_all(study: Study) -> int:
    """Methods on trial, controls left out, that ran on every dataset."""
    rows = study.seed_summary[study.seed_summary["mean"].notna()]
    rows = rows[rows["metric"] == "auc_macro"]
    counts = rows.groupby(results.METHOD)["dataset"].nunique()
    kinds = [results.kind(study, *map(str, method[:3])) for method in counts.index]
    return sum(
        kind != "control" and count == len(study.datasets)
        for kind, count in zip(kinds, counts, strict=True)
    )
