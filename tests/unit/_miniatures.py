"""Miniatures of published data sets: files of the real layouts, a few pictures each."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

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
