"""What experiments found, as figures read it: pure functions of a `Study`, seeds averaged."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from patchbench import results_table as results
from patchbench.evaluation import preferred_fusion
from patchbench.study import WHOLE_IMAGE, Study

_STEP = [*results.METHOD, "experiment", "policy", "fusion", "rescaled", "amount", "measure"]
_MEANS = ("value", "draw_low", "draw_high", "difference")
_ENDS = ("low", "high", "difference_low", "difference_high")


def steps(study: Study, dataset: str, *kinds: str) -> pd.DataFrame:
    """Every value of the experiments of these kinds, a row each.

    Returns
    -------
    frame : DataFrame
        Columns of a method, ``experiment`` to ``measure`` as in table "experiments"; means over
        seeds of values, differences and the ends of their intervals; ``sd`` of the values over
        seeds; the largest ``p`` (1 where seeds differ in sign); ``n_draws``, ``n_images``,
        ``n_seeds``, ``label`` of the method; patch methods first, the best first.
    """
    rows = study.experiments
    names = entries(study.run["config"], *kinds)
    rows = rows[(rows["dataset"] == dataset) & rows["experiment"].isin(names)]
    groups = rows.groupby(_STEP, sort=False, dropna=False)
    frame = groups.agg(
        **{name: (name, "mean") for name in _MEANS},
        sd=("value", "std"),
        p=("p", "max"),
        **{name: (name, "max") for name in ("n_draws", "n_images")},
        n_seeds=("value", "count"),
    )
    apart = groups["difference"].agg(["min", "max"])
    frame.loc[(apart["min"] < 0) & (apart["max"] > 0), "p"] = 1.0
    frame = frame.join(results.mean_ends(groups, *_ENDS)).reset_index()
    frame["label"] = [
        results.label(study, {str(k): v for k, v in row.items()})
        for row in frame.to_dict("records")
    ]
    scores = results.with_one_fusion(results.scores(study, dataset, "image"))
    rank = {name: i for i, name in enumerate(dict.fromkeys(scores["label"]))}
    whole = frame["patches"] == WHOLE_IMAGE
    frame = frame.assign(whole=whole, rank=frame["label"].map(rank).fillna(len(rank)))
    frame = frame.sort_values(["whole", "rank", "label"], kind="stable", ignore_index=True)
    return frame.drop(columns=["whole", "rank"])


def with_one_fusion(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the mean of probabilities where a method has it, else the first fusion by name."""
    if frame.empty:
        return frame
    found = frame.groupby("label", sort=False)["fusion"].transform(preferred_fusion)
    return frame[frame["fusion"] == found].reset_index(drop=True)


def methods(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The methods of `steps`, a mapping each: columns of a method, and ``label``."""
    rows = frame[[*results.METHOD, "label"]].drop_duplicates("label").to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows]


def n_images(frame: pd.DataFrame) -> str:
    """How many images the values rest on, for a footer."""
    counts = sorted(set(frame["n_images"]))
    span = " to ".join(str(n) for n in dict.fromkeys((*counts[:1], *counts[-1:])))
    return f"experiments on {span} of them"


def entries(config: Mapping[str, Any], *kinds: str) -> list[str]:
    """The chosen experiments that are of one of these kinds."""
    known = config.get("experiments", {})
    chosen = config.get("benchmark", {}).get("experiments", [])
    return [name for name in chosen if (known.get(name) or {}).get("type", name) in kinds]
