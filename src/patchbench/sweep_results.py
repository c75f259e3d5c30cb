"""What the sweep of noisy-patch detectors found, as figures and the report read it.

Pure functions of a `Study`, as in ``results_table``; seeds are averaged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from patchbench import plugins, runtimes
from patchbench import results_table as results
from patchbench.markdown import with_interval
from patchbench.paired import holm
from patchbench.study import NONE, Study

RANDOM, ORACLE, GRAD_CAM = "random", "oracle_mask", "gradcam"
FRACTION = 0.5  # share at which detectors are compared, fixed before any of them ran
ALPHA = 0.05
METHOD = ["patches", "encoder", "classifier"]
_STEP = [*METHOD, "detector", "use", "applied", "fraction"]
_ENDS = (
    *("low", "high", "difference_low", "difference_high"),
    *("random_difference_low", "random_difference_high"),
)
_MEANS = (
    *("value", "difference", "random_difference"),
    *("removed_train", "removed_test", "fit_s"),
)
# single patches; images by the mean of probabilities, or by the rule that is best on val
PATCH, IMAGE, FUSED = "patch", "image", "fused"


def kind_of(study: Study, detector: str) -> str:
    """File name of a detector entry's plug-in, which may differ from the entry's own name."""
    entries = study.run.get("config", {}).get("detectors", {})
    return str((entries.get(detector) or {}).get("type", detector))


def is_control(study: Study, detector: str) -> bool:
    """Whether a detector entry is a control, as chance and the true masks are."""
    kind = kind_of(study, detector)
    if kind not in plugins.available("detectors"):
        return False  # drawn from tables of a plug-in that is no longer there
    return bool(plugins.load("detectors", kind).Detector.control)


def steps(study: Study, dataset: str, level: str = FUSED) -> pd.DataFrame:
    """Every step of the sweep, a row each; detector "none" keeps everything.

    Parameters
    ----------
    level : str
        Decisions by the rule that is best on val (`FUSED`), by the mean of probabilities
        (`IMAGE`), or of single patches (`PATCH`).

    Returns
    -------
    frame : DataFrame
        Columns of a method, ``detector``, ``use``, ``applied``, ``fraction``, ``fusion``; means
        over seeds of values, differences and the ends of their intervals; ``sd`` of the values
        over seeds; ``p``, ``random_p`` (the largest of the seeds, 1 where seeds differ in sign);
        ``n_by_floor``, ``n_images``, ``n_seeds``, ``label`` of the method.
    """
    rows = study.sweep
    rows = rows[(rows["dataset"] == dataset) & (rows["level"] == level)]
    groups = rows.groupby(_STEP, sort=False, dropna=False)
    frame = groups.agg(
        **{name: (name, "mean") for name in _MEANS},
        **{name: (name, "max") for name in ("p", "random_p")},
        sd=("value", "std"),
        fusion=("fusion", lambda names: ", ".join(sorted(set(names)))),
        n_by_floor=("n_by_floor", "max"),
        n_images=("n_images", "max"),
        n_seeds=("value", "count"),
    )
    for prefix in ("", "random_"):
        apart = groups[f"{prefix}difference"].agg(["min", "max"])
        frame.loc[(apart["min"] < 0) & (apart["max"] > 0), f"{prefix}p"] = 1.0
    frame = frame.join(results.mean_ends(groups, *_ENDS)).reset_index()
    methods = frame[list(METHOD)].drop_duplicates().to_dict("records")
    labels = {tuple(method.values()): method_label(study, method) for method in methods}
    keys = frame[list(METHOD)].itertuples(index=False, name=None)
    frame["label"] = [labels[key] for key in keys]
    return frame


def method_label(study: Study, method: Mapping[Any, Any]) -> str:
    """Short name of a swept method; of a control, without saying so."""
    named: dict[str, Any] = {str(key): value for key, value in method.items()}
    return results.label(study, named | {"detector": NONE}).removesuffix(" (control)")


def swept(study: Study, dataset: str, level: str = FUSED) -> list[dict[str, Any]]:
    """Swept methods, those on trial before controls, then by their AUC with all patches kept."""
    frame = steps(study, dataset, level)
    plain = frame[(frame["detector"] == NONE) & frame["value"].notna()]
    found = [{str(k): v for k, v in row.items()} for row in plain.to_dict("records")]

    def rank(row: Mapping[str, Any]) -> tuple[bool, float, str]:
        kind = results.kind(study, row["patches"], row["encoder"], row["classifier"])
        return kind == "control", -float(row["value"]), str(row["label"])

    return sorted(found, key=rank)


def of_method(frame: pd.DataFrame, method: Mapping[str, Any]) -> pd.DataFrame:
    """Rows of one method."""
    for column in METHOD:
        frame = frame[frame[column] == method[column]]
    return frame


@dataclass(frozen=True)
class Answer:
    """What dropping one share of the patches does to one method.

    Attributes
    ----------
    method : dict
        The swept method that is best with all patches kept, a row of `swept`.
    share : float
        The swept share that is nearest to `FRACTION`.
    rows : DataFrame
        Rows of `steps` at that share, a row per detector and place.
    """

    method: dict[str, Any]
    share: float
    rows: pd.DataFrame

    def applied(self, place: str) -> pd.DataFrame:
        """Rows of one place: ``train``, ``test`` or ``both``."""
        return self.rows[self.rows["applied"] == place]


def answer(study: Study, dataset: str, level: str = FUSED) -> Answer | None:
    """The answer for a dataset; None where nothing was swept.

    The method is the same whatever the ``level`` of decisions; see `steps`.
    """
    best = swept(study, dataset)
    methods = [m for m in swept(study, dataset, level) if _same_method(m, best[0])]
    if not methods:
        return None
    rows = of_method(steps(study, dataset, level), methods[0])
    rows = rows[(rows["use"] == "filter") & (rows["detector"] != NONE)]
    if rows.empty:
        return None
    shares = np.unique(rows["fraction"])
    share = float(shares[np.argmin(np.abs(shares - FRACTION))])
    return Answer(methods[0], share, rows[rows["fraction"] == share])


def _same_method(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one[column] == other[column] for column in METHOD)


def judged(study: Study, rows: pd.DataFrame) -> pd.DataFrame:
    """Detectors that are no controls, with p adjusted over them; highest AUC first.

    Parameters
    ----------
    rows : DataFrame
        One row per detector: one method, one place, one share.

    Returns
    -------
    frame : DataFrame
        With columns ``p_adjusted`` (against keeping all) and ``random_p_adjusted``, and bool
        ``better`` and ``random_better``, ``worse`` than keeping all; detectors whose
        differences are not known are left out.
    """
    control = [is_control(study, name) for name in rows["detector"]]
    known = rows[["p", "random_p", "difference", "random_difference"]].notna().all(axis=1)
    own = rows[known & ~np.array(control, dtype=bool)]
    own = own.assign(
        p_adjusted=holm(own["p"].to_numpy()), random_p_adjusted=holm(own["random_p"].to_numpy())
    )
    own = own.assign(
        better=(own["difference"] > 0) & (own["p_adjusted"] < ALPHA),
        random_better=(own["random_difference"] > 0) & (own["random_p_adjusted"] < ALPHA),
        worse=(own["difference"] < 0) & (own["p_adjusted"] < ALPHA),
    )
    return own.sort_values(["difference", "detector"], ascending=[False, True], ignore_index=True)


def table(study: Study, dataset: str) -> list[dict[str, Any]]:
    """The answer as a table, a row per detector in the order of their gain, ready for JSON.

    Every row has ``detector``, ``control``, ``work_s``; ``background_auc``, ``train``, ``both``
    and ``both_plain`` are each a value with the ends of its interval, the latter three
    differences of image AUC, the last by the mean of probabilities; ``train_helps``,
    ``both_helps`` and ``both_plain_helps`` say whether it is better than keeping all patches and
    than dropping at random, after Holm's adjustment.
    """
    found, plain = answer(study, dataset), answer(study, dataset, IMAGE)
    if found is None or plain is None:
        return []
    rows: dict[str, dict[str, Any]] = {}
    for place, part in (
        ("both", found.applied("both")),
        ("train", found.applied("train")),
        ("both_plain", plain.applied("both")),
    ):
        own = part.sort_values("difference", ascending=False)
        good = judged(study, own)
        helps = set(good.loc[good["better"] & good["random_better"], "detector"])
        for step in own.to_dict("records"):
            name = str(step["detector"])
            row = rows.setdefault(
                name, {"detector": name, "control": is_control(study, name)} | _UNKNOWN
            )
            row[place] = [float(step[f"difference{end}"]) for end in ("", "_low", "_high")]
            row[f"{place}_helps"] = name in helps
    for name, row in rows.items():
        row |= _detection(study, dataset, found.method, name)
    return list(rows.values())


HELPS = "▲"
PLACES = ("train", "both", "both_plain")
_UNKNOWN = {place: [float("nan")] * 3 for place in PLACES} | {
    f"{place}_helps": False for place in PLACES
}
HEAD = (
    "finds background, AUC [95 %]",
    "dropped in training, image AUC",
    "in training and test",
    "the same by mean_probability",
    "s, maps included",
)


def cells(row: Mapping[str, Any]) -> list[str]:
    """A row of `table` as text: name of the detector, then what `HEAD` says."""
    name = row["detector"] + (" (control)" if row["control"] else "")
    differences = []
    for place in PLACES:
        text = with_interval(*row[place], sign=True)
        differences.append(f"{text} {HELPS}" if row[f"{place}_helps"] else text)
    work = row["work_s"]
    return [
        name,
        with_interval(*row["background_auc"], digits=2),
        *differences,
        "" if pd.isna(work) else f"{work:.1f}",
    ]


def _detection(
    study: Study, dataset: str, method: Mapping[str, Any], detector: str
) -> dict[str, Any]:
    """How well a detector tells background among train patches, and its seconds."""
    rows = of_method(study.detection[study.detection["dataset"] == dataset], method)
    rows = rows[(rows["detector"] == detector) & (rows["split"] == "train")]
    values = rows[["value"]].mean().to_dict() | rows[["low", "high"]].mean(skipna=False).to_dict()
    return {
        "background_auc": [float(values[end]) for end in ("value", "low", "high")],
        "work_s": seconds(study, dataset, method, detector),
    }


def seconds(study: Study, dataset: str, method: Mapping[str, Any], detector: str) -> float:
    """What a detector took: its fit and scores, and where it reads maps, these and their networks.

    Votes are there anyway, so they do not count. NaN where it was not recorded.
    """
    rows = of_method(study.detection[study.detection["dataset"] == dataset], method)
    rows = rows[(rows["detector"] == detector) & (rows["split"] == "train")]
    own = float(rows["work_s"].mean())
    if kind_of(study, detector) != GRAD_CAM:
        return own
    cnn = study.run["config"].get("noise", {}).get("cnn")
    return own + runtimes.maps_s(study, dataset, str(cnn), GRAD_CAM)
