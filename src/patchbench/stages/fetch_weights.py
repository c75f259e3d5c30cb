"""Fetch published weights of an encoder's network, verified by the checksum in their name."""

import argparse
import json
from pathlib import Path

from patchbench import plugins
from patchbench.cost import Work
from patchbench.download import fetch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--encoder", required=True, help="entry of the config's encoders")
    parser.add_argument("--spec", type=json.loads, default={}, help="JSON: settings of the entry")
    parser.add_argument("--patch-size-px", type=int, required=True, help="side of a patch")
    parser.add_argument("--out", type=Path, required=True, help="where the file goes")


def run(args: argparse.Namespace) -> Work:
    """Ask the encoder for the address, fetch."""
    encoder = plugins.build(
        "encoders", args.encoder, args.spec, patch_size_px=args.patch_size_px, seed=args.seed
    )
    published = encoder.published()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    fetch(published.url, published.checksum, args.out)
    return Work(1, "file")
