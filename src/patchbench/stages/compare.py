"""Say what changed between two studies beyond noise, in scores and in costs."""

import argparse
import json
from pathlib import Path

import pandas as pd

from patchbench.comparison import compare
from patchbench.comparison_text import as_json, text
from patchbench.io import replacing
from patchbench.sides import open_sides


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this command."""
    parser.add_argument("a", type=Path, metavar="A", help="folder of a study, or of results")
    parser.add_argument("b", type=Path, metavar="B", help="the same; differences are B less A")
    parser.add_argument(
        "--unpaired",
        action="store_true",
        help="judge methods on other test images by whether their intervals overlap",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write a row per method")


def answer(args: argparse.Namespace) -> int:
    """Print the comparison; 0."""
    a, b = open_sides(args.a, args.b)
    frame = compare(a, b, unpaired=args.unpaired)
    if args.csv:
        write_csv(frame, args.csv)
    print(json.dumps(as_json(a, b, frame), indent=1) if args.json else text(a, b, frame))
    return 0


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write all columns of a comparison, whole or not at all."""
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False)
