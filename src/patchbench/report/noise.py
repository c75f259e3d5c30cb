"""Whether ignoring noisy patches helps, in plain sentences made from the sweep of detectors.

Nothing is picked on test but the method: the share dropped is fixed beforehand, all detectors
are counted, and p are adjusted for their number (:func:`patchbench.paired.holm`).
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from patchbench import sweep_results
from patchbench.study import Study

_WHERE = {"train": "in training", "both": "in training and in test"}
_MINUS = "\N{MINUS SIGN}"
Row = Mapping[str, Any]


def sentences(study: Study, dataset: str) -> list[str]:
    """One sentence on the method, then one or more for each place where patches are dropped."""
    answer = sweep_results.answer(study, dataset)
    if answer is None:
        return []
    method, n_methods = answer.method, len(sweep_results.swept(study, dataset))
    among = f", the highest of {n_methods} swept methods" if n_methods > 1 else ""
    found = [
        _answer_text(study, answer),
        f"Dropping noisy patches is told of {method['label']} fused by {method['fusion']}, the "
        f"best rule on val (image AUC {method['value']:.3f} with all patches{among}), at a share "
        f"of {100 * answer.share:.0f} %, which was fixed beforehand.",
    ]
    for applied in _WHERE:
        found += _about(study, dataset, answer.applied(applied), method, applied)
    found += _plain_text(study, dataset, str(method["fusion"]))
    return list(dict.fromkeys(found))  # what holds for both places is said once


def _answer_text(study: Study, answer: sweep_results.Answer) -> str:
    """Whether it helps, by how much, with what uncertainty: the one sentence to remember."""
    judged = [sweep_results.judged(study, answer.applied(place)) for place in _WHERE]
    rows = pd.concat(judged).sort_values("difference", ascending=False)
    if rows.empty:
        return "Whether ignoring noisy patches helps here cannot be said: nothing was comparable."
    helps = rows[rows["better"] & rows["random_better"]]
    best = {str(k): v for k, v in (rows if helps.empty else helps).iloc[0].items()}
    what = (
        f"{best['detector']}, {_share(answer.share)} dropped {_WHERE[best['applied']]}, changes "
        f"image AUC by {_change(best, '')}"
    )
    if helps.empty:
        return f"Ignoring noisy patches does not help here: the highest, {what}."
    return f"Ignoring noisy patches helps here: {what}."


def _plain_text(study: Study, dataset: str, fusion: str) -> list[str]:
    """What it does to the plain mean of probabilities, where that is not the rule told of."""
    plain = sweep_results.answer(study, dataset, sweep_results.IMAGE)
    if plain is None or fusion == plain.method["fusion"]:
        return []
    own = sweep_results.judged(study, plain.applied("both"))
    if own.empty:
        return []
    best = {str(k): v for k, v in own.iloc[0].items()}
    return [
        f"Decided by {plain.method['fusion']}, which hears all patches alike (image AUC "
        f"{plain.method['value']:.3f} with all), the highest in training and in test is "
        f"{best['detector']} with {_change(best, '')}, p = {best['p_adjusted']:.2g} after Holm."
    ]


def _about(study: Study, dataset: str, rows: pd.DataFrame, method: Row, applied: str) -> list[str]:
    own = sweep_results.judged(study, rows)
    if own.empty:
        return []
    share = float(rows["fraction"].iloc[0])
    above_all, above_chance, worse = own["better"], own["random_better"], own["worse"]
    helps, n = list(own.loc[above_all & above_chance, "detector"]), len(own)
    text = f"Dropping {_share(share)} {_WHERE[applied]} helps with "
    tried = "the one detector" if n == 1 else f"the {n} detectors"
    images = f"on these {int(own['n_images'].max())} test images"
    if helps:
        text += (
            f"{len(helps)} of {tried} ({_listed(helps)}): better than keeping all patches and "
            f"than dropping as many at random {images}"
        )
    else:
        text += f"none of {tried} more than chance explains {images}: " + (
            f"{_counted(above_all)} better than keeping all patches, {_counted(above_chance)} "
            "better than dropping as many at random, none both"
            if (above_all | above_chance).any()
            else "none is better than keeping all patches or than dropping as many at random"
        )
    alpha = sweep_results.ALPHA
    text += f"; {_counted(worse)} worse than keeping all (p below {alpha:g} after Holm)."
    if (floor := int(own["n_by_floor"].max())) > 0:
        text += f" The floor of one patch per image kept up to {floor} patches."
    best = {str(k): v for k, v in own.iloc[0].items()}
    return [text, _best_text(study, dataset, best, method), *_oracle_text(study, rows)]


def _best_text(study: Study, dataset: str, best: Row, method: Row) -> str:
    text = (
        f"The highest, {best['detector']}, changes image AUC by {_change(best, '')}, p = "
        f"{best['p_adjusted']:.2g} after Holm, and is {_change(best, 'random_')} from dropping at "
        f"random, p = {best['random_p_adjusted']:.2g}"
    )
    seconds = sweep_results.seconds(study, dataset, method, str(best["detector"]))
    if pd.isna(seconds):
        return text + "; its time was not recorded."
    return text + f"; it took {seconds:,.{0 if seconds >= 10 else 2}f} s, maps included."


def _oracle_text(study: Study, rows: pd.DataFrame) -> list[str]:
    """What the true masks gain: the most that a perfect finder of background could."""
    kinds = [sweep_results.kind_of(study, name) for name in rows["detector"]]
    oracle = rows[[kind == sweep_results.ORACLE for kind in kinds]]
    if oracle.empty or oracle["difference"].isna().all():
        return ["Without true object masks it is not known what a perfect detector would gain."]
    known = {str(k): v for k, v in oracle.iloc[0].items()}
    return [f"A detector that knows the true object masks would change it by {_change(known, '')}."]


def _change(row: Row, prefix: str) -> str:
    """``+0.010 (paired 95 % interval 0.001 to 0.019)``, means over seeds."""
    value, low, high = (row[f"{prefix}difference{end}"] for end in ("", "_low", "_high"))
    known = not (pd.isna(low) or pd.isna(high))
    ends = f"paired 95 % interval {low:+.3f} to {high:+.3f}" if known else "no interval"
    text = f"{value:+.3f} ({ends})"
    return text.replace("-", _MINUS)


def _share(fraction: float) -> str:
    return "half of the patches" if fraction == 0.5 else f"{100 * fraction:.0f} % of patches"


def _counted(which: pd.Series) -> str:
    n = int(which.sum())
    return f"{n or 'none'} {'are' if n > 1 else 'is'}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
