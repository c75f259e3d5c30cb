"""Fit an encoder on the train split and keep it with its loss curves."""

import argparse
import json
from pathlib import Path

from patchbench import plugins
from patchbench.cost import Stopwatch, Work
from patchbench.io import provenance, write_state, write_table
from patchbench.patchset import training_data


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--encoder", required=True, help="entry of the config's encoders")
    parser.add_argument("--spec", type=json.loads, default={}, help="JSON: settings of the entry")
    parser.add_argument("--patch-size-px", type=int, required=True, help="side of a patch")
    parser.add_argument("--images", type=Path, required=True, help="images.npy of the dataset")
    parser.add_argument("--index", type=Path, required=True, help="index.parquet of the patches")
    parser.add_argument("--pixels", type=Path, nargs="+", required=True, help="pixel shards")
    parser.add_argument("--weights", type=Path, help="checkpoint to start from, if any")
    parser.add_argument("--out", type=Path, required=True, help="encoder.npz to write")


def run(args: argparse.Namespace) -> Work:
    """Open the train split, fit, write the history and then the encoder."""
    encoder = plugins.build(
        "encoders",
        args.encoder,
        args.spec,
        patch_size_px=args.patch_size_px,
        seed=args.seed,
        device=args.device,
        threads=args.threads,
    )
    data = training_data(
        args.images,
        args.index,
        args.pixels,
        supervised=encoder.supervised,
        weights=args.weights,
    )
    plugins.preload(type(encoder).__module__)
    watch = Stopwatch()
    with watch:
        history = encoder.fit(data)
    origin = provenance("fit_encoder", args.code, args.spec)
    write_table(args.out.with_name("history.parquet"), history, "history", origin)
    write_state(args.out, encoder.state(), origin)
    n_epochs = int(history["epoch"].max()) if len(history) else 1
    return Work(n_epochs * len(data.train_rows), "image epoch", encoder.device, watch.elapsed_s)
