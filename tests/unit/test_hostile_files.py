"""Files made to do harm, and those that fuzzing found: read for what they are, or refused."""

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

import patchbench.io
from patchbench import images, loading
from patchbench.datasets.image_folder import Dataset
from patchbench.errors import UserError
from patchbench.fingerprint import folder_digest
from patchbench.io import DamagedFileError
from patchbench.records import BadImageError
from patchbench.stages.predict import names_of
from patchbench.stages.prepare import prepare
from patchbench.unpacking import extract
from patchbench.windows import open_windows

NAMES = (
    "two words",
    'it\'s "quoted"',
    "$(touch hacked); `touch hacked`",
    "new\nline",
    "-rf",
    "漢字 \u202e ü",
    "c" * 255,
)


def encoded(kind: str = "PNG", size: tuple[int, int] = (12, 10), **options: object) -> bytes:
    pixels = np.random.default_rng(sum(size)).integers(0, 256, (size[1], size[0], 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def fill(root: Path, names: tuple[str | bytes, ...], size: tuple[int, int] = (12, 10)) -> None:
    """A folder a class, six pictures in each."""
    for n, name in enumerate(names):
        folder = os.path.join(os.fsencode(root), os.fsencode(name))  # noqa: PTH118 - no text
        os.makedirs(folder)  # noqa: PTH103
        for i in range(6):
            Path(os.fsdecode(folder), f"-{i} $(x)\n.png").write_bytes(
                encoded(size=(size[0] + n, size[1] + i))
            )


def prepared(root: Path, out: Path, **settings: object) -> pd.DataFrame:
    spec = {"type": "image_folder", "image_size_px": 8, "root": str(root)} | settings
    prepare("mine", spec, out, out)
    return patchbench.io.read_table(out / "images.parquet", "images")


def test_names_of_classes_and_files_are_only_names(tmp_path: Path) -> None:
    fill(tmp_path / "-rf $(x)\n'", NAMES)
    frame = prepared(tmp_path / "-rf $(x)\n'", tmp_path / "out")
    assert set(frame["class_name"]) == set(NAMES)
    assert set(frame["image_id"]) == {f"{c}/-{i} $(x)\n.png" for c in NAMES for i in range(6)}


def test_what_is_written_of_an_image_has_a_name_that_disks_take(tmp_path: Path) -> None:
    for name in names_of([Path("ü" * 127), Path("ü" * 126 + "ä"), Path(os.fsdecode(b"\xff.png"))]):
        (tmp_path / f"{name}.evidence.npy").touch()
    assert len(list(tmp_path.iterdir())) == 3


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "in", ("a", b"\xff\xfe"))
    folder_digest(tmp_path / "in")
    with pytest.raises(UserError, match=r"'\\udcff\\udcfe/.*no text in UTF-8; rename it"):
        prepared(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("to", ["nowhere", "itself", "above"])
def test_links_that_lead_nowhere_or_round_in_a_circle_end(tmp_path: Path, to: str) -> None:
    root = tmp_path / "in"
    fill(root, ("a", "b"))
    before = folder_digest(root)
    link = root / "a" / "link"
    link.symlink_to({"nowhere": root / "none", "itself": link, "above": root}[to])
    assert to == "above" or folder_digest(root) != before
    assert len(prepared(root, tmp_path / "out")) == 12


def test_a_folder_that_cannot_be_read_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none cannot be looked into .*; open it to reading"):
        folder_digest(tmp_path / "none")


@pytest.mark.parametrize("how", images.RESIZE_MODES)
@pytest.mark.parametrize("size", [(1, 1), (60_000, 1), (1, 60_000)])
def test_images_of_absurd_shapes_are_too_small_or_taken_as_asked(
    tmp_path: Path, how: str, size: tuple[int, int]
) -> None:
    path = tmp_path / "it.png"
    path.write_bytes(encoded(size=size))
    assert images.resize(images.decode(path), 8, how).shape == (8, 8, 3)
    with open_windows(path) as windows:
        assert (windows.width_px, windows.height_px) == size


def test_the_limit_of_an_entry_reaches_the_decoder(tmp_path: Path) -> None:
    fill(tmp_path / "in", ("a", "b"))
    with pytest.raises(UserError, match=r"0 megapixels, more than 0\.0001"):
        prepared(tmp_path / "in", tmp_path / "out", max_image_megapixels=0.0001)


def test_a_stated_length_makes_no_room(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(b"few bytes")
    with loading._Bounded(path) as file:
        assert file.read(2**62) == b"few bytes"
        assert file.read(2**62) == b""


def test_formats_that_another_program_would_open_are_no_images() -> None:
    with pytest.raises(BadImageError, match="not an image"):
        images.decode(encoded("EPS"))


def test_a_tiff_whose_offsets_are_fractions_is_a_bad_image() -> None:
    content = encoded("TIFF")
    at = content.index(b"\x11\x01\x04\0\1\0\0\0")  # where the strips begin: a whole number
    with pytest.raises(BadImageError, match="cannot be decoded"):
        images.decode(content[: at + 2] + b"\x0b" + content[at + 3 :])


def test_broken_exif_leaves_the_pixels() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = encoded("JPEG", exif=exif)
    at = whole.index(b"Exif\0\0") + 6
    for broken in (b"\xff" * 20, b"II*\0\xff\xff\xff\xff", b"MM\0*\xff\xff\xff\xff"):
        content = whole[:at] + broken + whole[at + len(broken) :]
        assert images.decode(content).shape == (10, 12, 3)


def test_a_tiff_whose_pieces_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "it.tif"
    tifffile.imwrite(path, np.zeros((40, 50, 3), np.uint8), rowsperstrip=8, compression="zlib")
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages.first.tags["ImageWidth"].overwrite(2**27, dtype="I")
    with pytest.raises(UserError, match=r"pieces of 134,217,728 x 8 px.*export it again as tiled"):
        open_windows(path)


def zip_of(method: int, name: str = "a") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as zipped:
        zipped.writestr(name, b"hello, " * 100)
    return buffer.getvalue()


def tar_with_name_of(n_bytes: int) -> bytes:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, n_bytes
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(2048)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: tar_with_name_of(2**33), "a name of 8,589,934,592 bytes"),
        (lambda: zip_of(zipfile.ZIP_STORED, "x").replace(b"x", b"\0"), "leads out of its folder"),
        (lambda: zip_of(zipfile.ZIP_LZMA).replace(b"]\0\0", b"\xff\xff\xff"), "cannot be unpacked"),
        (
            lambda: zip_of(99 * 0).replace(b"\x14\0\0\0\0\0", b"\x14\0\1\0\0\0"),
            "cannot be unpacked",
        ),
        (lambda: gzip.compress(b"x")[:3], "cannot be unpacked"),
        (lambda: zip_of(zipfile.ZIP_STORED, "n" * 300), "cannot be unpacked"),
    ],
    ids=["bomb of a name", "no name", "no LZMA", "encrypted", "no header", "long name"],
)
def test_archives_that_crashed_their_readers_are_refused(
    tmp_path: Path, content: Callable[[], bytes], message: str
) -> None:
    (tmp_path / "it").write_bytes(content())
    with pytest.raises(UserError, match=message) as caught:
        extract(tmp_path / "it", tmp_path / "out")
    assert "\n" not in str(caught.value)


HEADER = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }"


def npy(header: str = HEADER, values: bytes = bytes(48)) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + values


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(HEADER.replace("2, 3", "2, 3" + "0" * 14)), "bytes that its header says"),
        (npy(HEADER.replace("<f8", "|O")), "plain numbers or text"),
        (npy(HEADER.replace("(2, 3)", "(2, 3 if 1 else 2)")), "plain numbers or text"),
        (npy(HEADER.replace("(2, 3), }", "'''")), "plain numbers or text"),
        (npy(HEADER.replace("<f8", "<f7")), "no type <f7"),
        (npy(HEADER.replace("<f8", "<U2"), b"\xff" * 48), "characters that do not exist"),
        (b"PK\3\4", "no array in NumPy's format"),
    ],
)
def test_arrays_are_plain_numbers_or_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """With a checksum that is right: whoever means harm can write that, too."""
    as_array, as_state = tmp_path / "a.npy", tmp_path / "a.npz"
    as_array.write_bytes(content)
    with zipfile.ZipFile(as_state, "w") as zipped:
        zipped.writestr("w.npy", content)
    for path in (as_array, as_state):
        patchbench.io._append_trailer(path, {})
    with pytest.raises(DamagedFileError):
        patchbench.io.read_state(as_state)
    if "characters" in message:  # a mapped array is not looked through
        return
    with pytest.raises(DamagedFileError, match=message):
        patchbench.io.read_array(as_array)


def test_a_compressed_state_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", w=np.zeros(10_000))
    patchbench.io._append_trailer(tmp_path / "a.npz", {})
    with pytest.raises(DamagedFileError, match="it is compressed"):
        patchbench.io.read_state(tmp_path / "a.npz")


def test_a_value_altered_under_a_new_trailer_is_still_noticed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", w=np.full(1000, 7.0))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[content.index(np.float64(7).tobytes()) + 6] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    patchbench.io._append_trailer(tmp_path / "a.npz", {})
    with pytest.raises(DamagedFileError, match="Bad CRC-32"):
        patchbench.io.read_state(tmp_path / "a.npz")


def test_arrays_of_every_plain_kind_come_back(tmp_path: Path) -> None:
    kinds = ("?", "u1", ">i2", "f2", "<f4", "f8", "c8", "S3", "<U5")
    state = {f"x{i}": np.ones((2, 0, 3)[: i % 4], kind) for i, kind in enumerate(kinds)}
    state["turned"] = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    patchbench.io.write_state(tmp_path / "a.npz", state)
    found = patchbench.io.read_state(tmp_path / "a.npz")
    for name, value in state.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].dtype == value.dtype and found[name].flags.writeable
    patchbench.io.write_array(tmp_path / "a.npy", state["turned"])
    np.testing.assert_array_equal(patchbench.io.read_array(tmp_path / "a.npy"), state["turned"])


@pytest.mark.parametrize("text", ["[]", '["sha256"]', "[" * 100_000, '"sha256"', "1", "{}"])
def test_json_of_another_shape_is_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DamagedFileError):
        patchbench.io.read_json(tmp_path / "a.json")


@pytest.mark.parametrize("name", ["y" * 5000, "../a\nb", "a\0b"])
def test_names_that_no_disk_takes_are_refused_on_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "list.csv").write_text(f'file,class\n"{name}",x\n')
    with pytest.raises(UserError, match="row 2") as caught:
        Dataset(image_size_px=8, root=str(tmp_path), csv="list.csv").records(tmp_path)
    assert str(caught.value).isprintable()
