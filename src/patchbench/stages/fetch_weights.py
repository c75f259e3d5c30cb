"""Fetch published weights, verified by the checksum in their name."""

import argparse
from pathlib import Path

from patchbench.cost import Work
from patchbench.download import fetch
from patchbench.networks.published import Published


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--url", required=True, help="address of the file")
    parser.add_argument("--out", type=Path, required=True, help="where the file goes")


def run(args: argparse.Namespace) -> Work:
    """Fetch."""
    published = Published(args.url)
    fetch(published.url, published.checksum, args.out)
    return Work(1, "file")
