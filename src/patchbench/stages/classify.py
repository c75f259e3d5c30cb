"""Turn the embeddings of one shard into patch logits with a fitted patch classifier."""

import argparse
import json
from pathlib import Path

import numpy as np

from patchbench import plugins
from patchbench.cost import Stopwatch, Work
from patchbench.io import ArrayWriter, provenance, read_array, read_state
from patchbench.patchset import refuse_holes

# patches classified at once and timed together, as many as are encoded: 1 MiB at 512 values a patch
CHUNK_PATCHES = 512


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--classifier", required=True, help="entry of the config's classifiers")
    parser.add_argument("--spec", type=json.loads, default={}, help="JSON: settings of the entry")
    parser.add_argument("--state", type=Path, required=True, help="classifier.npz, fitted")
    parser.add_argument("--embeddings", type=Path, required=True, help="embeddings shard")
    parser.add_argument("--out", type=Path, required=True, help="patch logits shard to write")


def run(args: argparse.Namespace) -> Work:
    """Restore the classifier, classify chunk by chunk straight to disk."""
    classifier = plugins.build(
        "classifiers", args.classifier, args.spec, seed=args.seed, threads=args.threads
    )
    classifier.restore(read_state(args.state))
    embeddings, watch = read_array(args.embeddings), Stopwatch()
    origin = provenance("classify", args.code, args.spec)
    # no patch is enough to learn how many classes there are, and to import what logits need
    n_classes = classifier.logits(np.empty((0, embeddings.shape[1]), np.float32)).shape[1]
    with ArrayWriter(args.out, (len(embeddings), n_classes), np.float32, origin) as logits:
        for start in range(0, len(embeddings), CHUNK_PATCHES):
            rows = slice(start, start + CHUNK_PATCHES)
            if classifier.uses != "nothing":
                refuse_holes(embeddings[rows], f"{args.embeddings}, patches from {start} on")
            with watch.lap(min(CHUNK_PATCHES, len(embeddings) - start)):
                logits[rows] = classifier.logits(embeddings[rows])
    return Work(len(embeddings), "patch", work_s=watch.elapsed_s, laps=watch.laps)
