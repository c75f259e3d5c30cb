r"""How long Snakemake takes to plan a study of 1.28 million images, and how many jobs it is.

    .venv/bin/python benchmarks/dag.py                # ten minutes, nearly all of the last line
    .venv/bin/python benchmarks/dag.py --shards 1024 --profiles profiles/default
    .venv/bin/python benchmarks/dag.py --shards 1024 --profiles workflow/profiles/slurm \
        --groups 'cut=cut-{dataset}-{patches}'

A dry run for each number of shards, of three encoders with two patch classifiers: first with the
default profile, then with the one for SLURM, which groups small jobs. Nothing is computed and no
image is needed: the plan follows from the config. Processor time stands beside the clock.
"""

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[1]
N_IMAGES = 1_281_167  # the train split of ImageNet-1k
SHARDS = (16, 64, 256, 1024)
PROFILES = ("profiles/default", "workflow/profiles/slurm")


def study(n_shards: int) -> dict:
    """The config of the dry run."""
    return {
        "study": "plan",
        "datasets": {"many": {"type": "scenes", "image_size_px": 224, "n_images": N_IMAGES}},
        "patches": {
            "p32s32": {"patch_size_px": 32, "stride_px": 32, "edge": "drop", "shards": n_shards}
        },
        "benchmark": {
            "datasets": ["many"],
            "patches": ["p32s32"],
            "encoders": ["sift", "tile2vec", "bagnet17"],
            "classifiers": ["logistic", "linear_svm"],
            "cnns": ["resnet18"],
        },
    }


class Planned(NamedTuple):
    """Jobs, jobs that go to a cluster, and what a dry run took: all, and the DAG alone."""

    n_jobs: int
    n_submitted: int
    build_s: float
    wall_s: float
    cpu_s: float


def planned(folder: Path, n_shards: int, profile: str, groups: list[str]) -> Planned:
    """Plan a study; the DAG is built between two lines that Snakemake prints."""
    overlay = folder / f"{n_shards}.yaml"
    overlay.write_text(yaml.safe_dump(study(n_shards)))
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--snakefile", ROOT / "Snakefile"]
    command += ["--directory", folder, "--configfile", overlay, "--nolock", "--cores", "1"]
    if groups:
        command += ["--groups", *groups]
    before, watch = used_s(), time.perf_counter()
    lines, at_s = [], {}
    with subprocess.Popen(
        [*command, "--workflow-profile", ROOT / profile],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        for line in run.stdout or ():
            lines.append(line)
            at_s.setdefault(line.strip(), time.perf_counter())
    wall_s, cpu_s, told = time.perf_counter() - watch, used_s() - before, "".join(lines)
    total = re.search(r"^total +(\d+)$", told, re.MULTILINE)
    if run.returncode or total is None:
        raise SystemExit(told)
    n_jobs, n_groups = int(total[1]), len(re.findall(r"\bGroup job ", told))
    n_grouped = len(re.findall(r"^    Job \d+: ", told, re.MULTILINE))
    build_s = at_s["Job stats:"] - at_s["Building DAG of jobs..."]
    return Planned(n_jobs, n_jobs - n_grouped + n_groups, build_s, wall_s, cpu_s)


def used_s() -> float:
    """Processor seconds of all children that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main() -> int:
    """Print a line for every number of shards and profile."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shards", type=int, nargs="+", default=SHARDS)
    parser.add_argument("--profiles", nargs="+", default=PROFILES)
    parser.add_argument("--groups", nargs="+", default=[], help="in place of the profile's")
    args = parser.parse_args()
    print(f"{N_IMAGES:,} images, 3 encoders x 2 patch classifiers, 1 CNN")
    print(
        f"{'shards':>6} {'profile':25} {'jobs':>6} {'submitted':>9} {'build s':>7} {'wall s':>7} "
        f"{'cpu s':>7}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for n_shards in args.shards:
            for profile in args.profiles:
                found = planned(Path(folder), n_shards, profile, args.groups)
                sent = found.n_submitted if "slurm" in profile else "-"
                print(
                    f"{n_shards:6} {profile:25} {found.n_jobs:6,} {sent:>9} "
                    f"{found.build_s:7.1f} {found.wall_s:7.1f} {found.cpu_s:7.1f}",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
