"""Archives that nobody here has made: unpacked into their folder, or refused."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from patchbench import unpacking
from patchbench.errors import UserError
from patchbench.limits import Limits, hold
from patchbench.unpacking import extract, gunzip

CONTENT = bytes(range(256)) * 12_000


def tar_with(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def link(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo("a/link")
    info.type, info.linkname = kind, "../../outside"
    return info


@pytest.fixture
def archive(tmp_path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in" / "archive"


def test_tar_and_zip_unpack_alike(archive, tmp_path) -> None:
    archive.write_bytes(tar_with((tarfile.TarInfo("a/b.txt"), b"hello")))
    assert extract(archive, tmp_path / "tar") == ["a/b.txt"]
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("a/", "")
        zipped.writestr("a/b.txt", "hello")
    assert extract(archive, tmp_path / "zip") == ["a/b.txt"]
    for kind in ("tar", "zip"):
        assert (tmp_path / kind / "a" / "b.txt").read_bytes() == b"hello"


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "/outside", "a\\..\\outside"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_paths_that_lead_out_are_refused(archive, tmp_path, name: str, kind: str) -> None:
    if kind == "tar":
        archive.write_bytes(tar_with((tarfile.TarInfo(name), b"evil")))
    else:
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr(name, "evil")
    with pytest.raises(UserError, match="leads out of its folder"):
        extract(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(archive, tmp_path, kind: bytes) -> None:
    archive.write_bytes(tar_with((link(kind), b"")))
    with pytest.raises(UserError, match="a link or a device"):
        extract(archive, tmp_path / "out")


def test_links_in_a_zip_are_refused(archive, tmp_path) -> None:
    info = zipfile.ZipInfo("a/link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr(info, "../../outside")
    with pytest.raises(UserError, match="a link or a device"):
        extract(archive, tmp_path / "out")


def test_unpacking_stops_at_the_size_limit(archive, tmp_path) -> None:
    archive.write_bytes(tar_with((tarfile.TarInfo("zeros"), bytes(5_000_000))))
    with pytest.raises(UserError, match="unpacks to more than"):
        extract(archive, tmp_path / "out", max_gib=0.001)
    assert not (tmp_path / "out" / "zeros").exists()


def test_cut_off_and_foreign_archives_are_told_in_one_sentence(archive, tmp_path) -> None:
    whole = tar_with((tarfile.TarInfo("a"), CONTENT), (tarfile.TarInfo("b"), CONTENT))
    for content in (whole[: len(whole) // 2], b"<html></html>"):
        archive.write_bytes(content)
        with pytest.raises(UserError, match="cannot be unpacked"):
            extract(archive, tmp_path / "out")


def test_only_what_is_renamed_is_unpacked(archive, tmp_path) -> None:
    archive.write_bytes(
        tar_with(
            (tarfile.TarInfo("x/a"), b"1"),
            (link(tarfile.SYMTYPE), b""),
            (tarfile.TarInfo("c"), b"2"),
        )
    )
    assert extract(archive, tmp_path / "out", {"x/a": "y"}.get) == ["y"]


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_files_without_end_are_not_unpacked(archive, tmp_path, monkeypatch, kind: str) -> None:
    names = ["a", "b", "skipped", "c"]
    if kind == "tar":
        archive.write_bytes(tar_with(*((tarfile.TarInfo(name), b"") for name in names)))
    else:
        with zipfile.ZipFile(archive, "w") as zipped:
            for name in names:
                zipped.writestr(name, "")
    wanted = {name: name for name in "abc"}.get
    monkeypatch.setattr(unpacking, "_MOST_ENTRIES", 4)
    assert extract(archive, tmp_path / "out", wanted) == ["a", "b", "c"]
    monkeypatch.setattr(unpacking, "_MOST_ENTRIES", 3)
    with pytest.raises(UserError, match="holds more than 3 files"):
        extract(archive, tmp_path / "out", wanted)


def test_a_compressed_file_is_unpacked_up_to_the_limit(archive, tmp_path) -> None:
    archive.write_bytes(gzip.compress(CONTENT))
    gunzip(archive, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT
    few = hold(Limits(max_download_gib=0.001))
    with few, pytest.raises(UserError, match=r"unpacks to more than .* raise max_download_gib"):
        gunzip(archive, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_damaged_compressed_file_is_told_in_one_sentence(archive, tmp_path) -> None:
    whole = gzip.compress(CONTENT)
    for content in (whole[:99], b"<html></html>", whole[:10] + b"\xff" * 99):
        archive.write_bytes(content)
        with pytest.raises(UserError, match="cannot be unpacked"):
            gunzip(archive, tmp_path / "a")
    assert not (tmp_path / "a").exists()
