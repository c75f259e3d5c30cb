"""Draw every figure of a study: SVG, PDF and PNG, with the table behind each as CSV."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from patchbench import plan_figures, plugins
from patchbench.cost import Work
from patchbench.io import replacing
from patchbench.progress import progress
from patchbench.study import open_study

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
    from patchbench.figures import _style as style

    study = open_study(args.study)
    jobs = plan_figures.figures(study.run["config"])
    for dataset, name in progress(jobs, "Drawing", "figure"):
        module = plugins.load("figures", name)
        stem = args.out / dataset / name
        with style.look():
            save(module.draw(study, dataset), stem)
        with replacing(stem.with_suffix(".csv")) as temporary:
            table = module.data(study, dataset)
            table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    return Work(len(jobs), "figure")


def save(figure: "Figure", stem: Path) -> None:
    """Write one figure in every format; call under ``style.look``."""
    for suffix, metadata in METADATA.items():
        with replacing(stem.with_suffix(f".{suffix}")) as temporary:
            figure.savefig(temporary, format=suffix, metadata=metadata)
