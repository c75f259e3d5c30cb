"""Classify images of any size with a trained run: class, probabilities, evidence.

MODEL is the folder of a run: results/scenes/p32s16/seed0/bagnet17/logistic, whose patches vote,
.../bagnet17/pooled, for rules on embeddings, or results/scenes/whole-image/seed0/resnet18.

An image is brought to the size of the images that the run learned from, as these were (resize mode
and image_size_px of the dataset); a TIFF of more megapixels than the dataset allows is shrunk
window by window. With --full-size it stays as it is: patches are cut all over it, tile by tile, so
that memory does not grow with its pixels. Objects should then be as large, in px, as in the
prepared images. Places are told relative to the image; a rule that has learned what to make of
single places of the grid treats others as its documentation says.

Only TIFFs may have any size, in tiles or strips of at most 512 MiB each, of grey or RGB. Other
files, PNG and JPEG among them, and TIFFs of palette, CMYK or less than 8 bits are decoded whole, up
to max_image_megapixels of the dataset, or 178 megapixels with --full-size.

Each image is a line of JSON on standard output. With --out, NAME.evidence.npy is float32, rows by
columns by classes: the probabilities of each patch of the grid, calibrated like those of the image;
NAME.evidence.png shows those of the class decided on. Images that cannot be read are named on
standard error, the others are classified all the same, and the status is 1.
"""

import argparse
import json
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tqdm import tqdm

from patchbench import fonts
from patchbench.devices import DEVICES
from patchbench.errors import UserError
from patchbench.io import replacing, write_array
from patchbench.prediction import open_pipeline
from patchbench.prediction.answer import Answer, Pipeline
from patchbench.prediction.evidence_map import spread, thumbnail, write_map
from patchbench.prediction.pictures import at_full_size, prepared
from patchbench.progress import progress
from patchbench.windows import Windows

_LONGEST_BYTES = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this command."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="folder of a run")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="files to classify")
    parser.add_argument(
        "--fusion", help="rule to decide by; the one that is best on val by default"
    )
    whole = "do not resize the images: TIFFs of any size, other files up to 178 megapixels"
    parser.add_argument("--full-size", action="store_true", help=whole)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where evidence is written")
    parser.add_argument(
        "--scratch", type=Path, metavar="FOLDER", help="for pixels decoded with --full-size"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads to compute with")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="where to compute")


def answer(args: argparse.Namespace) -> int:
    """Print a line for each image; 1 if there was one that could not be classified."""
    how = {"full_size": args.full_size, "device": args.device, "threads": args.threads}
    pipeline = open_pipeline(args.model, args.fusion, **how)
    if args.out:
        _refuse_out(args.out, pipeline)
        if boxes := fonts.hint(" ".join(pipeline.classes)):
            print(f"patchbench predict: {boxes}", file=sys.stderr)
    names, n_bad = names_of(args.images), 0
    todo = list(zip(args.images, names, strict=True))
    for path, name in progress(todo, "classifying", "image"):
        try:
            _say(json.dumps(_classified(args, pipeline, path, name)))
        except UserError as error:
            n_bad += 1
            tqdm.write(f"patchbench predict: {error}", file=sys.stderr)  # not into the bar
    return 1 if n_bad else 0


def _say(line: str) -> None:
    """Write a line to standard output, past the progress bar if both are on one terminal."""
    if sys.stdout.isatty() and sys.stderr.isatty():
        tqdm.write(line)
    else:
        print(line, flush=True)


def names_of(paths: list[Path]) -> list[str]:
    """Names for what is written of images: those of the files, numbered where they are alike.

    Upper and lower case count as alike, as they are on some file systems.

    >>> names_of([Path("a/1.png"), Path("b/1.png"), Path("1.PNG"), Path("1.png-2")])
    ['1.png', '1.png-2', '1.PNG-3', '1.png-2-2']
    """
    taken, names = set[str](), []
    for path in paths:
        # what is added to it has to fit as well
        short = os.fsencode(path.name)[:_LONGEST_BYTES].decode("utf-8", "ignore")
        name, number = short, 1
        while name.casefold() in taken:
            number += 1
            name = f"{short}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _refuse_out(folder: Path, pipeline: Pipeline) -> None:
    if not pipeline.votes:
        raise UserError(
            "--out is for the votes of patches, and this run decides without; leave it out, or "
            "take a run whose folder has a patch classifier"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {folder} cannot be made: {error.strerror}") from error


def _classified(
    args: argparse.Namespace, pipeline: Pipeline, path: Path, name: str
) -> dict[str, Any]:
    """What there is to tell of an image; its evidence is written."""
    start = time.perf_counter()
    with (
        at_full_size(path, args.scratch)
        if args.full_size
        else prepared(path, pipeline.preparation) as windows
    ):
        try:
            found = pipeline.decide(windows, name)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        told = _told(pipeline, path, windows, found)
        if args.out:
            told |= _written(args.out / name, pipeline, windows, found)
    return told | {"seconds": round(time.perf_counter() - start, 4)}


def _told(pipeline: Pipeline, path: Path, windows: Windows, found: Answer) -> dict[str, Any]:
    probabilities = found.probabilities.tolist()
    grid = None if found.grid is None else list(found.grid.shape)
    return {
        "path": str(path),
        "class": pipeline.classes[int(found.probabilities.argmax())],
        "probabilities": dict(zip(pipeline.classes, probabilities, strict=True)),
        "fusion": pipeline.fusion,
        "calibration": dict(pipeline.calibration),
        "height_px": windows.height_px,
        "width_px": windows.width_px,
        "n_patches": 0 if grid is None else grid[0] * grid[1],
        "grid": grid,
    }


def _written(base: Path, pipeline: Pipeline, windows: Windows, found: Answer) -> dict[str, str]:
    """Write the evidence as an array and as a picture; where they are."""
    assert found.grid is not None and found.evidence is not None  # the run has votes
    array, picture = (base.with_name(f"{base.name}.evidence.{end}") for end in ("npy", "png"))
    label = int(found.probabilities.argmax())
    small = thumbnail(windows)
    shape, image_px = small.shape[:2], (windows.height_px, windows.width_px)
    heat = spread(found.evidence[..., label], found.grid, image_px, (shape[0], shape[1]))
    try:
        # both or none: the picture is only put in its place once the array is in its own
        with ExitStack() as undo:
            with replacing(picture) as drawn:
                write_map(drawn, small, heat, pipeline.classes[label], found.probabilities[label])
                write_array(array, found.evidence)
                undo.callback(array.unlink, missing_ok=True)
            undo.pop_all()
    except OSError as error:
        raise UserError(f"{array.parent} cannot be written to: {error.strerror}") from error
    return {"evidence": str(array), "map": str(picture)}
