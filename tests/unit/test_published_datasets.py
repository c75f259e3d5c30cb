"""Published data sets: miniatures of the real layouts, fetched from a server on this machine."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from patchbench.datasets._published import Archive
from patchbench.errors import UserError
from patchbench.records import BadImageError
from patchbench.stages.prepare import prepare

RNG = np.random.default_rng(0)
Files = dict[str, bytes]


def picture(kind: str = "JPEG", values: np.ndarray | None = None) -> bytes:
    pixels = RNG.integers(0, 256, (12, 16, 3), np.uint8) if values is None else values
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def tar(files: Files) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zipped(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def matlab(**vectors: list[int]) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, {key: np.array([values]) for key, values in vectors.items()})
    return buffer.getvalue()


def hdf5(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for key, values in arrays.items():
            file[key] = values
    return gzip.compress(buffer.getvalue())


CIFAR = RNG.integers(0, 256, (2, 3, 32, 32), np.uint8)
STL = RNG.integers(0, 256, (2, 3, 96, 96), np.uint8)
PCAM = RNG.integers(0, 256, (2, 96, 96, 3), np.uint8)
TRIMAP = np.full((12, 16), 2, np.uint8)
TRIMAP[3:6, 4:9], TRIMAP[3, 4:9] = 1, 3


def tf_flowers() -> Files:
    names = [f"{name}/{i}.jpg" for name in ("daisy", "roses") for i in range(4)]
    files = {f"flower_photos/{name}": picture() for name in names}
    return {"flower_photos.tgz": tar(files | {"flower_photos/LICENSE.txt": b"CC BY"})}


def eurosat() -> Files:
    names = [f"2750/{name}/{name}_{i}.jpg" for name in ("Forest", "River") for i in range(4)]
    return {"EuroSAT.zip": zipped({name: picture() for name in names})}


def imagenette() -> Files:
    folders = [f"{s}/{wnid}" for s in ("train", "val") for wnid in ("n01440764", "n03028079")]
    names = [
        f"imagenette2-160/{folder}/{folder[:3]}_{i}.JPEG" for folder in folders for i in range(4)
    ]
    extra = {"imagenette2-160/noisy_imagenette.csv": b"path", "imagenette2-160/train/._x": b""}
    return {"imagenette2-160.tgz": tar({name: picture() for name in names} | extra)}


def oxford_pets() -> Files:
    names = [f"{breed}_{i}" for breed in ("Abyssinian", "basset_hound") for i in range(8)]
    train, test = names[:5] + names[8:13], names[5:8] + names[13:]
    lists = {
        f"annotations/{file}": "\n".join(["# comment"] + [f"{n} 1 1 1" for n in listed]).encode()
        for file, listed in (("trainval.txt", train), ("test.txt", test))
    }
    trimaps = {f"annotations/trimaps/{n}.png": picture("PNG", TRIMAP) for n in names}
    junk = {"annotations/trimaps/._x.png": b"", "annotations/xmls/x.xml": b"<a/>"}
    photographs = {f"images/{name}.jpg": picture() for name in names}
    return {
        "images.tar.gz": tar(photographs | {"images/Abyssinian_100.mat": b"?"}),
        "annotations.tar.gz": tar(lists | trimaps | junk),
    }


def flowers102() -> Files:
    return {
        "102flowers.tgz": tar({f"jpg/image_{i:05d}.jpg": picture() for i in range(1, 9)}),
        "imagelabels.mat": matlab(labels=[77, 77, 3, 3, 77, 77, 3, 3]),
        "setid.mat": matlab(trnid=[1, 3], valid=[2, 4], tstid=[5, 6, 7, 8]),
    }


def cifar10() -> Files:
    rows = b"".join(
        bytes([label]) + image.tobytes() for label, image in zip((3, 9), CIFAR, strict=True)
    )
    many = b"".join(
        bytes([i % 2]) + RNG.integers(0, 256, 3072, np.uint8).tobytes() for i in range(8)
    )
    files = {f"data_batch_{i}.bin": many for i in range(2, 6)}
    files |= {"data_batch_1.bin": rows, "test_batch.bin": many, "batches.meta.txt": b"airplane"}
    packed = {f"cifar-10-batches-bin/{name}": content for name, content in files.items()}
    return {"cifar-10-binary.tar.gz": tar(packed)}


def stl10() -> Files:
    # colour by colour, and each colour column by column
    stored = np.ascontiguousarray(STL.transpose(0, 1, 3, 2)).tobytes()
    files = {
        "train_X.bin": RNG.bytes(8 * 3 * 96**2),
        "train_y.bin": bytes([1, 2] * 4),
        "test_X.bin": stored,
        "test_y.bin": bytes([1, 2]),
        "unlabeled_X.bin": stored,
        "class_names.txt": b"airplane\nbird\ncar\n",
    }
    return {"stl10_binary.tar.gz": tar({f"stl10_binary/{name}": f for name, f in files.items()})}


def patch_camelyon() -> Files:
    labels = np.array([0, 1]).reshape(2, 1, 1, 1)
    start = "camelyonpatch_level_2_split"
    return {
        f"{start}_{split}_{key}.h5.gz": hdf5(**{key: values})
        for split in ("train", "valid", "test")
        for key, values in (("x", PCAM), ("y", labels))
    }


@dataclass
class Expected:
    """What the records of a miniature are."""

    make: Callable[[], Files]
    n_records: int
    classes: set[str]
    splits: set[str | None]


EXPECTED = {
    "tf_flowers": Expected(tf_flowers, 8, {"daisy", "roses"}, {None}),
    "eurosat": Expected(eurosat, 8, {"Forest", "River"}, {None}),
    "imagenette": Expected(imagenette, 16, {"tench", "church"}, {"train", "test"}),
    "oxford_pets": Expected(oxford_pets, 16, {"Abyssinian", "basset_hound"}, {"train", "test"}),
    "flowers102": Expected(flowers102, 8, {"003", "077"}, {"train", "val", "test"}),
    "cifar10": Expected(cifar10, 42, {"airplane", "automobile", "cat", "truck"}, {"train", "test"}),
    "stl10": Expected(stl10, 10, {"airplane", "bird"}, {"train", "test"}),
    "patch_camelyon": Expected(patch_camelyon, 6, {"normal", "tumour"}, {"train", "val", "test"}),
}
every_set = pytest.mark.parametrize("name", sorted(EXPECTED))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address it is served at."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def fetched(request, served, tmp_path: Path, monkeypatch) -> tuple[str, Any, Path]:
    """A data set's name, itself, and the folder its miniature was downloaded to."""
    name = request.param
    return name, *_fetch(name, EXPECTED[name].make(), served, tmp_path, monkeypatch)


def _fetch(name: str, files: Files, served, tmp_path: Path, monkeypatch) -> tuple[Any, Path]:
    module, (folder, address) = import_module(f"patchbench.datasets.{name}"), served
    archives = {}
    for file, content in files.items():
        (folder / file).write_bytes(content)
        archives[file] = Archive(f"{address}/{file}", sha256(content).hexdigest())
    if hasattr(module, "ARCHIVE"):
        assert module.ARCHIVE.file in archives
        monkeypatch.setattr(module, "ARCHIVE", archives[module.ARCHIVE.file])
    elif isinstance(module.ARCHIVES, dict):
        monkeypatch.setitem(module.ARCHIVES, "160", archives[module.ARCHIVES["160"].file])
    else:
        replaced = tuple(archives[archive.file] for archive in module.ARCHIVES)
        monkeypatch.setattr(module, "ARCHIVES", replaced)
    dataset = module.Dataset(image_size_px=8)
    assert dataset.needs_download
    dataset.download(tmp_path / "data")
    return dataset, tmp_path / "data"


every_fetched = pytest.mark.parametrize("fetched", sorted(EXPECTED), indirect=True)


@every_fetched
def test_records_of_the_download_are_those_of_the_layout(fetched) -> None:
    name, dataset, folder = fetched
    records, expected = dataset.records(folder), EXPECTED[name]
    assert len(records) == expected.n_records
    assert {record.class_name for record in records} == expected.classes
    assert {record.split for record in records} == expected.splits
    ids = [record.image_id for record in records]
    assert ids == sorted(set(ids))
    for record in records:
        pixels, mask = record.read()
        assert (pixels.dtype, pixels.ndim, pixels.shape[-1]) == (np.uint8, 3, 3)
        assert (mask is not None) == dataset.masks


@every_fetched
def test_no_archive_is_left_and_a_copy_is_read_where_it_lies(fetched) -> None:
    _, dataset, folder = fetched
    left = {path.name for path in folder.iterdir() if path.is_file()}
    assert not {file for file in left if file.endswith((".tgz", ".gz", ".zip"))}
    copy = type(dataset)(image_size_px=8, root=str(folder))
    assert not copy.needs_download
    assert [r.image_id for r in copy.records(Path("/nowhere"))] == [
        r.image_id for r in dataset.records(folder)
    ]


@every_fetched
def test_it_is_prepared_with_every_split_filled(fetched, tmp_path: Path) -> None:
    name, _, folder = fetched
    spec = {"type": name, "image_size_px": 8, "root": str(folder), "val_fraction": 0.3}
    report = prepare("mini", spec, folder, tmp_path / "out")
    assert all(sum(counts.values()) for counts in report["n_images"].values())
    assert report["masks"] == (name == "oxford_pets")


@every_set
def test_a_copy_that_is_not_there_or_empty_is_told(name: str, tmp_path: Path) -> None:
    Dataset = import_module(f"patchbench.datasets.{name}").Dataset
    with pytest.raises(UserError, match="does not exist; set root"):
        Dataset(image_size_px=8, root=str(tmp_path / "no")).records(tmp_path)
    with pytest.raises(UserError, match="is not there"):
        Dataset(image_size_px=8, root=str(tmp_path)).records(tmp_path)


def first(records: list, image_id: str) -> tuple[np.ndarray, np.ndarray | None]:
    return next(record.read() for record in records if record.image_id == image_id)


@pytest.mark.parametrize("fetched", ["cifar10"], indirect=True)
def test_bytes_of_cifar_become_the_picture(fetched) -> None:
    pixels, _ = first(fetched[1].records(fetched[2]), "cat/data_batch_1-00000")
    np.testing.assert_array_equal(pixels, CIFAR[0].transpose(1, 2, 0))


@pytest.mark.parametrize("fetched", ["stl10"], indirect=True)
def test_columns_of_stl_become_the_picture_and_the_unlabelled_stay_packed(fetched) -> None:
    pixels, _ = first(fetched[1].records(fetched[2]), "bird/test-00001")
    np.testing.assert_array_equal(pixels, STL[1].transpose(1, 2, 0))
    assert not (fetched[2] / "stl10_binary/unlabeled_X.bin").exists()


@pytest.mark.parametrize("fetched", ["patch_camelyon"], indirect=True)
def test_hdf5_of_pcam_becomes_the_picture(fetched) -> None:
    pixels, _ = first(fetched[1].records(fetched[2]), "tumour/valid-000001")
    np.testing.assert_array_equal(pixels, PCAM[1])


@pytest.mark.parametrize("fetched", ["oxford_pets"], indirect=True)
def test_a_trimap_becomes_a_mask_of_animal_and_rim(fetched) -> None:
    _, dataset, folder = fetched
    _, mask = first(dataset.records(folder), "Abyssinian/Abyssinian_0.jpg")
    np.testing.assert_array_equal(mask, TRIMAP != 2)
    (folder / "annotations/trimaps/Abyssinian_0.png").unlink()
    with pytest.raises(BadImageError, match="its trimap: no such file"):
        first(dataset.records(folder), "Abyssinian/Abyssinian_0.jpg")


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        ("cifar10", "cifar-10-batches-bin/test_batch.bin", b"abc", "no whole number of records"),
        ("cifar10", "cifar-10-batches-bin/test_batch.bin", b"\xff" * 3073, "a class 255"),
        ("stl10", "stl10_binary/test_y.bin", b"\x01", "does not belong to test_X.bin"),
        ("flowers102", "setid.mat", b"<html>", "download it again"),
        ("flowers102", "setid.mat", matlab(trnid=[99], valid=[1], tstid=[2]), "image 99 of 8"),
        ("patch_camelyon", "camelyonpatch_level_2_split_test_y.h5", b"<html>", "download it again"),
        ("oxford_pets", "annotations/test.txt", b"../../etc/passwd_1 1 1 1", "no picture of this"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_named(
    name: str, file: str, content: bytes, message: str, served, tmp_path: Path, monkeypatch
) -> None:
    dataset, folder = _fetch(name, EXPECTED[name].make(), served, tmp_path, monkeypatch)
    (folder / file).write_bytes(content)
    with pytest.raises(UserError, match=message):
        dataset.records(folder)


def test_a_size_that_is_not_published_is_refused() -> None:
    from patchbench.datasets.imagenette import Dataset

    with pytest.raises(ValueError, match="size is '999'; choose one of 160, 320, full"):
        Dataset(image_size_px=8, size="999")
