"""From a study's tables to the tables people read: scores, and one wide row per result.

Pure functions of a `Study`; figures and the report only show what is computed here. A value
that cannot be computed is NaN, never 0.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from patchbench.auc import macro_auc
from patchbench.evaluation import preferred_fusion
from patchbench.runtimes import DECIDED, RUN, TIMES, runtime
from patchbench.study import NONE, WHOLE_IMAGE, Study

METHOD = ["patches", "encoder", "classifier", "detector"]
CHANCE_AUC = 0.5
_METRICS = ("auc_micro", "accuracy", "balanced_accuracy", "log_loss", "brier", "ece")

# ------------------------------------------------------------------------------ kinds, names


def kind(study: Study, patches: str, encoder: str, classifier: str, fusion: str = NONE) -> str:
    """``"cnn"`` for a whole-image network, ``"control"``, or ``"patch"`` for a method on trial."""
    if patches == WHOLE_IMAGE:
        return "cnn"
    named = (("encoders", encoder), ("classifiers", classifier), ("fusions", fusion))
    if any(is_control(study, group, name) for group, name in named):
        return "control"
    return "patch"


def is_control(study: Study, group: str, name: str) -> bool:
    """Whether entry ``name`` of ``group`` (``"encoders"``, ...) is a control."""
    return bool(study.methods.get(group, {}).get(name, {}).get("control", False))


def entries(study: Study, column: str) -> list[str]:
    """Names in a column of the metrics that belong to patch methods, sorted."""
    values = study.metrics[column][study.metrics["patches"] != WHOLE_IMAGE]
    return sorted(str(name) for name in values.unique())


def on_trial(study: Study, group: str) -> list[str]:
    """Entries of ``"encoders"`` or ``"classifiers"`` in the study that are no controls."""
    names = entries(study, group.removesuffix("s"))
    return [name for name in names if name != NONE and not is_control(study, group, name)]


def label(study: Study, method: Mapping[str, Any], *, with_patches: bool = True) -> str:
    """Short name of a method: its encoder, and only those other parts that vary.

    The classifier is named where its encoder was tried with several, patches where the study has
    several; see also :func:`common_classifier`.
    Without ``with_patches``, the same name at every patch size.
    """
    encoder, classifier = str(method["encoder"]), str(method["classifier"])
    if method["patches"] == WHOLE_IMAGE:
        return f"{encoder} (whole image)"
    if is_control(study, "classifiers", classifier):
        return f"{classifier} (control)"
    if is_control(study, "encoders", encoder):
        return f"{encoder} (control)"
    parts = [encoder]
    if classifier == NONE:
        parts.append("pooled")
    elif len(_tried(study, encoder)) > 1:
        parts.append(classifier)
    if with_patches and len(entries(study, "patches")) > 1:
        parts.append(str(method["patches"]))
    if method["detector"] != NONE:
        parts.append(str(method["detector"]))
    return " · ".join(parts)


def by_whom(method: Mapping[str, Any]) -> str:
    """Which classifier votes for a patch method, in words."""
    if method["classifier"] == NONE:
        return "without a patch classifier"
    return f"with {method['classifier']}"


def common_classifier(study: Study) -> str | None:
    """The one classifier of all methods whose label names none; None where they differ."""
    tried = [_tried(study, encoder) for encoder in entries(study, "encoder")]
    unnamed = {found[0] for found in tried if len(found) == 1}
    return unnamed.pop() if len(unnamed) == 1 else None


def _tried(study: Study, encoder: str) -> list[str]:
    """Classifiers, without controls, that an encoder was tried with."""
    found = study.metrics.loc[study.metrics["encoder"] == encoder, "classifier"].unique()
    own = [name for name in found if name != NONE]
    return [str(name) for name in own if not is_control(study, "classifiers", name)]


# ------------------------------------------------------------------------------------ scores


def scores(study: Study, dataset: str, level: str, metric: str = "auc_macro") -> pd.DataFrame:
    """One metric per method and fusion: the mean over seeds, its interval, and their spread.

    Of several seeds the interval is that of the mean, the same images drawn for all (table
    ``seed_summary``). Where that is not known, as of patches, its ends are means over seeds: as a
    rule no narrower.

    Returns
    -------
    frame : DataFrame
        Columns of a method, ``fusion``, ``value``, ``low``, ``high``, ``sd`` (over seeds),
        ``n_images``, ``n_seeds`` (seeds with a value), ``kind``, ``label``; best first.
    """
    rows = study.metrics
    rows = rows[
        (rows["dataset"] == dataset) & (rows["level"] == level) & (rows["metric"] == metric)
    ]
    columns = [*METHOD, "fusion"]
    groups = rows.groupby(columns, sort=False)
    frame = groups.agg(
        value=("value", "mean"),
        sd=("value", "std"),
        n_images=("n_images", "max"),
        n_seeds=("value", "count"),
    )
    frame = frame.join(mean_ends(groups)).reset_index()
    if level == "image":
        frame = _with_ends_of_means(frame, study, dataset, metric)
    records = frame.to_dict("records")
    frame["kind"] = [
        kind(study, r["patches"], r["encoder"], r["classifier"], r["fusion"]) for r in records
    ]
    # the name does not depend on the rule, of which there may be many
    methods = frame[METHOD].drop_duplicates().itertuples(index=False, name=None)
    names = {m: label(study, dict(zip(METHOD, m, strict=True))) for m in methods}
    frame["label"] = [names[tuple(r[column] for column in METHOD)] for r in records]
    order = ["value", "label", "fusion"]
    return frame.sort_values(order, ascending=[False, True, True], ignore_index=True)


def mean_ends(groups: Any, *names: str) -> pd.DataFrame:
    """Means over seeds of the ends of intervals, ``low`` and ``high`` where no names are given.

    NaN where a seed has none; ``groups`` of rows, which are seeds.
    """
    ends = groups[list(names or ("low", "high"))]
    found: pd.DataFrame = ends.mean().where(ends.count().eq(groups.size(), axis=0))
    return found


def _with_ends_of_means(
    frame: pd.DataFrame, study: Study, dataset: str, metric: str
) -> pd.DataFrame:
    """Put the interval of the mean where there are several seeds and it is known."""
    rows = study.seed_summary
    rows = rows[(rows["dataset"] == dataset) & (rows["metric"] == metric)]
    if rows.empty:
        return frame
    keys = [*METHOD, "fusion", "n_seeds"]
    found = frame.merge(rows[[*keys, "low", "high"]], "left", keys, suffixes=("", "_of_mean"))
    known = (found["n_seeds"] > 1) & found.set_index(keys).index.isin(rows.set_index(keys).index)
    ends = {end: frame[end].where(~known, found[f"{end}_of_mean"]) for end in ("low", "high")}
    return frame.assign(**ends)


def val_auc(study: Study, dataset: str, method: Mapping[str, Any]) -> float:
    """Macro AUC of a method and fusion on val, seeds averaged; NaN without val predictions."""
    return val_aucs(study, dataset, pd.DataFrame([dict(method)]))[0]


def val_aucs(study: Study, dataset: str, frame: pd.DataFrame) -> list[float]:
    """That of every row of ``frame``, which has columns of a method and ``fusion``."""
    columns = [*METHOD, "fusion"]
    asked = list(frame[columns].itertuples(index=False, name=None))
    rows = study.predictions
    rows = rows[(rows["split"] == "val") & (rows["dataset"] == dataset)]
    rows = rows.merge(frame[columns].drop_duplicates(), on=columns)
    found: dict[tuple[Any, ...], list[float]] = {method: [] for method in asked}
    for key, seed in rows.groupby([*columns, "seed"], sort=False):
        labels, once = seed["label"].to_numpy(), np.ones((1, len(seed)))
        value = macro_auc(labels, np.stack(list(seed["probabilities"])), once)[0]
        found[key[:-1]].append(value)
    return [float(np.mean(found[m])) if found[m] else float("nan") for m in asked]


def best_on_val(
    study: Study, dataset: str, frame: pd.DataFrame, kind: str
) -> dict[str, Any] | None:
    """The row of :func:`scores` with the highest AUC on val, so that test only judges it.

    Its value on val is ``val_auc``. None where ``frame`` has no method of this kind. Where val does
    not tell two apart, a rule fixed beforehand does, as in :func:`with_fusion_chosen_on_val`.
    """
    rows = frame[frame["kind"] == kind]
    rows = rows.assign(val_auc=val_aucs(study, dataset, rows))
    if rows["val_auc"].notna().any():
        rows = rows.assign(fixed=rows["fusion"] == preferred_fusion(frame["fusion"]))
        order = ["val_auc", "fixed", "label", "fusion"]
        rows = rows.sort_values(order, ascending=[False, False, True, True])
    return {str(k): v for k, v in rows.iloc[0].items()} if len(rows) else None


def seed_values(study: Study, dataset: str, level: str) -> pd.DataFrame:
    """AUC of every seed by itself: the rows behind :func:`scores`."""
    rows = study.metrics
    chosen = (rows["dataset"] == dataset) & (rows["level"] == level)
    return rows[chosen & (rows["metric"] == "auc_macro") & rows["value"].notna()]


def merge_controls(frame: pd.DataFrame, *, per_patches: bool = False) -> pd.DataFrame:
    """Keep every control once per fusion, in the combination that served it best.

    With ``per_patches``, once per fusion and patches entry.

    A classifier that ignores its input, for example, scores the same with every encoder; a
    row each would only hide the methods on trial. ``frame`` is sorted, best first.
    """
    same = ["label", "fusion", *(["patches"] if per_patches else [])]
    repeated = (frame["kind"] == "control") & frame.duplicated(same)
    return frame[~repeated].reset_index(drop=True)


def with_one_fusion(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep one fusion per method: the mean of probabilities where it was run, else the first.

    Fixed beforehand rather than picked by score, so that the choice favours no method. Rules on
    embeddings are none that all methods have, so they are not kept.
    """
    votes = (frame["patches"] != WHOLE_IMAGE) & (frame["classifier"] != NONE)
    preferred = preferred_fusion(frame.loc[votes, "fusion"])
    chosen = (frame["fusion"] == preferred) | (frame["patches"] == WHOLE_IMAGE)
    return frame[chosen].reset_index(drop=True)


def with_fusion_chosen_on_val(study: Study, dataset: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Keep one fusion per method: the one with the highest AUC on val, so that test only judges.

    ``frame`` comes from :func:`scores`; its order stays.
    """
    # where val does not tell, a rule fixed beforehand does; never the order on test
    ranked = frame.assign(
        on_val=val_aucs(study, dataset, frame),
        fixed=frame["fusion"] == preferred_fusion(frame["fusion"]),
    ).sort_values(["on_val", "fixed", "fusion"], ascending=[False, False, True])
    kept = ranked.drop_duplicates(METHOD).index
    return frame.loc[sorted(kept)].reset_index(drop=True)


def at_most(frame: pd.DataFrame, n_rows: int) -> pd.DataFrame:
    """Keep the best ``n_rows`` methods; every encoder's best, CNNs and controls stay."""
    if len(frame) <= n_rows:
        return frame
    must = (frame["kind"] != "patch") | ~frame.duplicated("encoder")
    free = frame.index[~must][: max(0, n_rows - int(must.sum()))]
    return frame[must | frame.index.isin(free)].reset_index(drop=True)


# -------------------------------------------------------------------------------------- wide


def wide(study: Study) -> pd.DataFrame:
    """Every result as one row: dataset, method, fusion and seed against all metrics and times.

    Returns
    -------
    frame : DataFrame
        Columns ``dataset``, those of a method, ``fusion, seed, kind, patch_auc, image_auc,
        low, high, auc_micro, accuracy, balanced_accuracy, log_loss, brier, ece, n_images, train_s,
        inference_ms_per_image, inference_ms_low, inference_ms_high``; best image AUC first within
        a dataset.
    """
    metrics = study.metrics
    index = ["dataset", *METHOD, "fusion", "seed"]
    image = metrics[metrics["level"] == "image"]
    auc = image[image["metric"] == "auc_macro"].drop(columns=["level", "metric"])
    frame = auc.rename(columns={"value": "image_auc"})
    for metric in _METRICS:
        other = image[image["metric"] == metric][[*index, "value"]]
        frame = frame.merge(other.rename(columns={"value": metric}), on=index, how="left")
    patch = metrics[(metrics["level"] == "patch") & (metrics["metric"] == "auc_macro")]
    patch = patch[[*RUN, "detector", "value"]].rename(columns={"value": "patch_auc"})
    frame = frame.merge(patch, on=[*RUN, "detector"], how="left")
    frame = frame.merge(runtime(study), on=DECIDED, how="left")
    frame["kind"] = [
        kind(study, r["patches"], r["encoder"], r["classifier"], r["fusion"])
        for r in frame.to_dict("records")
    ]
    measures = ["patch_auc", "image_auc", "low", "high", *_METRICS, "n_images"]
    frame = frame[[*index, "kind", *measures, *TIMES]]
    order = ["dataset", "image_auc", *METHOD, "fusion", "seed"]
    ascending = [name != "image_auc" for name in order]
    return frame.sort_values(order, ascending=ascending, ignore_index=True)
