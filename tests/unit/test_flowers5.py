"""The study's flowers: the list that is shipped, the download of a miniature, local copies."""

import csv
import gzip
import io
import tarfile
from collections import Counter
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from patchbench.datasets import flowers5
from patchbench.datasets.flowers5 import Dataset, read_metadata
from patchbench.errors import UserError

COLUMNS = ["file", "sha256", "authors", "logged", "leak_free", "group"]


def test_the_shipped_list_has_the_published_counts() -> None:
    rows = read_metadata(flowers5.METADATA_PATH)
    counts = {name: Counter(row[name] for row in rows if row[name]) for name in COLUMNS[2:5]}
    assert counts["authors"] == {"train": 2968, "val": 848, "test": 426}
    assert counts["logged"] == {"train": 3073, "val": 875, "test": 375}
    assert counts["leak_free"] == {"train": 2898, "val": 838, "test": 425, "drop": 81}
    assert sum(bool(row["sha256"]) for row in rows) == 4242


def test_no_group_of_the_leak_free_split_is_on_two_sides() -> None:
    sides: dict[str, set[str]] = {}
    for row in read_metadata(flowers5.METADATA_PATH):
        if row["group"] and row["leak_free"] != "drop":
            sides.setdefault(row["group"], set()).add(row["leak_free"])
    assert all(len(found) == 1 for found in sides.values())


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


PICTURES = {"daisy/a.jpg": jpeg(0), "daisy/b.jpg": jpeg(1), "rose/c.jpg": jpeg(2)}
EXTRA = {"rose/d.jpg": jpeg(3)}


@pytest.fixture
def small_list(tmp_path, monkeypatch) -> None:
    """Shrink the study to three pictures, and one more of the logged split."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for (file, content), split, clean in zip(
        PICTURES.items(), ("train", "test", "train"), ("train", "drop", "train"), strict=True
    ):
        writer.writerow([file, sha256(content).hexdigest(), split, split, clean, "g1"])
    writer.writerow(["rose/d.jpg", "", "", "val", "", ""])
    path = tmp_path / "list.csv.gz"
    path.write_bytes(gzip.compress(text.getvalue().encode()))
    monkeypatch.setattr(flowers5, "METADATA_PATH", path)


def put(folder: Path, pictures: dict[str, bytes]) -> Path:
    for file, content in pictures.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)
    return folder


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        super().do_GET()


@pytest.fixture
def server(tmp_path, small_list, monkeypatch):
    """Serve ``tmp_path/served`` at the addresses of the study."""
    served = tmp_path / "served"
    served.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=served)) as running:
        running.daemon_threads = True
        running.asked, running.folder = [], served
        base = f"http://127.0.0.1:{running.server_port}"
        monkeypatch.setattr(flowers5, "ARCHIVE_URL", f"{base}/archive")
        monkeypatch.setattr(flowers5, "FILE_URLS", (f"{base}/a/{{file}}", f"{base}/b/{{file}}"))
        monkeypatch.setattr(flowers5, "EXTRA_URL", f"{base}/extra/{{split}}/{{file}}")
        monkeypatch.setattr(flowers5, "_FEW", 1)
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def repository(pictures: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for file, content in pictures.items():
            for place in ("flowers_original", "flowers_tvtsplit/train"):
                info = tarfile.TarInfo(f"repository-f34fd56/{place}/{file}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_the_archive_brings_every_picture_and_nothing_else(server, tmp_path) -> None:
    (server.folder / "archive").write_bytes(repository(PICTURES))
    Dataset(image_size_px=8).download(tmp_path / "out")
    assert contents(tmp_path / "out") == PICTURES
    assert server.asked == ["/archive"]


def test_what_the_archive_has_wrong_comes_from_the_mirror(server, tmp_path) -> None:
    (server.folder / "archive").write_bytes(repository(PICTURES | {"daisy/b.jpg": b"wrong"}))
    put(server.folder / "b", PICTURES)
    Dataset(image_size_px=8).download(tmp_path / "out")
    assert contents(tmp_path / "out") == PICTURES
    assert server.asked == ["/archive", "/a/daisy/b.jpg", "/b/daisy/b.jpg"]


def test_without_the_archive_every_picture_comes_by_itself(server, tmp_path) -> None:
    put(server.folder / "a", PICTURES)
    Dataset(image_size_px=8).download(tmp_path / "out")
    assert contents(tmp_path / "out") == PICTURES


def test_pictures_that_are_there_are_not_downloaded_again(server, tmp_path) -> None:
    put(server.folder / "a", PICTURES)
    put(tmp_path / "out", PICTURES | {"rose/c.jpg": b"damaged"})
    Dataset(image_size_px=8).download(tmp_path / "out")
    assert contents(tmp_path / "out") == PICTURES
    assert server.asked == ["/a/rose/c.jpg"]


def test_a_picture_that_no_mirror_has_is_told(server, tmp_path) -> None:
    with pytest.raises(UserError, match=r"could not download a.jpg .*404"):
        Dataset(image_size_px=8).download(tmp_path / "out")


def test_the_logged_split_downloads_its_extra_pictures(server, tmp_path) -> None:
    put(server.folder / "a", PICTURES)
    put(server.folder / "extra" / "valid", EXTRA)
    dataset = Dataset(image_size_px=8, splits="logged")
    dataset.download(tmp_path / "out")
    assert contents(tmp_path / "out") == PICTURES | EXTRA
    assert [r.split for r in dataset.records(tmp_path / "out")] == ["train", "test", "train", "val"]


def test_an_extra_picture_must_decode(server, tmp_path) -> None:
    put(server.folder / "a", PICTURES)
    put(server.folder / "extra" / "val", {"rose/d.jpg": b"<html></html>"})
    with pytest.raises(UserError, match=r"rose/d.jpg was downloaded but not an image"):
        Dataset(image_size_px=8, splits="logged").download(tmp_path / "out")
    assert not (tmp_path / "out" / "rose" / "d.jpg").exists()


def local(root: Path, **settings: str) -> list:
    return Dataset(image_size_px=8, root=str(root), **settings).records(Path("unused"))


def test_a_local_copy_needs_no_download_and_keeps_groups_where_they_hold(small_list, tmp_path):
    root = put(tmp_path / "root", PICTURES)
    assert not Dataset(image_size_px=8, root=str(root)).needs_download
    clean = local(root)
    assert [(r.image_id, r.split, r.group) for r in clean] == [
        ("daisy/a.jpg", "train", "g1"),
        ("daisy/b.jpg", "drop", "g1"),
        ("rose/c.jpg", "train", "g1"),
    ]
    assert clean[0].read()[0].shape == (12, 16, 3)
    assert [(r.split, r.group) for r in local(root, splits="authors")][1] == ("test", None)


def test_an_incomplete_copy_is_refused(small_list, tmp_path) -> None:
    root = put(tmp_path / "root", {"daisy/a.jpg": b""})
    with pytest.raises(UserError, match=r"2 of the 3 pictures .* the first of them daisy/b.jpg"):
        local(root)


@pytest.mark.parametrize("place", ["root", "flowers5-extra"])
def test_the_logged_split_finds_its_extra_pictures(small_list, tmp_path, place: str) -> None:
    root = put(tmp_path / "root", PICTURES)
    with pytest.raises(UserError, match=r"1 of the 4 pictures .*flowers5-extra, the first .*d.jpg"):
        local(root, splits="logged")
    put(tmp_path / place, EXTRA)
    assert len(local(root, splits="logged")) == 4


def test_a_smaller_set_states_its_own_split(small_list, tmp_path) -> None:
    root = put(tmp_path / "root", PICTURES)
    (root / "splits.csv").write_text(
        "file,class,split\nrose/c.jpg,rose,test\ndaisy/a.jpg,daisy,train\n"
    )
    assert [(r.image_id, r.split) for r in local(root)] == [
        ("daisy/a.jpg", "train"),
        ("rose/c.jpg", "test"),
    ]
    (root / "rose" / "c.jpg").unlink()
    with pytest.raises(UserError, match=r"splits.csv, row 2: there is no file .*rose/c.jpg"):
        local(root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"../secret.jpg,x,test", r"row 2: ../secret.jpg leads out of"),
        (b"/etc/passwd,x,test", "row 2: /etc/passwd leads out of"),
        (b"%s,x,test" % (b"y" * 5000), "row 2: there is no file"),
        (b"daisy/a.jpg", "row 2: file or class is empty"),
        (b"daisy/a.jpg,daisy,exam", "row 2: split 'exam' is unknown"),
        (b"daisy/\xff.jpg,daisy,test", "not a CSV file in UTF-8"),
        (b"%s,x,test" % (b"y" * 200_000), "not a CSV file in UTF-8"),
        (b"", "no rows"),
    ],
    ids=["above", "absolute", "too long", "short", "no split", "no text", "no CSV", "empty"],
)
def test_a_bad_list_of_its_own_is_refused(small_list, tmp_path, text: bytes, message: str) -> None:
    root = put(tmp_path / "root", PICTURES)
    (root / "splits.csv").write_bytes(b"file,class,split\n" + text + b"\n" * bool(text))
    with pytest.raises(UserError, match=message):
        local(root)


def test_the_full_sets_own_list_does_not_overrule_the_setting(small_list, tmp_path) -> None:
    root = put(tmp_path / "root", PICTURES)
    lines = [f"{file},{file.split('/')[0]},val" for file in PICTURES]
    (root / "splits.csv").write_text("\n".join(["file,class,split", *lines]))
    assert {r.split for r in local(root)} == {"train", "drop"}


def test_bad_settings_and_folders_are_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="leak-free, authors, logged"):
        Dataset(image_size_px=8, splits="mine")
    with pytest.raises(UserError, match="absent does not exist"):
        local(tmp_path / "absent")
    (tmp_path / "splits.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="no columns file,class,split"):
        local(tmp_path)
