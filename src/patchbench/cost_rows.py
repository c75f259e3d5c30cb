"""From the cost files that jobs leave to rows of table ``costs``."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from patchbench import tables
from patchbench.errors import UserError
from patchbench.io import read_json
from patchbench.study import NONE


def cost_rows(paths: Iterable[str | Path]) -> pd.DataFrame:
    """One row of table ``costs`` per file, in order."""
    rows = [cost_row(Path(path)) for path in paths]
    frame = pd.DataFrame(rows, columns=list(tables.COLUMNS["costs"]))
    return tables.from_arrow(tables.to_arrow(frame, "costs"), "costs")


def cost_row(path: Path) -> dict[str, Any]:
    """The row of one job.

    Raises
    ------
    UserError
        If the job ran under a version that measured something else.
    """
    cost = read_json(path)
    about, parts_s = cost.pop("about"), cost.pop("parts_s", None)
    names = ("dataset", "patches", "encoder", "classifier")
    shard = str(about.get("shard", "-1")).split("-of-")[0]
    run = {name: about.get(name, NONE) for name in names}
    if "fold" in about:
        cost["stage"] = "cnn_fold"  # trained for detectors, not for the run itself
    elif "explain" in about:
        cost["stage"] += f"_{about['explain']}"
    row = run | {"seed": int(about.get("seed", -1)), "shard": int(shard)} | cost
    row["parts_s"] = json.dumps(parts_s) if parts_s else None
    missing = [name for name in tables.COLUMNS["costs"] if name not in row]
    if missing:
        raise UserError(
            f"{path} lacks {', '.join(missing)}; it was written by another version: delete it "
            "and run snakemake again"
        )
    return row
