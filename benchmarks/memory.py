"""Peak memory of every stage on a million patches.

    .venv/bin/python benchmarks/memory.py                # 10 minutes on two cores, 7 GB of disk
    .venv/bin/python benchmarks/memory.py --images 500   # a look at what it does

Runs the workflow on scenes in a folder of its own, and prints the largest resident set of any
job of each stage, as the jobs measured it themselves. Pages of memory-mapped files count.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PATCHES_PER_IMAGE = 49  # of 32 px, 16 px apart, in 128 px images
LIMIT_GIB = 4.0


def study(n_images: int) -> dict:
    """The config of the run."""
    network = {"type": "bagnet", "receptive_field_px": 17, "width": 16, "layers": [1, 1, 1, 1]}
    return {
        "study": "memory",
        "datasets": {"many": {"type": "scenes", "image_size_px": 128, "n_images": n_images}},
        "patches": {"p32s16": {"patch_size_px": 32, "stride_px": 16, "edge": "drop", "shards": 8}},
        # untrained: what is learned does not matter here, and a network has embeddings of size
        "encoders": {"bagnet17": network | {"epochs": 0}},
        "benchmark": {
            "datasets": ["many"],
            "patches": ["p32s16"],
            "encoders": ["bagnet17"],
            "classifiers": ["logistic"],
            "fusions": ["mean_probability"],
            "cnns": [],
        },
    }


def main() -> int:
    """Run, print, and say whether the limit held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=-(-1_000_000 // PATCHES_PER_IMAGE))
    parser.add_argument("--folder", type=Path, help="where to run; default: a temporary one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.yaml").write_text(yaml.safe_dump(study(args.images)))
        command = ["snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
        command += ["--profile", str(ROOT / "profiles/default")]
        command += ["--directory", str(folder), "--configfile", str(folder / "memory.yaml")]
        subprocess.run([str(Path(sys.executable).with_name(command[0])), *command[1:]], check=True)
        return told(folder, args.images)


def told(folder: Path, n_images: int) -> int:
    """Print the peak of each stage; 1 if one is above the limit."""
    peaks: dict[str, float] = {}
    for path in sorted(folder.rglob("*.cost.json")):
        cost = json.loads(path.read_text())
        cost = cost.get("content", cost)
        stage, peak = cost["stage"], cost["peak_rss_mib"] / 1024
        peaks[stage] = max(peaks.get(stage, 0.0), peak)
    print(f"{n_images * PATCHES_PER_IMAGE:,} patches of 32 px: peak resident memory of a job, GiB")
    for stage, peak in sorted(peaks.items(), key=lambda item: -item[1]):
        print(f"  {stage:16s} {peak:5.2f}")
    return int(max(peaks.values()) > LIMIT_GIB)


if __name__ == "__main__":
    sys.exit(main())
