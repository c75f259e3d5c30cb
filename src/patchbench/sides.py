"""One side of a comparison: a finished study, as far as it is compared.

It may have been written by another version of the program, with other columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from patchbench import tables
from patchbench.errors import UserError
from patchbench.io import DamagedFileError, read_json, read_table
from patchbench.study import NONE

METHOD = ["dataset", "patches", "encoder", "classifier", "detector", "fusion", "seed"]
ABSENT = "(absent)"
# tables that are compared as far as they go
_PARTLY_READ = ("costs", "metrics")


@dataclass(frozen=True)
class Side:
    """One of the two studies: its tables, as far as they are compared, and ``run.json``.

    Attributes
    ----------
    folder : Path
        Where it was read from.
    predictions, metrics, costs : DataFrame
        Tables ``all_predictions`` (test only), ``metrics``, ``costs``.
    run : dict
        Study, config, machine, versions, commit.
    images : DataFrame
        Table ``all_images``, whose groups are drawn together; empty in studies of before it.
    """

    folder: Path
    predictions: pd.DataFrame
    metrics: pd.DataFrame
    costs: pd.DataFrame
    run: dict[str, Any]
    images: pd.DataFrame

    @property
    def extraction(self) -> dict[str, dict[str, Any]]:
        """How many images and patches there are, by ``dataset/patches``."""
        return dict(self.run.get("extraction", {}))

    def classes(self, dataset: str) -> list[str]:
        """Names of the classes, in label order."""
        return list(self.run["datasets"][dataset]["classes"])

    def methods(self) -> list[tuple[Any, ...]]:
        """Every method that decides on test images, in the order of the table."""
        rows = self.predictions[METHOD].drop_duplicates()
        return list(rows.itertuples(index=False, name=None))


def open_sides(folder_a: Path, folder_b: Path) -> tuple[Side, Side]:
    """Open two studies, each given by its folder or by a folder of results that holds it."""
    found = [_studies(folder) for folder in (folder_a, folder_b)]
    shared = sorted(found[0].keys() & found[1].keys())
    picked = []
    for folder, studies in zip((folder_a, folder_b), found, strict=True):
        names = list(studies) if len(studies) == 1 else shared
        if len(names) != 1:
            raise UserError(
                f"{folder} holds the studies {', '.join(sorted(studies))}; give the folder of one, "
                f"for example {min(studies.values())}"
            )
        picked.append(_open(studies[names[0]]))
    return picked[0], picked[1]


def _studies(folder: Path) -> dict[str, Path]:
    """The studies that a folder is, or holds, by name."""
    if (folder / "run.json").is_file():
        return {folder.name: folder}
    for holder in (folder / "studies", folder / "results/studies"):
        found = {path.parent.name: path.parent for path in holder.glob("*/run.json")}
        if found:
            return found
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; give a study's, as results/studies/scenes")
    raise UserError(
        f"{folder} has no run.json, so it is no finished study; give a folder such as "
        "results/studies/scenes, or run snakemake to the end"
    )


def _open(folder: Path) -> Side:
    predictions = _read(folder, "predictions", "all_predictions")
    whole = (folder / "costs.parquet").is_file()  # made with the page
    return Side(
        folder,
        predictions[predictions["split"] == "test"],
        _read(folder, "metrics", "metrics"),
        _read(folder, "costs" if whole else "costs_of_runs", "costs"),
        read_json(folder / "run.json"),
        _if_there(folder, "images", "all_images"),
    )


def _if_there(folder: Path, name: str, table: str) -> pd.DataFrame:
    there = (folder / f"{name}.parquet").is_file()
    return _read(folder, name, table) if there else tables.empty(table)


def _read(folder: Path, name: str, table: str) -> pd.DataFrame:
    """A table of a study, also one that another version wrote with other columns."""
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise UserError(
            f"{folder} has no {path.name}; run snakemake again, which makes what is missing"
        )
    try:
        return read_table(path, table)
    except DamagedFileError:
        raise
    except UserError:  # its checksum was right
        frame: pd.DataFrame = pq.read_table(path).to_pandas()
    if "detector" not in frame:
        frame["detector"] = NONE
    missing = [name for name in tables.COLUMNS[table] if name not in frame]
    if table in _PARTLY_READ:
        return frame.assign(**dict.fromkeys(missing, np.nan))
    if missing:
        raise UserError(
            f"{path} lacks the columns {', '.join(missing)}, since another version wrote it; "
            "run that study again with this version"
        )
    return frame


def settings(a: Side, b: Side) -> list[tuple[str, Any, Any]]:
    """Settings, versions and machine that differ: key, value in A, value in B.

    Of the entries that a config defines, only those that both studies choose count; who chooses
    which is told by the keys of ``benchmark``.
    """
    one, other = (_flat(_chosen(side, rival)) for side, rival in ((a, b), (b, a)))
    keys = dict.fromkeys([*one, *other])
    return [
        (key, one.get(key, ABSENT), other.get(key, ABSENT))
        for key in keys
        if one.get(key, ABSENT) != other.get(key, ABSENT)
    ]


def _chosen(side: Side, rival: Side) -> dict[str, Any]:
    """What numbers may depend on: config without entries of one side alone, versions, machine."""
    config = {key: value for key, value in side.run.get("config", {}).items() if key != "study"}
    others = rival.run.get("config", {}).get("benchmark", {})
    for section, names in config.get("benchmark", {}).items():
        if isinstance(config.get(section), Mapping):
            used = set(names) & set(others.get(section, []))
            config[section] = {n: v for n, v in config[section].items() if n in used}
    return config | {name: side.run.get(name, {}) for name in ("versions", "host")}


def _flat(value: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined by dots."""
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= _flat(inner, f"{above}{key}.") if isinstance(inner, Mapping) and inner else {}
        if not isinstance(inner, Mapping):
            found[f"{above}{key}"] = inner
    return found
