"""Compare every method of a study with one of them, on the same test images.

Methods stand with the fusion rule that is best on val or, with ``--every-rule``, with each.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from patchbench.decisions import PLACE, Decided, Decisions, decisions, drawn
from patchbench.errors import UserError
from patchbench.io import replacing
from patchbench.markdown import number, p_value, table, with_interval
from patchbench.method_tests import joint, judgement, tested
from patchbench.study import open_study

_BETWEEN = "·"  # parts of a name
_JUDGED = ("difference [95 %]", "p", "p, Holm")
HEAD = ("fusion", "AUC", *_JUDGED, "accuracy", *_JUDGED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this command."""
    parser.add_argument("study", type=Path, help="folder of a study, as results/studies/scenes")
    parser.add_argument(
        "method",
        nargs="+",
        help="words of the one method's name in the report, its fusion rule among them if need be: "
        "bagnet17 logistic",
    )
    parser.add_argument(
        "--every-rule", action="store_true", help="methods with each fusion rule, not the best"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write all columns")


def answer(args: argparse.Namespace) -> int:
    """Print a table for each dataset; 0."""
    study = open_study(args.study)
    frames = []
    for dataset in sorted(study.datasets):
        found = decisions(study, dataset, every_rule=args.every_rule)
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
    names = [(method, _words(str(method.method["label"]))) for method in found.methods]
    full = [(method, words | {str(method.method["fusion"])}) for method, words in names]
    # a name of just these words goes before longer ones
    for among, fits in ((names, given.__eq__), (full, given.__eq__), (full, given.__le__)):
        fitting = [method for method, words in among if fits(words)]
        if len(fitting) == 1:
            return fitting[0]
    labels = [_with_rule(method) for method in fitting or found.methods]
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


def _with_rule(method: Decided) -> str:
    fusion = str(method.method["fusion"])
    return str(method.method["label"]) + ("" if fusion == "none" else f" {fusion}")


def text(found: Decisions, frame: pd.DataFrame) -> str:
    """Markdown with a row per method: both measures, of its only seed or of all together."""
    by_measure = {
        measure: joint(frame[frame["measure"] == measure]).set_index(PLACE)
        for measure in ("auc_macro", "accuracy")
    }
    rows: list[list[str]] = []
    tests: dict[str, set[str]] = {measure: set() for measure in by_measure}
    for method in found.methods:
        key = tuple(method.place.values())
        if key not in by_measure["auc_macro"].index:
            continue  # the method that the others are compared with
        fusion = str(method.method["fusion"])
        cells = [str(method.method["label"]), "" if fusion == "none" else fusion]
        for measure, tested_rows in by_measure.items():
            row = tested_rows.loc[[key]].iloc[0]
            judged = judgement(row.to_dict())
            tests[measure].add(judged.test)
            apart = with_interval(row["difference"], row["low"], row["high"], sign=True)
            cells += [number(row["value"], 3), apart or str(row["reason"])]
            cells += [p_value(judged.p), p_value(judged.p_holm)]
        rows.append(cells)
    if not rows:
        return "No other method to compare."
    by_auc, by_accuracy = (" or ".join(sorted(names)) for names in tests.values())
    told = f"p of AUC: {by_auc}; of accuracy: {by_accuracy}; Holm over all rows"
    return f"{table(['method', *HEAD], rows)}\n\n{told}."
