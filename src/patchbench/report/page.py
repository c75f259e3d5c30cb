"""Lay a study out as one self-contained HTML page.

Pictures are embedded, styles and script are inline, and a content security policy forbids
every request, so the page works from disk and shows what users named without running it.
"""

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from patchbench import map_results, plan, plugins, runtimes, sweep_results
from patchbench import results_table as results
from patchbench.readme import without_empty
from patchbench.report.finding import findings, gaps
from patchbench.study import NONE, Study

# figures in the order a reader wants them; others follow by name
FIGURE_ORDER = (
    "fusion_comparison",
    "fusion_matrix",
    "position_weights",
    "roc_curves",
    "reliability",
    "auc_against_patch_size",
    "auc_against_runtime",
    "detector_sweep",
    "background_votes",
    "overlays",
    "shuffle_curves",
    "blackout_curves",
    "parts_interaction",
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
    ("accuracy", "Accuracy", "share of test images decided rightly", 3),
    ("log_loss", "Log loss", "mean negative log-probability of the true class, nats", 3),
    ("train_s", "Training, s", "fitting the encoder and the classifier; elapsed", 1),
    (
        "inference_ms_per_image",
        "Inference, ms",
        "per image: encode, classify, fuse by one rule; elapsed",
        2,
    ),
    ("patches", "Patches", "entry of the config's patches; whole-image for a network", None),
    ("seed", "Seed", "seed of everything fitted", 0),
    ("n_images", "Test images", "images behind the metrics", 0),
)
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
    for dataset, figure in plan.figures(study.run["config"]):
        asked.setdefault(dataset, []).append(figure)
    page = environment.get_template("template.html").render(
        study=study,
        run=study.run,
        findings=findings(study),
        maps={name: _maps(study, name) for name in study.datasets},
        sweeps={name: _sweep(study, name) for name in study.datasets},
        gaps=gaps(study),
        columns=columns,
        rows=rows,
        pictures={
            name: pictures(figures / name, name, asked.get(name, []))
            for name in sorted(study.datasets)
        },
        costs=cost_rows(study),
        cost_columns=list(runtimes.COST_COLUMNS.values()),
        config=yaml.safe_dump(study.run.get("config", {}), allow_unicode=True),
    )
    return str(page)


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
    shown = [column for column in COLUMNS if column[0] not in hidden]
    heads = [
        {"key": key, "name": name, "help": text, "number": digits is not None}
        for key, name, text, digits in shown
    ]
    rows = [
        {
            "kind": record["kind"],
            "cells": [_cell(record, key, digits) for key, _, _, digits in shown],
        }
        for record in frame.to_dict("records")
    ]
    return heads, rows


def _cell(record: Mapping[Any, Any], key: str, digits: int | None) -> dict[str, str]:
    """``text`` to show and ``sort`` value; both empty where there is no value."""
    if key == "interval":
        low, high = record["low"], record["high"]
        if pd.isna(low) or pd.isna(high):
            return {"text": "", "sort": ""}
        return {"text": f"{low:.3f} to {high:.3f}", "sort": f"{high - low:.6g}"}
    value = record[key]
    if value is None or pd.isna(value):
        return {"text": "", "sort": ""}
    if digits is None:
        return {"text": str(value), "sort": str(value)}
    return {"text": f"{value:,.{digits}f}", "sort": f"{value:.9g}"}


def cost_rows(study: Study) -> list[list[dict[str, Any]]]:
    """List what each stage took, as text; empty where nothing was recorded."""
    frame = runtimes.costs_by_stage(study)
    return [
        [{"text": _short(row[name]), "number": not isinstance(row[name], str)} for name in frame]
        for row in frame.to_dict("records")
    ]


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
