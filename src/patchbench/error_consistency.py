"""Do two models err on the same images? Agreement beyond what their accuracies explain.

Geirhos, Meding & Wichmann, "Beyond accuracy: quantifying trial-by-trial behaviour of CNNs and
humans by measuring error consistency", NeurIPS 2020, arXiv:2006.16736. Cohen's kappa of who is
right: 1 where both are right and wrong on the same images, 0 where they agree as often as two
unrelated models of these accuracies would.
"""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from patchbench import results_table as results
from patchbench.bootstrap import draw_groups
from patchbench.decisions import groups_of
from patchbench.evaluation import BOOTSTRAP_SEED
from patchbench.metrics import estimate
from patchbench.study import Study

PLACE = [*results.METHOD, "fusion"]


def kappa(right: np.ndarray, other: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Cohen's kappa of who is right, for each row of image weights.

    Parameters
    ----------
    right, other : bool array, (n_images,)
        Whether the one and the other model is right.
    weights : float array, (n_draws, n_images)
        A row of ones gives the ordinary kappa.

    Returns
    -------
    float64 array, (n_draws,)
        NaN where agreement is certain by accuracy alone: both always right, or always wrong.

    Examples
    --------
    >>> kappa(np.array([True, True, False, False]), np.array([True, True, False, True]),
    ...       np.ones((1, 4)))
    array([0.5])
    """
    total = weights.sum(axis=1, dtype=np.float64)
    first, second, same = (
        (weights @ values.astype(np.float64)) / total for values in (right, other, right == other)
    )
    expected = first * second + (1 - first) * (1 - second)
    beyond, nothing = 1 - expected, np.full(len(total), np.nan)
    found: np.ndarray = np.divide(same - expected, beyond, out=nothing, where=beyond > 1e-12)
    return found


def pairs(study: Study, dataset: str) -> pd.DataFrame:
    """Every two models of a dataset, on the test images that both decided on.

    Patch methods have one fusion each, fixed beforehand; controls are left out.

    Returns
    -------
    frame : DataFrame
        ``label``, ``rival``, their ``accuracy`` and ``rival_accuracy``, ``observed`` and
        ``expected`` agreement (0-1), ``kappa``, ``low``, ``high``, ``n_images``, ``n_seeds`` with
        a kappa; means over seeds; best accuracy first.
    """
    frame = results.scores(study, dataset, "image", "accuracy")
    frame = results.with_one_fusion(frame[frame["kind"] != "control"])
    rows = study.predictions
    rows = rows[(rows["dataset"] == dataset) & (rows["split"] == "test")]
    rows = rows.assign(right=rows["label"] == rows["predicted_label"])
    answers: list[tuple[str, dict[int, pd.Series]]] = []
    for method in frame.to_dict("records"):
        own = rows[(rows[PLACE] == [method[name] for name in PLACE]).all(axis=1)]
        by_seed = {int(str(seed)): part.set_index("image_id")["right"] for seed, part in
                   own.groupby("seed")}  # fmt: skip
        answers.append((str(method["label"]), by_seed))
    found = [
        {"label": label, "rival": rival} | told
        for (label, own), (rival, other) in combinations(answers, 2)
        if (told := _between(study, dataset, own, other))
    ]
    columns = ["label", "rival", "accuracy", "rival_accuracy", "observed", "expected", "kappa",
               "low", "high", "n_images", "n_seeds"]  # fmt: skip
    return pd.DataFrame(found, columns=columns)


def _between(
    study: Study, dataset: str, own: dict[int, pd.Series], other: dict[int, pd.Series]
) -> dict[str, Any]:
    """Means over the seeds that both have, with the interval of the mean; nothing without any."""
    found, drawn, images = [], [], set()
    for seed in sorted(set(own) & set(other)):
        first, second = own[seed].align(other[seed], join="inner")
        right, rival = first.to_numpy(bool), second.to_numpy(bool)
        if not len(right):
            continue
        group_of = groups_of(study, dataset, first.index)
        draws = kappa(right, rival, draw_groups(group_of, BOOTSTRAP_SEED))
        told, a, b = estimate(draws), right.mean(), rival.mean()
        shares = {"accuracy": a, "rival_accuracy": b, "observed": (right == rival).mean()}
        ends = {"expected": a * b + (1 - a) * (1 - b), "low": told.low, "high": told.high}
        drawn += [draws] if np.isfinite(told.value) else []
        images.add(tuple(first.index))
        found.append(shares | ends | {"kappa": told.value, "n_images": len(right)})
    if not found:
        return {}
    frame = pd.DataFrame(found)
    counts = {"n_images": int(frame["n_images"].max()), "n_seeds": int(frame["kappa"].count())}
    means = {str(key): float(value) for key, value in frame.mean().items()}
    if drawn and len(images) == 1:
        told = estimate(np.mean(drawn, axis=0))
        means |= {"low": told.low, "high": told.high}
    return means | counts
