"""Draw every figure of a study: SVG, PDF and PNG, with the table behind each as CSV."""

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from patchbench import fonts, plan_figures, plugins
from patchbench.cost import Work
from patchbench.io import replacing
from patchbench.progress import progress
from patchbench.study import Study, open_study
from patchbench.written import bytes_written, count_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# no dates and no versions inside, so that the same study gives the same bytes
METADATA: dict[str, dict[str, str | None]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the stage."""
    parser.add_argument("--study", type=Path, required=True, help="folder of the study's tables")
    parser.add_argument("--out", type=Path, required=True, help="folder for DATASET/FIGURE.*")


def run(args: argparse.Namespace) -> Work:
    """Write ``OUT/DATASET/FIGURE.{svg,pdf,png,csv}`` for every dataset and figure of the study."""
    study = open_study(args.study)
    jobs = plan_figures.figures(study.run["config"])
    if boxes := fonts.hint(_names(study)):
        print(f"{boxes} (snakemake --forcerun draw)", file=sys.stderr)
    for _ in progress(_drawn(args, study, jobs), "Drawing", "figure", len(jobs)):
        pass
    return Work(len(jobs), "figure")


def _drawn(args: argparse.Namespace, study: Study, jobs: list[tuple[str, str]]) -> Iterator[None]:
    """Draw figure after figure, in as many processes as there are threads."""
    if args.threads == 1:
        for dataset, name in jobs:
            draw(study, dataset, name, args.out)
            yield
        return
    places = [(args.study, args.out, *job) for job in jobs]
    with ProcessPoolExecutor(args.threads, get_context("spawn")) as pool:
        yield from map(count_bytes, pool.map(_draw_here, places))


def _names(study: Study) -> str:
    """All that figures write and that may be in any script: names of classes."""
    return " ".join(name for report in study.datasets.values() for name in report["classes"])


@cache
def _opened(folder: Path) -> Study:
    return open_study(folder)


def _draw_here(place: tuple[Path, Path, str, str]) -> int:
    """In a process of the pool: draw a figure; the bytes of its files."""
    folder, out, dataset, name = place
    before = bytes_written()
    draw(_opened(folder), dataset, name, out)
    return bytes_written() - before


def draw(study: Study, dataset: str, name: str, out: Path) -> None:
    """One figure in every format, and its table."""
    from patchbench.figures import _style as style

    module, stem = plugins.load("figures", name), out / dataset / name
    with style.look(_names(study)):
        save(module.draw(study, dataset), stem)
    with replacing(stem.with_suffix(".csv")) as temporary:
        table = module.data(study, dataset)
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


def save(figure: "Figure", stem: Path) -> None:
    """Write one figure in every format; call under ``style.look``."""
    for suffix, metadata in METADATA.items():
        with replacing(stem.with_suffix(f".{suffix}")) as temporary:
            figure.savefig(temporary, format=suffix, metadata=metadata)
