"""Sound files of every kind that the readers take, small, as bytes: what is then spoiled."""

import csv
import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import tifffile
import yaml
from PIL import Image

import patchbench.io
from patchbench import tables

ROOT = Path(__file__).parents[2]


def _pixels(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    planes = np.stack([(5 * y + 3 * x * (c + 1)) % 256 for c in range(shape[2])], axis=-1)
    return (planes * (257 if dtype is np.uint16 else 1)).astype(dtype)


@cache
def pictures() -> list[bytes]:
    """Common formats, colour modes and depths; EXIF, palettes, several frames, progressive."""
    rgb, grey = Image.fromarray(_pixels(40, 48, 3)), Image.fromarray(_pixels(24, 30, 1)[..., 0])
    deep = Image.fromarray(_pixels(20, 24, 1, dtype=np.uint16)[..., 0])
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x9003] = 6, "maker", "2020:01:01 00:00:00"
    frames: dict[str, Any] = {"save_all": True, "append_images": [grey.convert("P")]}
    kinds: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (rgb, "JPEG", {"exif": exif}),
        (rgb, "JPEG", {"progressive": True}),
        (grey, "JPEG", {"quality": 30}),
        (rgb.convert("CMYK"), "JPEG", {}),
        (rgb, "PNG", {"exif": exif}),
        (rgb.convert("RGBA"), "PNG", {}),
        (rgb.convert("P"), "PNG", {"transparency": 3}),
        (grey.convert("1"), "PNG", {}),
        (grey.convert("LA"), "PNG", {}),
        (deep, "PNG", {}),
        (rgb.convert("P"), "GIF", frames),
        (rgb, "WEBP", {"exif": exif}),
        (rgb.convert("RGBA"), "WEBP", {"lossless": True}),
        (rgb, "BMP", {}),
        (grey.convert("P"), "BMP", {}),
        (rgb, "TIFF", {"exif": exif}),
        (rgb, "TIFF", {"compression": "tiff_lzw"}),
        (rgb, "TIFF", {"compression": "jpeg"}),
        (rgb.convert("CMYK"), "TIFF", {}),
        (deep, "TIFF", {}),
        (grey.convert("1"), "TIFF", {"compression": "group4"}),
        (rgb, "PPM", {}),
        (rgb, "JPEG2000", {}),
    ]
    return [_saved(lambda file, s=s: s[0].save(file, s[1], **s[2])) for s in kinds]


@cache
def tiffs() -> list[bytes]:
    """Tiles, strips, planes, compressions, depths, BigTIFF, pyramids, turned, white as zero."""
    kinds: list[tuple[np.ndarray, dict[str, Any]]] = [
        (_pixels(40, 50, 3), {"tile": (16, 32), "compression": "zlib"}),
        (_pixels(40, 50, 3), {"tile": (16, 16), "bigtiff": True}),
        (_pixels(40, 50, 3), {"rowsperstrip": 7, "compression": "lzw", "predictor": True}),
        (_pixels(40, 50, 3), {}),
        (_pixels(3, 40, 50)[:, :, :50], {"planarconfig": "separate", "tile": (16, 16)}),
        (_pixels(40, 50, 3), {"tile": (32, 32), "compression": "jpeg"}),
        (_pixels(40, 50, 3), {"rowsperstrip": 8, "compression": "packbits"}),
        (_pixels(40, 50, 3), {"tile": (16, 16), "compression": "zstd", "byteorder": ">"}),
        (_pixels(40, 50, 3, dtype=np.uint16), {"tile": (16, 16), "compression": "zlib"}),
        (_pixels(40, 50, 1, dtype=np.uint16)[..., 0], {"photometric": "minisblack"}),
        (_pixels(40, 50, 4), {"extrasamples": ["unassalpha"], "tile": (16, 32)}),
        (_pixels(40, 50, 5), {"photometric": "minisblack", "planarconfig": "contig"}),
        (_pixels(40, 50, 3), {"tile": (16, 32), "extratags": [(274, 3, 1, 6, True)]}),
        (_pixels(40, 50, 1)[..., 0], {"photometric": "miniswhite", "rowsperstrip": 8}),
    ]
    return [
        _saved(lambda f, k=k: tifffile.imwrite(f, k[0], **({"photometric": "rgb"} | k[1])))
        for k in kinds
    ]


@cache
def studies() -> list[dict[str, Any]]:
    """The shipped studies, and one of somebody's own images."""
    found = [yaml.safe_load(p.read_text()) for p in sorted(ROOT.glob("workflow/studies/*.yaml"))]
    mine = {"type": "image_folder", "image_size_px": 64, "root": str(ROOT / "docs")}
    return [*found, {"datasets": {"mine": mine}, "benchmark": {"datasets": ["mine"]}}]


@cache
def sound_tables() -> dict[str, pa.Table]:
    """Tables that stages hand on, by name: the patch index among them."""
    return {name: _table(name) for name in ("patches", "images", "predictions", "metrics")}


def _table(name: str) -> pa.Table:
    columns: dict[str, Any] = {}
    for field in tables.schema(name):
        kind = str(field.type)
        if kind.startswith("list"):
            columns[field.name] = [[0.25, 0.75]] * 40
        elif kind == "string":
            columns[field.name] = [f"{field.name}-{i}" for i in range(40)]
        else:
            columns[field.name] = np.arange(40) % 2 if kind == "bool" else np.arange(40)
    return tables.to_arrow(pd.DataFrame(columns), name)


@cache
def parquets() -> list[bytes]:
    """These tables as files."""
    return [sealed_table(table) for table in sound_tables().values()]


@cache
def arrays() -> list[bytes]:
    """Arrays with their trailer."""
    values = (np.arange(60.0).reshape(5, 12), _pixels(8, 8, 3), np.empty((0, 4), np.float32))
    return [_written(lambda path, v=v: patchbench.io.write_array(path, v, {})) for v in values]


@cache
def states() -> list[bytes]:
    """Fitted models with their trailer."""
    state = {"weights": np.arange(24.0).reshape(4, 6), "classes": np.array(["a", "ü"]), "n": 3}
    arrays = {name: np.asarray(value) for name, value in state.items()}
    return [_written(lambda path: patchbench.io.write_state(path, arrays, {"stage": "x"}))]


@cache
def jsons() -> list[bytes]:
    """Reports of stages."""
    value = {"classes": ["a", "b"], "n": {"train": 3, "x": [1.5, None, True]}}
    return [_written(lambda path: patchbench.io.write_json(path, value, {"stage": "x"}))]


@cache
def lists(names: tuple[str, ...]) -> list[bytes]:
    """CSV files of somebody's own images."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["file", "class", "split", "group"])
    rows.writerows([name, f"class {i % 3}", "train", f"g{i}"] for i, name in enumerate(names))
    plain = "file,class\n" + "".join(f"{name},x\n" for name in names if "," not in name)
    return [text.getvalue().encode(), plain.encode(), b"\xef\xbb\xbf" + text.getvalue().encode()]


@cache
def tars() -> list[bytes]:
    """Plain ones, with long names (as GNU and as POSIX write them) and a link."""
    return [
        _saved(lambda file, k=k: _tar(file, k)) for k in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
    ]


def _tar(file: io.BytesIO, kind: int) -> None:
    with tarfile.open(fileobj=file, mode="w", format=kind) as tar:
        for name in ("a/b.txt", "a/" + "long" * 40 + "/ü.txt", "c.txt"):
            info = tarfile.TarInfo(name)
            info.size = 700
            tar.addfile(info, io.BytesIO(b"hello, " * 100))
    file.seek(0)


@cache
def zips() -> list[bytes]:
    """Stored, deflated, and by the two slower methods."""
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    return [_saved(lambda file, k=k: _zip(file, k)) for k in kinds]


def _zip(file: io.BytesIO, kind: int) -> None:
    with zipfile.ZipFile(file, "w", kind) as zipped:
        for name in ("a/", "a/b.txt", "ü/c.txt"):
            info = zipfile.ZipInfo(name)  # of no date, so that inputs are the same on any day
            info.compress_type = kind
            zipped.writestr(info, b"" if name.endswith("/") else b"hello, " * 100)


@cache
def checkpoints() -> list[bytes]:
    """State dicts, as PyTorch writes them now and as it wrote them before."""
    import torch

    content = {"state_dict": torch.nn.Linear(3, 2).state_dict(), "epoch": 3}
    return [
        _saved(lambda file, z=z: torch.save(content, file, _use_new_zipfile_serialization=z))
        for z in (True, False)
    ]


def settings_text(settings: Any) -> bytes:
    """As a file for ``--configfile``."""
    return yaml.dump(settings, Dumper=getattr(yaml, "CDumper", yaml.Dumper)).encode()


def resealed_json(content: bytes) -> bytes:
    """The same with a checksum that is right, where it still is a mapping."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return content
    if not isinstance(value, dict):
        return content
    value.pop("sha256", None)
    value["sha256"] = patchbench.io._json_hash(value)
    return json.dumps(value).encode()


def resealed(content: bytes) -> bytes:
    """The same with a trailer that is right."""

    def write(path: Path) -> None:
        path.write_bytes(content)
        patchbench.io._append_trailer(path, {})

    return _written(write)


def sealed_table(table: pa.Table) -> bytes:
    """Any table as a file with a checksum that is right, where one can be taken of its types."""
    try:
        metadata = {"sha256": patchbench.io._table_hash(table.combine_chunks()), "provenance": "{}"}
    except pa.ArrowException:
        metadata = {}
    return _saved(
        lambda file: pq.write_table(
            table.replace_schema_metadata(metadata), file, compression="zstd"
        )
    )


def bare(content: bytes) -> bytes:
    """An array or a state without its trailer."""
    n_text, _ = patchbench.io._TAIL.unpack(content[-patchbench.io._TAIL.size :])
    return content[: -patchbench.io._TAIL.size - n_text]


def _saved(write: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def _written(write: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        write(path)
        return path.read_bytes()
