"""Turn the embeddings of one shard into patch logits with a fitted patch classifier."""

import argparse
import json
from pathlib import Path

from patchbench import plugins
from patchbench.cost import Stopwatch, Work
from patchbench.io import provenance, read_array, read_state, write_array


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--classifier", required=True, help="entry of the config's classifiers")
    parser.add_argument("--spec", type=json.loads, default={}, help="JSON: settings of the entry")
    parser.add_argument("--state", type=Path, required=True, help="classifier.npz, fitted")
    parser.add_argument("--embeddings", type=Path, required=True, help="embeddings shard")
    parser.add_argument("--out", type=Path, required=True, help="patch logits shard to write")


def run(args: argparse.Namespace) -> Work:
    """Restore the classifier, classify, write."""
    classifier = plugins.build("classifiers", args.classifier, args.spec, seed=args.seed)
    classifier.restore(read_state(args.state))
    embeddings, watch = read_array(args.embeddings), Stopwatch()
    with watch:
        logits = classifier.logits(embeddings)
    write_array(args.out, logits, provenance("classify", args.code, args.spec))
    return Work(len(logits), "patch", work_s=watch.elapsed_s)
