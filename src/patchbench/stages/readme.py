"""Fill the tables of README.md and docs/ from the code and from studies that were run."""

import argparse
import json
import math
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from patchbench.cost import Work
from patchbench.errors import UserError
from patchbench.io import read_json
from patchbench.machine import DIRTY
from patchbench.readme import (
    SECTIONS,
    captions,
    fill,
    map_table,
    method_table,
    parts_table,
    result_table,
    summary,
    sweep_table,
)
from patchbench.study import open_study
from patchbench.table_docs import tables_page

# written by hand but for the blocks between markers
PAGES = ("README.md", "docs/results.md", "docs/methods.md")
# these show photographs, so they are taken only where the licence lets us
WITH_PHOTOGRAPHS = ("dataset_overview", "embedding_map", "overlays")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--study", type=Path, nargs="*", default=[], help="folders of studies")
    parser.add_argument("--root", type=Path, default=Path(), help="folder of README.md")


def run(args: argparse.Namespace) -> Work:
    """Keep what the studies tell under ``docs/``, then rewrite the tables."""
    for folder in args.study:
        study = open_study(folder)
        told = summary(study)
        drawn = read_json(folder / "figures/draw.cost.json")["commit"]
        told["run"]["commits"] = sorted({*told["run"]["commits"], drawn})
        if any(commit.endswith(DIRTY) for commit in told["run"]["commits"]):
            raise UserError(f"{folder} was run with uncommitted changes; commit and run it again")
        free = [name for name, data in study.datasets.items() if "CC" in data["licence"]]
        keep(folder, told, free, args.root)
    for page, text in filled(args.root).items():
        (args.root / page).write_text(text, encoding="utf-8")
    (args.root / "docs/tables.md").write_text(tables_page(), encoding="utf-8")
    return Work(1, "page")


def keep(folder: Path, told: dict[str, object], free: list[str], root: Path) -> None:
    """Copy a study's numbers, and those of its figures that a page shows, to ``docs/``."""
    path = root / "docs/results" / f"{told['study']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain(told), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    shown = pictures(root)
    for picture in sorted((folder / "figures").glob("*/*.png")):
        target = root / f"docs/figures/{told['study']}/{picture.parent.name}/{picture.name}"
        allowed = picture.stem not in WITH_PHOTOGRAPHS or picture.parent.name in free
        if target.resolve() in shown and allowed:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(picture, target)


def plain(value: Any) -> Any:
    """What is not known as null, since NaN is no JSON.

    >>> plain({"auc": [0.5, float("nan")]})
    {'auc': [0.5, None]}
    """
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def pictures(root: Path) -> set[Path]:
    """The files of all pictures that the pages show."""
    return {
        ((root / page).parent / source).resolve()
        for page, text in _texts(root).items()
        for source in re.findall(r'src="([^":]+)"', text)
    }


def filled(root: Path) -> dict[str, str]:
    """Every page with its tables as the code and ``docs/results`` have them now."""
    texts = _texts(root)
    blocks = {section: method_table(section) for section in SECTIONS}
    for path in sorted((root / "docs/results").glob("*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        blocks[f"results {told['study']}"] = result_table(told)
        if told["maps"]:
            blocks[f"maps {told['study']}"] = map_table(told)
        if told.get("parts"):
            blocks[f"parts {told['study']}"] = parts_table(told)
        if told["sweeps"]:
            blocks[f"detectors {told['study']}"] = sweep_table(told)
    return fill(texts, blocks | captions("".join(texts.values())))


def _texts(root: Path) -> dict[str, str]:
    return {page: (root / page).read_text(encoding="utf-8") for page in PAGES}
