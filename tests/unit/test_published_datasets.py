"""Published data sets: miniatures of the real layouts, fetched from a server on this machine."""

import gzip
import io
from dataclasses import fields
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from patchbench.datasets._published import Archive
from patchbench.errors import UserError
from patchbench.limits import Limits, hold
from patchbench.records import BadImageError, deciding_download
from patchbench.stages.download import download
from patchbench.stages.prepare import prepare
from unit._miniatures import CIFAR, EXPECTED, PCAM, STL, TRIMAP, Files, matlab, tf_flowers

PCAM_TEST = "camelyonpatch_level_2_split_test"
# a value of each setting that some download depends on, which is not its default
OTHERWISE = {"size": "320", "splits": "logged", "max_download_gib": 0.5}
every_set = pytest.mark.parametrize("name", sorted(EXPECTED))


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
    download(name, deciding_download(name, {"image_size_px": 8}), tmp_path / "data")
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


def spoiled_matlab() -> bytes:
    """Vectors that are stored compressed, and no longer can be unpacked."""
    buffer = io.BytesIO()
    savemat(buffer, {"trnid": np.arange(99)}, do_compression=True)
    content = bytearray(buffer.getvalue())
    content[136:140] = b"\xff" * 4  # behind the header of the file and that of the vector
    return bytes(content)


def hdf5_group(key: str) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_group(key)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        ("cifar10", "cifar-10-batches-bin/test_batch.bin", b"abc", "no whole number of records"),
        ("cifar10", "cifar-10-batches-bin/test_batch.bin", b"\xff" * 3073, "a class 255"),
        ("stl10", "stl10_binary/test_y.bin", b"\x01", "does not belong to test_X.bin"),
        ("flowers102", "setid.mat", b"<html>", "download it again"),
        ("flowers102", "setid.mat", matlab(trnid=[99], valid=[1], tstid=[2]), "image 99 of 8"),
        ("patch_camelyon", "camelyonpatch_level_2_split_test_y.h5", b"<html>", "download it again"),
        ("flowers102", "setid.mat", b" " * 124 + b"\0\2IM", r"v7\.3.*download it again"),
        ("flowers102", "setid.mat", spoiled_matlab(), "Error -3 .*download it again"),
        ("patch_camelyon", f"{PCAM_TEST}_x.h5", hdf5_group("x"), "no array under 'x'"),
        ("patch_camelyon", f"{PCAM_TEST}_y.h5", hdf5_group("y"), "no array under 'y'"),
        ("oxford_pets", "annotations/test.txt", b"../../etc/passwd_1 1 1 1", "no picture of this"),
        ("oxford_pets", "annotations/test.txt", b"\xff\xfe", "no text in UTF-8"),
        ("stl10", "stl10_binary/class_names.txt", b"\xff\xfe", "no text in UTF-8"),
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


@pytest.mark.parametrize("name", sorted([*EXPECTED, "flowers5"]))
def test_only_what_decides_what_is_fetched_fetches_it_again(name: str) -> None:
    before = deciding_download(name, {"image_size_px": 8})
    other = {"image_size_px": 9, "resize": "pad", "val_fraction": 0.2, "seed": 1, "root": None}
    assert deciding_download("mine", {"type": name} | other) == before
    Dataset = import_module(f"patchbench.datasets.{name}").Dataset
    own = {field.name for field in fields(Dataset)} - {"image_size_px", "seed", "root"}
    assert own == set(Dataset.download_settings)
    for setting in own | {"max_download_gib"}:
        assert deciding_download(name, {setting: OTHERWISE[setting]}) != before


def test_a_mirror_is_asked_where_the_first_address_does_not_deliver(
    served, tmp_path: Path, monkeypatch
) -> None:
    module, (folder, address) = import_module("patchbench.datasets.tf_flowers"), served
    ((file, content),) = tf_flowers().items()
    (folder / file).write_bytes(content)
    checksum = sha256(content).hexdigest()
    archive = Archive(f"{address}/gone/{file}", checksum, mirrors=(f"{address}/{file}",))
    monkeypatch.setattr(module, "ARCHIVE", archive)
    dataset = module.Dataset(image_size_px=8)
    dataset.download(tmp_path / "data")
    assert len(dataset.records(tmp_path / "data")) == 8


@every_set
def test_mirrors_are_of_the_same_file(name: str) -> None:
    for archive in import_module(f"patchbench.datasets.{name}").Dataset(image_size_px=8).archives:
        assert {url.rpartition("/")[2] for url in archive.urls} == {archive.file}
        assert len(set(archive.urls)) == len(archive.urls)


def test_a_file_of_pcam_unpacks_up_to_the_limit(tmp_path: Path) -> None:
    from patchbench.datasets.patch_camelyon import Dataset

    (tmp_path / "bomb.h5.gz").write_bytes(gzip.compress(bytes(5_000_000)))
    few = hold(Limits(max_download_gib=0.001))
    with few, pytest.raises(UserError, match=r"unpacks to more than .* raise max_download_gib"):
        Dataset(image_size_px=8).unpack(tmp_path / "bomb.h5.gz", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["bomb.h5.gz"]
