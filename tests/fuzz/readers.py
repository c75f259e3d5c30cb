"""What is fuzzed: for each reader how its inputs are spoiled, and how it is asked to read one."""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from fuzz import mutations, samples
from patchbench import images, io, plan, tables
from patchbench.config import check
from patchbench.datasets.image_folder import Dataset
from patchbench.doctor_study import SCHEMA, load
from patchbench.errors import UserError
from patchbench.records import BadImageError
from patchbench.unpacking import extract
from patchbench.windows import open_windows

REFUSALS = (UserError, BadImageError)
_LOOKED_AT_PX = 4_000_000
_NAMES = ("a/1.png", "b/2 $(echo).png", "it's.png", "-rf", "ü\nx.png", "x" * 255)


@dataclass(frozen=True)
class Reader:
    """One part of the program that meets files which nobody here has made.

    Attributes
    ----------
    share : int
        Inputs of a hundred.
    make : callable
        From a random generator to the content of a file.
    read : callable
        Reads that file in an empty folder, uses what it got; raises one of `REFUSALS`.
    """

    share: int
    make: Callable[[random.Random], bytes]
    read: Callable[[Path], object]


def _spoiled(found: list[bytes], rng: random.Random) -> bytes:
    return mutations.spoil(rng.choice(found), rng, rng.choice(found))


def _make_picture(rng: random.Random) -> bytes:
    content = _spoiled(samples.pictures(), rng)
    if content.startswith(b"\x89PNG") and rng.random() < 0.7:
        content = mutations.with_sums_of_png(content)
    return content


def _read_picture(path: Path) -> None:
    pixels = images.decode(path)
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    for how in images.RESIZE_MODES:
        assert images.resize(pixels, 16, how).shape == (16, 16, 3)
    mask = images.decode_mask(path)
    assert mask.dtype == bool and images.resize(mask, 16).shape == (16, 16)


def _read_windows(path: Path) -> None:
    with open_windows(path, path.parent) as image:
        height, width = image.height_px, image.width_px
        tall, wide = min(height, 64), min(width, 64)
        for y, x in ((0, 0), (height - tall, width - wide), ((height - tall) // 2, 0)):
            assert image.read(y, x, tall, wide).shape == (tall, wide, image.n_channels)
        if height * width < _LOOKED_AT_PX:
            image.read(0, 0, height, width)


def _make_config(rng: random.Random) -> bytes:
    study = json.loads(json.dumps(rng.choice(samples.studies())))
    if rng.random() < 0.5:  # also where the default config has something and the study nothing
        default = yaml.safe_load((samples.ROOT / "config.yaml").read_text(encoding="utf-8"))
        study = default | study
    if rng.random() < 0.8:
        return samples.settings_text(mutations.spoil_settings(study, rng))
    return mutations.spoil(samples.settings_text(study), rng)


def _read_config(path: Path) -> None:
    config = load([path])
    check(config, SCHEMA)
    json.dumps(config, sort_keys=True)  # so rules hand settings to stages
    assert plan.runs(config)


def _make_table(rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return _spoiled(samples.parquets(), rng)
    table = rng.choice(list(samples.sound_tables().values()))
    return samples.sealed_table(mutations.spoil_table(table, rng))


def _read_table(path: Path) -> None:
    refused = None
    for name in samples.sound_tables():
        try:
            frame = io.read_table(path, name)
        except UserError as error:
            refused = error
            continue
        assert (frame.dtypes == tables.empty(name).dtypes).all()
        assert len(tables.to_arrow(frame, name)) == len(frame)
        return
    assert refused is not None
    raise refused


def _make_array(rng: random.Random) -> bytes:
    found = samples.arrays()
    if rng.random() < 0.3:
        return _spoiled(found, rng)
    return samples.resealed(_spoiled([samples.bare(content) for content in found], rng))


def _read_array(path: Path) -> None:
    found = io.read_array(path)
    assert isinstance(found, np.ndarray)
    found.tobytes()


def _make_state(rng: random.Random) -> bytes:
    found = samples.states()
    if rng.random() < 0.3:
        return _spoiled(found, rng)
    return samples.resealed(_spoiled([samples.bare(content) for content in found], rng))


def _read_state(path: Path) -> None:
    for value in io.read_state(path).values():
        assert isinstance(value, np.ndarray)


def _make_json(rng: random.Random) -> bytes:
    content = _spoiled(samples.jsons(), rng)
    if rng.random() < 0.02:
        content = b"[" * rng.choice((10, 100_000))
    return samples.resealed_json(content) if rng.random() < 0.7 else content


def _make_list(rng: random.Random) -> bytes:
    content = _spoiled(samples.lists(_NAMES), rng)
    if rng.random() < 0.05:
        content += ("y" * rng.choice((256, 5000, 200_000)) + ",z\n").encode()
    return content


def _read_list(path: Path) -> None:
    for name in _NAMES:
        file = path.parent / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
    dataset = Dataset(image_size_px=8, root=str(path.parent), csv=path.name)
    for record in dataset.records(path.parent):
        assert record.image_id and record.class_name
        record.class_name.encode()


def _make_archive(rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        return _spoiled(samples.zips(), rng)
    content = mutations.with_sums_of_tar(_spoiled(samples.tars(), rng))
    chance = rng.random()
    if chance < 0.6:
        return content
    import bz2
    import gzip

    packed = gzip.compress(content, 1) if chance < 0.9 else bz2.compress(content, 1)
    return mutations.spoil(packed, rng) if rng.random() < 0.5 else packed


def _read_archive(path: Path) -> None:
    before = set(path.parent.rglob("*"))
    folder = path.parent / "unpacked"
    try:
        for name in extract(path, folder, max_gib=0.01):
            assert (folder / name).is_file()
    finally:
        found = set(path.parent.rglob("*")) - before
        assert all(folder in (file, *file.parents) for file in found), "it left its folder"
        assert not any(file.is_symlink() for file in found), "it made a link"
        shutil.rmtree(folder, ignore_errors=True)


def _read_checkpoint(path: Path) -> None:
    from patchbench.networks.checkpoints import read_checkpoint

    for value in read_checkpoint(path).values():
        value.isfinite().all()


READERS = {
    "image": Reader(37, _make_picture, _read_picture),
    "tiff windows": Reader(16, lambda rng: _spoiled(samples.tiffs(), rng), _read_windows),
    "config": Reader(2, _make_config, _read_config),
    "table": Reader(10, _make_table, _read_table),
    "array": Reader(6, _make_array, _read_array),
    "state": Reader(6, _make_state, _read_state),
    "json": Reader(5, _make_json, io.read_json),
    "image list": Reader(6, _make_list, _read_list),
    "archive": Reader(9, _make_archive, _read_archive),
    "checkpoint": Reader(3, lambda rng: _spoiled(samples.checkpoints(), rng), _read_checkpoint),
}


def reader_of(number: int, names: tuple[str, ...]) -> str:
    """Which reader gets an input: by shares, mixed."""
    turns = [name for name in names for _ in range(READERS[name].share)]
    return turns[number * 37 % len(turns)]


def content_of(number: int, names: tuple[str, ...], seed: int) -> bytes:
    """The input itself; the same in every process, older checkpoints aside: they hold addresses."""
    name = reader_of(number, names)
    return READERS[name].make(random.Random(f"{seed}/{name}/{number}"))
