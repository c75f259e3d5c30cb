"""What the fusion rules of a study did against one another, as figures and the report read it.

Pure functions of a `Study`; of several seeds the mean over seeds is compared, draw by draw.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from patchbench import results_table as results
from patchbench.paired import holm
from patchbench.seed_means import SeedMeans
from patchbench.study import NONE, Study

ALPHA = 0.05
BETTER, WORSE, SAME, RIVAL = "better", "worse", "same", "rival"
UNTOLD = "untold"  # draws of images do not tell how sure the difference is


def compared(study: Study, dataset: str) -> pd.DataFrame:
    """Every rule of every patch method against the same rival.

    Rules on embeddings stand with the classifier whose votes they are compared with, so that
    one method's rows are all rules that were compared with the same rival.

    Returns
    -------
    frame : DataFrame
        Columns of a method, ``fusion``, ``rival``, ``difference``, ``low``, ``high`` (of image
        AUC, paired; of several seeds of the mean), ``p``, ``sd`` of the differences over seeds,
        ``n_seeds``, ``p_adjusted`` over the rules of the method (Holm), ``verdict``:
        better or worse than the rival, the same (not told apart), untold (no p is known), or the
        rival itself; ``label``; and ``on_embeddings``, whether the rule needs no classifier.
    """
    rows = study.fusion_tests[study.fusion_tests["dataset"] == dataset]
    rows = rows.assign(
        on_embeddings=rows["classifier"] == NONE, classifier=rows["rival_classifier"]
    )
    groups = rows.groupby([*results.METHOD, "fusion", "rival", "on_embeddings"], sort=False)
    frame = groups.agg(
        difference=("difference", "mean"),
        p=("p", "max"),
        sd=("difference", "std"),
        n_seeds=("seed", "nunique"),
    )
    frame = frame.join(results.mean_ends(groups)).reset_index()
    frame = _of_means(frame, study, dataset)
    frame["label"] = [results.label(study, _named(row)) for row in frame.to_dict("records")]
    frame["p_adjusted"], frame["verdict"] = float("nan"), SAME
    frame.loc[frame["fusion"] == frame["rival"], "verdict"] = RIVAL
    other = frame["verdict"] != RIVAL
    asked = other & frame["p"].notna()
    frame.loc[other & ~asked, "verdict"] = UNTOLD
    for _, own in frame[asked].groupby(results.METHOD):
        frame.loc[own.index, "p_adjusted"] = holm(own["p"].to_numpy())
    apart = frame["p_adjusted"] < ALPHA
    frame.loc[apart & (frame["difference"] > 0), "verdict"] = BETTER
    frame.loc[apart & (frame["difference"] < 0), "verdict"] = WORSE
    return frame


def _of_means(frame: pd.DataFrame, study: Study, dataset: str) -> pd.DataFrame:
    """Compare the means where there are several seeds.

    Where their test images are others, means over seeds stand, and the largest p.
    """
    several = frame["n_seeds"] > 1
    if not several.any():
        return frame
    means = SeedMeans(study, dataset)
    for i, row in frame[several].iterrows():
        own = row["classifier"] if not row["on_embeddings"] else NONE
        rival = {**row, "fusion": row["rival"]}
        if found := means.difference({**row, "classifier": own}, rival):
            ends = [found.value, found.low, found.high, found.p]
            frame.loc[i, ["difference", "low", "high", "p"]] = ends
    return frame


def of_method(frame: pd.DataFrame, method: Mapping[str, Any]) -> pd.DataFrame:
    """Rows of one method."""
    for column in results.METHOD:
        frame = frame[frame[column] == method[column]]
    return frame


def _named(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in row.items()}
