"""Turn the patches of one shard into embeddings with a fitted encoder."""

import argparse
import json
from pathlib import Path

import numpy as np

from patchbench import plugins
from patchbench.cost import Stopwatch, Work
from patchbench.devices import resolve
from patchbench.io import ArrayWriter, provenance, read_array, read_state
from patchbench.progress import progress

# patches handed to an encoder at once: bounds memory, large enough to keep it busy
CHUNK_PATCHES = 2048


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--encoder", required=True, help="entry of the config's encoders")
    parser.add_argument("--spec", type=json.loads, default={}, help="JSON: settings of the entry")
    parser.add_argument("--state", type=Path, required=True, help="encoder.npz, fitted")
    parser.add_argument("--pixels", type=Path, required=True, help="pixel shard")
    parser.add_argument("--out", type=Path, required=True, help="embeddings shard to write")


def run(args: argparse.Namespace) -> Work:
    """Restore the encoder, encode chunk by chunk straight to disk."""
    pixels = read_array(args.pixels)
    encoder = plugins.build(
        "encoders",
        args.encoder,
        args.spec,
        patch_size_px=pixels.shape[1],
        seed=args.seed,
        device=resolve(args.device),
        threads=args.threads,
    )
    encoder.restore(read_state(args.state))
    origin = provenance("encode", args.code, args.spec)
    plugins.preload(type(encoder).__module__)
    watch = Stopwatch()
    with ArrayWriter(args.out, (len(pixels), encoder.dim), np.float32, origin) as embeddings:
        chunks = range(0, len(pixels), CHUNK_PATCHES)
        for start in progress(chunks, f"encoding {args.out.stem}", "chunk"):
            rows = slice(start, start + CHUNK_PATCHES)
            with watch:
                embeddings[rows] = encoder.encode(pixels[rows])
    return Work(len(pixels), "patch", encoder.device, watch.elapsed_s)
