"""Lay a study out as one self-contained HTML page.

Pictures are embedded, styles and scripts are inline, and a content security policy forbids
every request and every script but these, so the page works from disk and shows what users named
without running it.
"""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from patchbench import (
    cost_results,
    map_results,
    plan_figures,
    plugins,
    scaling_results,
    sweep_results,
)
from patchbench import results_table as results
from patchbench.readme import without_empty
from patchbench.report import methods, tested
from patchbench.report.browser import browser_data
from patchbench.report.finding import findings, gaps
from patchbench.study import NONE, Study

# figures in the order a reader wants them; others follow by name
FIGURE_ORDER = (
    "published_values",
    "critical_difference",
    "fusion_comparison",
    "fusion_matrix",
    "position_weights",
    "roc_curves",
    "class_auc",
    "confusion_matrix",
    "reliability",
    "auc_against_patch_size",
    "published_patch_sizes",
    "auc_against_runtime",
    "costs",
    "scaling",
    "detector_sweep",
    "background_votes",
    "overlays",
    "shuffle_curves",
    "blackout_curves",
    "parts_interaction",
    "seed_spread",
    "error_consistency",
    "embedding_map",
    "loss_curves",
    "dataset_overview",
)
# column, heading, what it means, digits after the point (None: text)
COLUMNS: tuple[tuple[str, str, str, int | None], ...] = (
    ("dataset", "Dataset", "entry of the config's datasets", None),
    ("encoder", "Encoder", "what describes a patch; for a whole-image network, its name", None),
    ("classifier", "Classifier", "what turns a patch's description into class scores", None),
    ("detector", "Detector", "what dropped noisy patches from training", None),
    ("fusion", "Fusion", "rule that joins the votes of an image's patches", None),
    ("image_auc", "Image AUC", "area under the ROC curve of image decisions, mean over classes", 3),
    ("interval", "95 % interval", "of the image AUC; bootstrap over test images", 3),
    ("patch_auc", "Patch AUC", "the same for single patches, each scored by its image's label", 3),
    ("auc_micro", "Micro AUC", "all classes' probabilities of all images in one list", 3),
    ("accuracy", "Accuracy", "share of test images decided rightly", 3),
    ("balanced_accuracy", "Balanced accuracy", "mean of that share over classes", 3),
    ("log_loss", "Log loss", "mean negative log-probability of the true class, nats", 3),
    ("brier", "Brier score", "squared distance of probabilities from the truth, 0 to 2", 3),
    ("ece", "ECE", "expected calibration error: how far confidence and accuracy lie apart", 3),
    ("train_s", "Training, s", "fitting the encoder and the classifier; elapsed", 1),
    (
        "inference_ms_per_image",
        "Inference, ms",
        "per image: encode, classify, fuse by one rule; elapsed, after the warm-up",
        2,
    ),
    (
        "spread",
        "5 to 95 %, ms",
        "of inference: percentiles over pieces of the work, stages added up; sorts by width",
        2,
    ),
    ("patches", "Patches", "entry of the config's patches; whole-image for a network", None),
    ("seed", "Seed", "seed of everything fitted", 0),
    ("n_images", "Test images", "images behind the metrics", 0),
)
# columns that show two of the table behind, as a range
RANGES = {"interval": ("low", "high"), "spread": ("inference_ms_low", "inference_ms_high")}
N_FIRST = 60  # result rows laid out before a reader asks for more
# run together; the first is on every page
SCRIPTS = (("table.js",), ("layers.js", "browser.js"))
MIME = {".svg": "image/svg+xml", ".png": "image/png"}


def render(study: Study, figures: Path) -> str:
    """Lay out the whole page; ``figures`` holds ``DATASET/FIGURE.{svg,png}``."""
    environment = Environment(
        loader=PackageLoader("patchbench", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["flat"] = flat
    columns, rows = result_rows(study)
    asked: dict[str, list[str]] = {}
    for dataset, figure in plan_figures.figures(study.run["config"]):
        asked.setdefault(dataset, []).append(figure)
    page = environment.get_template("template.html").render(
        study=study,
        run=study.run,
        findings=findings(study),
        maps={name: _maps(study, name) for name in study.datasets},
        sweeps={name: _sweep(study, name) for name in study.datasets},
        tests={name: tested.table(study, name) for name in study.datasets},
        gaps=gaps(study),
        scaling=scaling_results.section(study),
        browser=(browsed := browser_data(study)),
        n_seeds=study.metrics["seed"].nunique(),
        scripts=[_source(*names) for names in SCRIPTS if browsed or names == SCRIPTS[0]],
        columns=columns,
        rows=rows,
        n_first=N_FIRST,
        pictures={
            name: pictures(figures / name, name, asked.get(name, []))
            for name in sorted({*study.datasets, *asked})
        },
        costs=cost_table(study),
        machines=cost_results.machines(study),
        splits=methods.splits,
        patches=methods.patches(study),
        fact=methods.fact,
        method_groups=methods.groups(study),
        statistics=methods.statistics(study),
        config=yaml.safe_dump(study.run.get("config", {}), allow_unicode=True),
    )
    return str(page)


def _source(*names: str) -> dict[str, str]:
    """A script of the page, and the hash by which its content security policy knows it."""
    folder = Path(__file__).parent
    text = "".join((folder / name).read_text(encoding="utf-8") for name in names)
    digest = b64encode(sha256(text.encode()).digest()).decode("ascii")
    return {"text": text, "hash": f"sha256-{digest}"}


def _maps(study: Study, dataset: str) -> dict[str, Any] | None:
    """How faithful maps are, as a table; None where nothing was explained."""
    rows = [map_results.cells(row) for row in map_results.table(study, dataset)]
    head, rows = without_empty(["Network, map", *map_results.HEAD], rows)
    return {"head": head, "rows": rows} if rows else None


def _sweep(study: Study, dataset: str) -> dict[str, Any] | None:
    """What ignoring noisy patches does on a dataset, as a table; None where no detector ran."""
    answer = sweep_results.answer(study, dataset)
    if answer is None:
        return None
    rows = [sweep_results.cells(row) for row in sweep_results.table(study, dataset)]
    head, rows = without_empty(["Detector", *sweep_results.HEAD], rows)
    return {
        "method": f"{answer.method['label']}, {answer.method['fusion']}",
        "share": f"{100 * answer.share:.0f} %",
        "head": head,
        "rows": rows,
    }


def result_rows(study: Study) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Columns and rows of the result table, each cell with its text and what to sort by."""
    frame = results.wide(study)
    hidden = {"detector"} if set(frame["detector"]) <= {NONE} else set()
    hidden |= {"spread"} if frame["inference_ms_low"].isna().all() else set()
    hidden |= {"dataset"} if frame["dataset"].nunique() == 1 else set()  # small screens are narrow
    shown = [column for column in COLUMNS if column[0] not in hidden]
    heads = [
        {"key": key, "name": name, "help": text, "number": digits is not None}
        for key, name, text, digits in shown
    ]
    rows = [
        {
            "kind": record["kind"],
            "controls": [
                part
                for part in ("encoder", "classifier", "fusion")
                if results.is_control(study, f"{part}s", str(record[part]))
            ],
            "cells": [_cell(record, key, digits) for key, _, _, digits in shown],
        }
        for record in frame.to_dict("records")
    ]
    return heads, rows


def _cell(record: Mapping[Any, Any], key: str, digits: int | None) -> dict[str, str]:
    """``text`` to show and ``sort`` value; both empty where there is no value."""
    if key in RANGES:
        low, high = (record[end] for end in RANGES[key])
        if pd.isna(low) or pd.isna(high):
            lacking = key == "interval" and not pd.isna(record["image_auc"])
            return {"text": "no interval" if lacking else "", "sort": ""}
        return {"text": f"{low:.{digits}f} to {high:.{digits}f}", "sort": f"{high - low:.6g}"}
    value = record[key]
    if value is None or pd.isna(value):
        return {"text": "", "sort": ""}
    if digits is None:
        return {"text": str(value), "sort": str(value)}
    return {"text": f"{value:,.{digits}f}", "sort": f"{value:.9g}"}


def cost_table(study: Study) -> dict[str, list[Any]]:
    """What each stage took, as text: head and rows, without columns that say nothing."""
    frame = cost_results.by_stage(study)
    text = [[_short(value) for value in row] for row in frame.itertuples(index=False)]
    head, rows = without_empty(list(cost_results.COLUMNS.values()), text)
    numeric = frame.select_dtypes("number")
    numbers = {name for key, name in cost_results.COLUMNS.items() if key in numeric}
    return {"head": [{"name": name, "number": name in numbers} for name in head], "rows": rows}


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def pictures(folder: Path, dataset: str, figures: list[str]) -> list[dict[str, Any]]:
    """The figures of one dataset in order: name, caption, and the picture itself or None."""
    rank = {name: i for i, name in enumerate(FIGURE_ORDER)}
    names = sorted(figures, key=lambda name: (rank.get(name, 99), name))
    return [
        {
            "name": name,
            "title": f"{name.replace('_', ' ')}, {dataset}",
            "caption": plugins.load("figures", name).CAPTION,
            "data": data_uri(folder, name),
        }
        for name in names
    ]


def data_uri(folder: Path, name: str) -> str | None:
    """Embed the smaller of a figure's SVG and PNG as a data URI; None where neither exists."""
    paths = [path for suffix in MIME if (path := folder / f"{name}{suffix}").is_file()]
    if not paths:
        return None
    smallest = min(paths, key=lambda path: path.stat().st_size)
    text = b64encode(smallest.read_bytes()).decode("ascii")
    return f"data:{MIME[smallest.suffix]};base64,{text}"


def flat(value: Any) -> str:
    """Write a setting in one line: a mapping as ``key: value, ...``, a list joined by commas."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {flat(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(flat(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
