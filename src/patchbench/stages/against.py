"""Compare every method of a study with one of them, on the same test images."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from patchbench import results_table as results
from patchbench.decisions import Decided, Decisions, decisions, drawn
from patchbench.errors import UserError
from patchbench.io import replacing
from patchbench.markdown import number, p_value, table, with_interval
from patchbench.method_tests import joint, tested
from patchbench.study import open_study

_BETWEEN = "·"  # parts of a name
HEAD = ("fusion", "AUC", "difference [95 %]", "p", "p, Holm", "accuracy", "McNemar's p", "p, Holm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this command."""
    parser.add_argument("study", type=Path, help="folder of a study, as results/studies/scenes")
    parser.add_argument(
        "method", nargs="+", help="words of the one method's name in the report: bagnet17 logistic"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write all columns")


def answer(args: argparse.Namespace) -> int:
    """Print a table for each dataset; 0."""
    study = open_study(args.study)
    frames = []
    for dataset in sorted(study.datasets):
        found = decisions(study, dataset)
        other = named(found, args.method)
        frame = tested(found, [drawn(found, method) for method in found.methods], other)
        frames.append(frame)
        print(f"\n{_heading(found, other)}\n\n{text(found, frame)}")
    if args.csv:
        with replacing(args.csv) as temporary:
            pd.concat(frames).to_csv(temporary, index=False)
    return 0


def named(found: Decisions, words: list[str]) -> Decided:
    """The one method that has all of these words in its name.

    Raises
    ------
    UserError
        If there is none, or more than one.
    """
    given = _words(" ".join(words))
    for fits in (given.__eq__, given.__le__):  # a name of just these words goes before longer ones
        fitting = [method for method in found.methods if fits(_words(str(method.method["label"])))]
        if len(fitting) == 1:
            return fitting[0]
    labels = [str(method.method["label"]) for method in fitting or found.methods]
    raise UserError(
        f"{' '.join(words)!r} names {len(fitting)} methods on {found.dataset}; give words of one "
        f"of: {', '.join(labels)}"
    )


def _words(name: str) -> set[str]:
    return {word.strip("()") for word in name.split() if word != _BETWEEN}


def _heading(found: Decisions, other: Decided) -> str:
    images = f"{len(found.labels)} test images"
    if found.n_groups < len(found.labels):
        images += f" in {found.n_groups} groups"
    return f"{found.dataset}, {images}: methods less {_name(other.method)}"


def _name(method: Mapping[str, Any]) -> str:
    fusion = f", {method['fusion']}" if method["fusion"] != "none" else ""
    return f"{method['label']}{fusion} (AUC {method['value']:.3f})"


def text(found: Decisions, frame: pd.DataFrame) -> str:
    """Markdown with a row per method: both measures, of its only seed or of all together."""
    by_measure = {
        measure: joint(frame[frame["measure"] == measure]).set_index(results.METHOD)
        for measure in ("auc_macro", "accuracy")
    }
    rows = []
    for method in found.methods:
        key = tuple(str(method.method[name]) for name in results.METHOD)
        if key not in by_measure["auc_macro"].index:
            continue  # the method that the others are compared with
        auc, right = (rows.loc[[key]].iloc[0] for rows in by_measure.values())
        apart = with_interval(auc["difference"], auc["low"], auc["high"], sign=True)
        rows.append(
            [
                str(method.method["label"]),
                "" if method.method["fusion"] == "none" else str(method.method["fusion"]),
                number(auc["value"], 3),
                apart or str(auc["reason"]),
                *(p_value(auc[p]) for p in ("p", "p_holm")),
                number(right["value"], 3),
                *(p_value(right[p]) for p in ("second_p", "second_p_holm")),
            ]
        )
    return table(["method", *HEAD], rows)
