"""Fill the tables of README.md and its pages from code and results, so that they cannot drift.

``python -m patchbench readme`` rewrites what stands between markers like
``<!-- encoders:begin -->`` and ``<!-- encoders:end -->``. Tables of methods come from what the
plug-ins say of themselves, captions from the figures; tables of results from
``docs/results/<study>.json``, which ``--study`` writes from a study's folder.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from patchbench import map_results, parts_results, plugins, sweep_results
from patchbench.markdown import number, with_interval
from patchbench.results_table import (
    METHOD,
    common_classifier,
    merge_controls,
    scores,
    with_fusion_chosen_on_val,
)
from patchbench.runtimes import mean_runtime
from patchbench.study import NONE, Study

SECTIONS = {
    "datasets": "Dataset",
    "encoders": "Encoder",
    "classifiers": "Classifier",
    "fusions": "Fusion",
    "detectors": "Detector",
    "experiments": "Experiment",
    "explain": "Explain",
}


_INTERVAL = ("value", "low", "high")


def fill(pages: Mapping[str, str], blocks: Mapping[str, str]) -> dict[str, str]:
    """Replace the text between the markers of each block, on whichever pages have them.

    Raises
    ------
    ValueError
        If a block has no markers on any page.
    """
    filled = dict(pages)
    for name, content in blocks.items():
        pattern = rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)"
        replacement = rf"\g<1>{content.replace(chr(92), chr(92) * 2)}\n\g<2>"
        n_found = 0
        for page, text in filled.items():
            filled[page], n_here = re.subn(pattern, replacement, text, flags=re.DOTALL)
            n_found += n_here
        if not n_found:
            raise ValueError(f"none of {', '.join(pages)} has a block named {name!r}")
    return filled


def captions(text: str) -> dict[str, str]:
    """The caption of every figure that a page has a block for, such as "caption costs"."""
    names = re.findall(r"<!-- caption (\w+):begin -->", text)
    return {
        f"caption {name}": f"<sub>{plugins.literals('figures', name)['CAPTION']}</sub>"
        for name in names
    }


def method_table(section: str) -> str:
    """Markdown table of every plug-in of a section, from what its class says of itself."""
    rows = []
    for name in plugins.available(section):
        cls = getattr(plugins.load(section, name), SECTIONS[section])
        rows.append([f"`{name}`", *describe(section, cls)])
    head = {
        "datasets": ["dataset", "what", "masks", "licence"],
        "fusions": ["fusion", "score of a class", "works on", "blind to place", "fitted", "source"],
        "detectors": [
            "detector",
            "a patch is noise if it is",
            "for train only",
            "control",
            "source",
        ],
        "explain": ["explanation", "map", "source"],
    }.get(section, [section.removesuffix("s"), "what", "source"])
    return table(head, rows)


def describe(section: str, cls: Any) -> list[str]:
    """The cells of a plug-in's row after its name."""
    if section == "datasets":
        return [cls.summary, _yes(cls.masks), cls.licence]
    if section == "fusions":
        works_on = "votes, detector" if cls.uses == "noise" else cls.uses
        return [cls.summary, works_on, _yes(cls.order_agnostic), _yes(cls.fitted), cls.source]
    if section == "detectors":
        return [cls.summary, _yes(cls.uses_labels), _yes(cls.control), cls.source]
    return [cls.summary, cls.source]


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A markdown table.

    >>> print(table(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    head = list(head)
    lines = [head, ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    text = ["| " + " | ".join(line) + " |" for line in lines]
    text[1] = "|" + "---|" * len(head)
    return "\n".join(text)


def without_empty(
    head: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """Head and rows without the columns that no row says anything in.

    >>> without_empty(["a", "b", "c"], [["1", "", ""], ["2", "", "3"]])
    (['a', 'c'], [['1', ''], ['2', '3']])
    """
    kept = [i for i in range(len(head)) if any(row[i] for row in rows)]
    return [head[i] for i in kept], [[row[i] for i in kept] for row in rows]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def summary(study: Study) -> dict[str, Any]:
    """What README.md tells of a study, ready for JSON: its run, and a row per method.

    Every patch method stands with the fusion that was best on val, a control once, with the patches
    that served it best; seeds are averaged.
    """
    rows = []
    for dataset in study.datasets:
        frame = merge_controls(scores(study, dataset, "image"))
        frame = with_fusion_chosen_on_val(study, dataset, frame)
        frame = frame[(frame["kind"] != "control") | ~frame.duplicated("label")]
        times = mean_runtime(study, dataset)
        times = times.set_index(["patches", "encoder", "classifier", "fusion"])
        patch = scores(study, dataset, "patch").set_index(["patches", "encoder", "classifier"])
        accuracy = scores(study, dataset, "image", "accuracy").set_index([*METHOD, "fusion"])
        for row in frame.to_dict("records"):
            key = (row["patches"], row["encoder"], row["classifier"])
            rows.append(
                {
                    "dataset": dataset,
                    "method": row["label"],
                    "fusion": "" if row["fusion"] == NONE else row["fusion"],
                    "patch_auc": [float(patch[end].get(key, float("nan"))) for end in _INTERVAL],
                    "image_auc": [row[end] for end in _INTERVAL],
                    "accuracy": float(accuracy["value"][(*key, row["detector"], row["fusion"])]),
                    "train_s": float(times["train_s"][(*key, row["fusion"])]),
                    "ms_per_image": float(times["inference_ms_per_image"][(*key, row["fusion"])]),
                    "n_images": int(row["n_images"]),
                    "n_seeds": int(row["n_seeds"]),
                }
            )
    run = {key: study.run[key] for key in ("date", "host", "versions")}
    run["commits"] = study.commits
    return {
        "study": study.name,
        "run": run,
        "classifier": common_classifier(study),
        "rows": rows,
        "sweeps": [sweep for name in study.datasets if (sweep := _sweep(study, name))],
        "maps": [
            {"dataset": name, "rows": rows}
            for name in study.datasets
            if (rows := map_results.table(study, name))
        ],
        "parts": [
            {"dataset": name, "rows": rows}
            for name in study.datasets
            if (rows := parts_results.table(study, name))
        ],
    }


def _sweep(study: Study, dataset: str) -> dict[str, Any] | None:
    """What ignoring noisy patches does on a dataset; None where no detector ran."""
    answer = sweep_results.answer(study, dataset)
    if answer is None:
        return None
    method = f"{answer.method['label']}, {answer.method['fusion']}"
    about = {"method": method, "auc": answer.method["value"], "share": answer.share}
    return {"dataset": dataset, **about, "rows": sweep_results.table(study, dataset)}


def sweep_table(told: Mapping[str, Any]) -> str:
    """Markdown of what ignoring noisy patches does, a table for each dataset."""
    parts = []
    for sweep in told["sweeps"]:
        head = f"`{sweep['dataset']}`, {sweep['method']} ({sweep['auc']:.3f})"
        rows = [sweep_results.cells(row) for row in sweep["rows"]]
        parts.append(table(*without_empty([head, *sweep_results.HEAD], rows)))
    return "\n\n".join(parts)


def map_table(told: Mapping[str, Any]) -> str:
    """Markdown of how faithful maps are, a table for each dataset."""
    parts = []
    for maps in told["maps"]:
        head = f"`{maps['dataset']}`, {maps['rows'][0]['n_images']} test images"
        rows = [map_results.cells(row) for row in maps["rows"]]
        parts.append(table(*without_empty([head, *map_results.HEAD], rows)))
    return "\n\n".join(parts)


def parts_table(told: Mapping[str, Any]) -> str:
    """Markdown of what taking images apart does, a table for each dataset."""
    parts = []
    for found in told["parts"]:
        rows = [parts_results.cells(row) for row in found["rows"]]
        head = f"`{found['dataset']}`, {found['rows'][0]['n_images']} test images"
        parts.append(table(*without_empty([head, *parts_results.HEAD], rows)))
    return "\n\n".join(parts)


def result_table(told: Mapping[str, Any]) -> str:
    """Markdown of a study's summary: a table for each dataset, then where it comes from."""
    parts = []
    for dataset in dict.fromkeys(row["dataset"] for row in told["rows"]):
        rows = [row for row in told["rows"] if row["dataset"] == dataset]
        cells = [
            [
                row["method"],
                row["fusion"],
                with_interval(*row["patch_auc"]),
                with_interval(*row["image_auc"]),
                number(row["accuracy"], 3),
                number(row["train_s"], 1),
                number(row["ms_per_image"], 2),
            ]
            for row in rows
        ]
        head = [
            f"`{dataset}`, {rows[0]['n_images']} test images",
            "fusion",
            "patch AUC [95 %]",
            "image AUC [95 %]",
            "accuracy",
            "training, s",
            "ms per image",
        ]
        parts.append(table(head, cells))
    host, run = told["run"]["host"], told["run"]
    commits = ", ".join(f"`{commit}`" for commit in run["commits"])
    origin = (
        f"Study `{told['study']}`, {run['date']}, commit {commits}, {host['cpu']}, "
        f"{host['cores']} cores, {host['memory_gib']} GiB, PyTorch {run['versions'].get('torch')}; "
        f"{_seeds(rows[0]['n_seeds'])}."
    )
    if told["classifier"]:
        origin += f" Patch classifier where none is named: {told['classifier']}."
    return "\n\n".join([*parts, origin])


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n} seeds"
