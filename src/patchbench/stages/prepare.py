"""Decode a dataset once, bring its images to one size, and split them into train, val and test.

Writes ``images.npy``, ``masks.npy`` (no rows where the dataset has no masks), ``images.parquet``
and, last, ``dataset.json``, the account of what is in them and what was left out and why.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
import pandas as pd

from patchbench import disks, images, io, limits, splits
from patchbench.cost import Work
from patchbench.errors import UserError
from patchbench.progress import progress
from patchbench.records import BadImageError, Preparation, Record, open_dataset
from patchbench.tables import SPLITS

COMPLETE = "complete.json"  # what the download stage writes last
_BATCH = 256
_NAMED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the stage takes."""
    parser.add_argument("--dataset", required=True, help="entry of the config's datasets")
    parser.add_argument(
        "--spec", type=json.loads, required=True, help="JSON: settings of the entry"
    )
    parser.add_argument("--source", required=True, type=Path, help="folder of the download")
    parser.add_argument("--out", required=True, type=Path, help="folder for the results")


def run(args: argparse.Namespace) -> Work:
    """Prepare what the entry describes."""
    report = prepare(args.dataset, args.spec, args.source, args.out, args.code, args.threads)
    return Work(sum(sum(n.values()) for n in report["n_images"].values()), "image")


def prepare(
    entry: str, spec: Mapping[str, Any], source: Path, out: Path, code: str = "", threads: int = 1
) -> dict[str, Any]:
    """Fill ``out`` and give the report that is in ``dataset.json``.

    Memory stays that of a few hundred images, mapped files aside, however many there are.

    Raises
    ------
    UserError
        If the dataset cannot be read or split; see `splits.check`.
    """
    dataset, settings = open_dataset(entry, spec)
    if dataset.needs_download and not (source / COMPLETE).is_file():
        raise UserError(
            f"dataset {entry!r} is not in {source}; download it first: "
            f"python -m patchbench download --dataset {entry} --spec ... --out {source}"
        )
    records = _unique(dataset.records(source), entry)
    wanted = [record for record in records if record.split != "drop"]
    out.mkdir(parents=True, exist_ok=True)
    (out / "dataset.json").unlink(missing_ok=True)
    origin = io.provenance("prepare", code, spec)
    with disks.told(out), limits.hold(settings.limits), ExitStack() as stack:
        raw, raw_masks = (stack.enter_context(TemporaryFile(dir=out)) for _ in range(2))
        kept = _decode(wanted, settings, raw, raw_masks, threads, entry)
        classes = sorted({record.class_name for record in wanted})
        frame = _table(kept, classes, settings, entry)
        size_px = settings.image_size_px
        _store(raw, out / "images.npy", (len(kept.records), size_px, size_px, 3), origin)
        _store(raw_masks, out / "masks.npy", (kept.n_masks, size_px, size_px), origin)
    io.write_table(out / "images.parquet", frame, "images", origin)
    report = _report(entry, frame, classes, kept, settings)
    report["left_out"] = [
        {"image_id": record.image_id, "reason": "set aside by the dataset's split"}
        for record in records
        if record.split == "drop"
    ] + kept.left_out
    report |= {"summary": dataset.summary, "licence": dataset.licence}
    report["settings"] = dict(spec) | asdict(settings)
    io.write_json(out / "dataset.json", report, origin)
    return report


def _unique(records: Sequence[Record], entry: str) -> Sequence[Record]:
    ids = {record.image_id for record in records}
    if len(ids) < len(records):
        raise UserError(f"dataset {entry!r} names an image twice; image ids must be unique")
    if not records:
        raise UserError(f"dataset {entry!r} has no images; check its folder or its list")
    for record in records:
        # so Python writes names of files that are no text, and nothing else can write them again
        if any("\ud800" <= letter <= "\udfff" for letter in record.image_id + record.class_name):
            raise UserError(
                f"dataset {entry!r} has an image {record.image_id!r}, whose name is no text in "
                "UTF-8; rename it and the folders it is in"
            )
    return records


@dataclass
class _Kept:
    """What came through decoding, in order."""

    records: list[Record] = field(default_factory=list)
    shapes_px: list[tuple[int, int]] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)
    n_masks: int = 0


@dataclass
class _Square:
    """One decoded image at its final size."""

    pixels: np.ndarray
    mask: np.ndarray | None
    shape_px: tuple[int, int]


def _decode(
    records: Sequence[Record],
    settings: Preparation,
    raw: IO[bytes],
    raw_masks: IO[bytes],
    threads: int,
    entry: str,
) -> _Kept:
    kept = _Kept()
    for record, square in _squares(records, settings, threads):
        if isinstance(square, str):
            kept.left_out.append({"image_id": record.image_id, "reason": square})
            if len(kept.left_out) >= _NAMED:
                _stop_if_too_many(kept.left_out, len(records), settings, entry)
            continue
        kept.records.append(record)
        kept.shapes_px.append(square.shape_px)
        kept.digests.append(sha256(square.pixels.tobytes()).hexdigest())
        raw.write(square.pixels.tobytes())
        if square.mask is not None:
            kept.n_masks += 1
            raw_masks.write(square.mask.astype(np.uint8).tobytes())
    _stop_if_too_many(kept.left_out, len(records), settings, entry)
    if kept.n_masks not in (0, len(kept.records)):
        raise UserError(
            f"dataset {entry!r} has a mask for {kept.n_masks} of {len(kept.records)} images; "
            "give every image one, or none"
        )
    return kept


def _squares(
    records: Sequence[Record], settings: Preparation, threads: int
) -> Iterator[tuple[Record, _Square | str]]:
    """Each record with its image, or with the reason why it has none."""

    def one(record: Record) -> _Square | str:
        try:
            pixels, mask = record.read()
        except BadImageError as error:
            return str(error)
        height, width = pixels.shape[:2]
        if min(height, width) < settings.min_source_px:
            return f"{width} x {height} px is smaller than min_source_px {settings.min_source_px}"
        size_px, how = settings.image_size_px, settings.resize
        small_mask = None if mask is None else images.resize(mask, size_px, how)
        return _Square(images.resize(pixels, size_px, how), small_mask, (height, width))

    def all_in_order() -> Iterator[tuple[Record, _Square | str]]:
        with ThreadPoolExecutor(max(1, threads)) as pool:
            for start in range(0, len(records), _BATCH):
                batch = records[start : start + _BATCH]
                yield from zip(batch, pool.map(one, batch), strict=True)

    yield from progress(all_in_order(), "Decoding", "image", len(records))


def _stop_if_too_many(
    left_out: list[dict[str, str]], n_records: int, settings: Preparation, entry: str
) -> None:
    if len(left_out) <= settings.max_bad_images * n_records:
        return
    named = "; ".join(f"{bad['image_id']}: {bad['reason']}" for bad in left_out[:_NAMED])
    raise UserError(
        f"dataset {entry!r}: at least {len(left_out)} of {n_records} images cannot be used "
        f"({named}), more than max_bad_images {settings.max_bad_images} allows; "
        "remove them or raise it"
    )


def _table(kept: _Kept, classes: list[str], settings: Preparation, entry: str) -> pd.DataFrame:
    """Rows of ``images.parquet``; the split is the dataset's own or dealt here."""
    labels = [classes.index(record.class_name) for record in kept.records]
    groups = [record.group or record.image_id for record in kept.records]
    given = [record.split for record in kept.records if record.split is not None]
    if given and len(given) < len(kept.records):
        raise UserError(
            f"dataset {entry!r} states a split for {len(given)} of {len(kept.records)} images; "
            "state it for every image, or for none"
        )
    # identical pictures must not be dealt to two sides
    alike = splits.join_groups(groups, kept.digests)
    if not given:
        groups, fractions = alike, (settings.val_fraction, settings.test_fraction)
        given = splits.assign(labels, groups, *fractions, seed=settings.seed).tolist()
    else:
        given = splits.with_val(labels, given, alike, settings.val_fraction, settings.seed)
    try:
        splits.check(labels, given, groups, classes)
    except UserError as error:
        raise UserError(f"dataset {entry!r}: {error}") from error
    return pd.DataFrame(
        {
            "image_id": [record.image_id for record in kept.records],
            "class_name": [record.class_name for record in kept.records],
            "label": labels,
            "split": given,
            "group": groups,
            "source_height_px": [height for height, _ in kept.shapes_px],
            "source_width_px": [width for _, width in kept.shapes_px],
        }
    )


def _store(raw: IO[bytes], path: Path, shape: tuple[int, ...], origin: Mapping[str, Any]) -> None:
    n_bytes = int(np.prod(shape[1:]))
    raw.seek(0)
    with io.ArrayWriter(path, shape, np.uint8, origin) as rows:
        for start in range(0, shape[0], _BATCH):
            batch = np.frombuffer(raw.read(n_bytes * _BATCH), np.uint8)
            rows[start : start + _BATCH] = batch.reshape(-1, *shape[1:])


def _report(
    entry: str, frame: pd.DataFrame, classes: list[str], kept: _Kept, settings: Preparation
) -> dict[str, Any]:
    counts = frame.groupby(["split", "class_name"]).size().to_dict()
    short_px = frame[["source_height_px", "source_width_px"]].min(axis=1)
    sides = pd.Series(frame["split"].to_numpy()).groupby(np.array(kept.digests)).nunique()
    return {
        "name": entry,
        "classes": classes,
        "n_images": {s: {c: int(counts.get((s, c), 0)) for c in classes} for s in SPLITS},
        "n_enlarged": int((short_px < settings.image_size_px).sum()),
        "n_duplicates": len(kept.digests) - len(set(kept.digests)),
        "n_duplicates_across_splits": int((sides > 1).sum()),
        "masks": kept.n_masks > 0,
    }
