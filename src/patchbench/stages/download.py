"""Download a dataset, verified by checksums; nothing to do for drawn, bundled and local ones."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from patchbench import disks, io, limits
from patchbench.cost import Work
from patchbench.records import open_dataset

COMPLETE = "complete.json"
# a dataset cannot be opened without the side of its images, on which no download depends
_SOME_SIDE = {"image_size_px": 64}
_ASIDE = (".log", ".cost.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the stage takes."""
    parser.add_argument("--dataset", required=True, help="entry of the config's datasets")
    parser.add_argument(
        "--spec", type=json.loads, required=True, help="JSON: settings that decide the download"
    )
    parser.add_argument("--out", required=True, type=Path, help="folder for the files")


def run(args: argparse.Namespace) -> Work:
    """Download what the entry describes."""
    return Work(download(args.dataset, args.spec, args.out, args.code), "file")


def download(entry: str, spec: Mapping[str, Any], out: Path, code: str = "") -> int:
    """Fill ``out``, write ``complete.json`` last, and give the number of files."""
    dataset, settings = open_dataset(entry, _SOME_SIDE | dict(spec))
    complete = out / COMPLETE
    with disks.told(out):
        complete.unlink(missing_ok=True)
        out.mkdir(parents=True, exist_ok=True)
    if dataset.needs_download:
        with limits.hold(settings.limits):
            dataset.download(out)
    sizes = [
        path.stat().st_size
        for path in out.rglob("*")
        if path.is_file() and not path.name.startswith(".") and not path.name.endswith(_ASIDE)
    ]
    report = {"dataset": entry, "n_files": len(sizes), "n_bytes": sum(sizes)}
    io.write_json(complete, report, io.provenance("download", code, spec))
    return len(sizes)
