"""What a study found, in plain sentences made from its numbers.

Nothing is stated that the tables do not hold: a missing network, interval or time is said to
be missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from patchbench import parts_results, runtimes
from patchbench import results_table as results
from patchbench.ranks import ALPHA
from patchbench.report import fusion, noise, published, tested, undefined
from patchbench.seed_means import SeedMeans
from patchbench.study import WHOLE_IMAGE, Study

Row = Mapping[str, Any]
# tables that a study asks for, the list of the config that does, and what they are
_OPTIONAL = (
    ("sweep", "detectors", "no noisy-patch detector was run"),
    ("faithfulness", "explain", "no map was made of where networks look"),
    ("experiments", "experiments", "no patch, channel or place was changed to see what it carries"),
)
FEW = 10  # test images of a class, below which intervals by resampling say little


@dataclass(frozen=True)
class Finding:
    """What is said of one dataset."""

    dataset: str
    sentences: list[str] = field(default_factory=list)
    best: dict[str, Any] | None = None
    network: dict[str, Any] | None = None


def findings(study: Study) -> list[Finding]:
    """One finding per dataset, in order of name."""
    return [_finding(study, dataset) for dataset in sorted(study.datasets)]


def _finding(study: Study, dataset: str) -> Finding:
    asked = results.scores(study, dataset, "image")
    frame = asked[asked["value"].notna()]
    best, network = (results.best_on_val(study, dataset, frame, kind) for kind in ("patch", "cnn"))
    control = _first(frame[frame["kind"] == "control"])
    sentences = _about_best(study, frame, best) or [
        _unscored(study, dataset, asked, "patch") or "No patch method has a result on this dataset."
    ]
    if network is None:
        sentences.append(
            _unscored(study, dataset, asked, "cnn")
            or "No whole-image network was run here, so nothing can be said of the loss."
        )
    else:
        sentences.append(
            f"The whole-image network {network['encoder']} reaches {auc_text(network)}."
        )
    if best is not None and network is not None:
        sentences[-1] += " " + _difference_text(study, dataset, best, network)
        sentences += _runtime_text(study, dataset, best, network)
        sentences += _memory_text(study, dataset, best, network)
    sentences.append(_floor_text(control))
    sentences += fusion.sentences(study, dataset, best)
    sentences += noise.sentences(study, dataset)
    sentences += parts_results.sentences(study, dataset)
    sentences += published.sentences(study, dataset)
    return Finding(dataset, sentences, best, network)


def _first(rows: pd.DataFrame) -> dict[str, Any] | None:
    return None if rows.empty else {str(k): v for k, v in rows.iloc[0].items()}


def _unscored(study: Study, dataset: str, asked: pd.DataFrame, kind: str) -> str | None:
    """That methods of a kind have run but have no score, and why; None where none has run."""
    methods = asked[asked["kind"] == kind]
    if methods.empty:
        return None
    names = ", ".join(dict.fromkeys(methods["label"]))
    place = [*results.METHOD, "fusion"]
    own = study.metrics[study.metrics["dataset"] == dataset].merge(methods[place], on=place)
    own = own[(own["metric"] == "auc_macro") & (own["level"] == "image") & own["value"].isna()]
    why = next(iter(own["reason"].dropna()), "not defined")
    return f"{names}: run, but the AUC-ROC of images is {why}."


def _about_best(study: Study, frame: pd.DataFrame, best: Row | None) -> list[str]:
    if best is None:
        return []
    n_tried = int((frame["kind"] == "patch").sum())
    text = (
        f"The patch method of choice is {best['encoder']} {results.by_whom(best)} and the "
        f"fusion rule {best['fusion']}"
    )
    if len(results.entries(study, "patches")) > 1:
        text += f" on {best['patches']} patches"
    text += f": {auc_text(best)} on {int(best['n_images'])} test images."
    if n_tried > 1 and not np.isnan(best["val_auc"]):
        text += f" It was chosen on val, as the best of {n_tried} combinations."
    elif n_tried > 1:
        text += (
            f" It was picked as the best of {n_tried} combinations on these same images, for want "
            "of predictions on val, so its value is optimistic."
        )
    return [text]


def auc_text(row: Row) -> str:
    """``AUC-ROC 0.912 (95 % interval 0.890 to 0.931)``, as far as it is known."""
    text = f"AUC-ROC {row['value']:.3f}"
    if pd.isna(row["low"]) or pd.isna(row["high"]):
        return f"{text} (no interval)"
    seeds = f", mean of {int(row['n_seeds'])} seeds" if row["n_seeds"] > 1 else ""
    if seeds and not pd.isna(row.get("sd")):
        seeds += f" with a standard deviation of {row['sd']:.3f}"
    return f"{text} (95 % interval {row['low']:.3f} to {row['high']:.3f}{seeds})"


def _difference_text(study: Study, dataset: str, best: Row, network: Row) -> str:
    told = tested.sentence(study, dataset, best, network)
    if told is not None:
        return told
    text = tested.apart_text(best["value"] - network["value"])
    found = SeedMeans(study, dataset).difference(best, network)
    if found is None or np.isnan(found.value):
        return f"{text}; without predictions of both on the same images no test can be made."
    if np.isnan(found.p):
        return f"{text}; draws of test images do not tell how sure that is ({found.reason})."
    how = tested.interval_text({"low": found.low, "high": found.high})
    if found.p < ALPHA:
        return f"{text}, more than chance in the choice of test images explains ({how})."
    return f"{text}; on this many test images the two cannot be told apart ({how})."


def _runtime_text(study: Study, dataset: str, best: Row, network: Row) -> list[str]:
    times = runtimes.mean_runtime(study, dataset)
    own, other = (_times_of(times, row) for row in (best, network))
    parts = []
    for column, what, unit in (
        ("train_s", "training took", "s"),
        ("inference_ms_per_image", "deciding an image takes (its patches cut already)", "ms"),
    ):
        a, b = own.get(column, np.nan), other.get(column, np.nan)
        if not (pd.isna(a) or pd.isna(b)) and b > 0:
            told = f"{what} {_3(a)} {unit}, {_ratio(a, b)} times the network's {_3(b)} {unit}"
            parts.append(told)
    if not parts:
        return ["Runtimes were not recorded for both, so they are not compared."]
    text = "; ".join(parts)
    return [f"{text[0].upper()}{text[1:]}."]


def _memory_text(study: Study, dataset: str, best: Row, network: Row) -> list[str]:
    """The largest memory of any job, of the machine and, where one was used, of its GPU."""
    peaks = runtimes.peak_memory(study)
    peaks = peaks[peaks["dataset"] == dataset]
    own, other = (_largest(peaks, row) for row in (best, network))
    parts = []
    for column, where in (("peak_rss_mib", ""), ("peak_gpu_mib", " of the GPU")):
        a, b = own[column], other[column]
        if not (pd.isna(a) or pd.isna(b)) and b > 0:
            parts.append(f"{a:,.0f} MiB{where}, {_ratio(a, b)} times the network's {b:,.0f} MiB")
    return [f"Its jobs held at most {'; '.join(parts)}."] if parts else []


def _largest(peaks: pd.DataFrame, row: Row) -> "pd.Series[float]":
    return _of_method(peaks, row)[["peak_rss_mib", "peak_gpu_mib"]].astype(float).max()


def _of_method(frame: pd.DataFrame, row: Row) -> pd.DataFrame:
    for column in ("patches", "encoder", "classifier", "fusion"):
        frame = frame[frame[column] == row[column]]
    return frame


def _ratio(a: float, b: float) -> str:
    return f"{a / b:.2g}" if a / b < 10 else f"{a / b:.0f}"


def _3(value: float) -> str:
    """Three significant digits, never in powers of ten."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _times_of(times: pd.DataFrame, row: Row) -> dict[str, float]:
    times = _of_method(times, row)
    return {} if times.empty else {str(k): v for k, v in times.iloc[0].items()}


def _floor_text(control: Row | None) -> str:
    if control is None:
        return "Chance is 0.5; no control was run."
    return f"Chance is 0.5; the best control, {control['label'].removesuffix(' (control)')}, " + (
        f"reaches {control['value']:.3f}."
    )


def gaps(study: Study) -> list[str]:
    """List what a reader might look for and not find, and why."""
    found = list(study.run.get("left_out", []))
    found += undefined.gaps(study)
    for dataset in sorted(study.datasets):
        rows = study.metrics[study.metrics["dataset"] == dataset]
        if rows.empty:
            found.append(f"{dataset}: no results")
        elif not (rows["patches"] == WHOLE_IMAGE).any():
            found.append(f"{dataset}: no whole-image network was run")
        counts = study.datasets[dataset].get("n_images", {}).get("test", {})
        if missing := [name for name, n_images in counts.items() if n_images == 0]:
            found.append(f"{dataset}: no test image of {', '.join(missing)}")
        if few := {name: n for name, n in counts.items() if 0 < n < FEW}:
            told = ", ".join(f"{name} ({n} test images)" for name, n in few.items())
            found.append(f"{dataset}: intervals are rough, for a class has too few images: {told}")
        if study.history[study.history["dataset"] == dataset].empty:
            found.append(f"{dataset}: nothing was trained by epochs, so there are no loss curves")
    times = runtimes.runtime(study)
    unknown = times[times[["train_s", "inference_ms_per_image"]].isna().any(axis=1)]
    for row in unknown.drop_duplicates(["dataset", "patches", "encoder"]).to_dict("records"):
        found.append(f"{row['dataset']}: a runtime of {row['encoder']} was not recorded")
    found += tested.gaps(study)
    asked = study.run.get("config", {}).get("benchmark", {})
    for table, key, what in _OPTIONAL:
        if getattr(study, table).empty:
            why = (
                "its table is empty"
                if asked.get(key)
                else f"benchmark.{key} of the config is empty"
            )
            found.append(f"{what}: {why}")
    return found
