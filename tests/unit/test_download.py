"""Downloads against a real server: whole and right, or not there at all."""

import io
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from hashlib import md5, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from patchbench.download import fetch
from patchbench.errors import UserError
from patchbench.limits import Limits, hold
from patchbench.unpacking import extract

CONTENT = bytes(range(256)) * 12_000  # 3 MB; what is kept of a broken transfer is whole MiB
CHECKSUM = sha256(CONTENT).hexdigest()
BEGINS = f"sha256-begins:{CHECKSUM[:8]}"
whole_or_begun = pytest.mark.parametrize("checksum", [CHECKSUM, BEGINS], ids=["whole", "begins"])


class Server(ThreadingHTTPServer):
    """Answers each path with a function; remembers what was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[tuple[str, str | None]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range")))
        answer = self.server.answers.get(self.path)
        self.send_error(404) if answer is None else answer(self)

    def log_message(self, *args: object) -> None:
        pass


def sending(content: bytes, kind: str = "application/octet-stream", only: int | None = None):
    """Make an answer: the content, or only its first bytes under a header that promises all."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        handler.send_response(206 if wanted else 200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        handler.wfile.write(content[start:only])

    return answer


def in_turn(*answers):
    left = list(answers)
    return lambda handler: (left.pop(0) if len(left) > 1 else left[0])(handler)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def get(server: Server, path: Path, *names: str, checksum: str | None = CHECKSUM, attempts=1):
    return fetch([server.url(name) for name in names], checksum, path, attempts, pause_s=0)


@whole_or_begun
def test_a_good_file_arrives_and_nothing_else(server, tmp_path, checksum) -> None:
    server.answers["/a"] = sending(CONTENT)
    assert get(server, tmp_path / "deep" / "a", "/a", checksum=checksum).read_bytes() == CONTENT
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["a"]


@whole_or_begun
def test_a_file_that_is_there_is_not_asked_for_again(server, tmp_path, checksum) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    get(server, tmp_path / "a", "/a", checksum=checksum)
    assert server.asked == []


@whole_or_begun
def test_a_damaged_file_is_replaced(server, tmp_path, checksum) -> None:
    (tmp_path / "a").write_bytes(CONTENT[:-1])
    server.answers["/a"] = sending(CONTENT)
    assert get(server, tmp_path / "a", "/a", checksum=checksum).read_bytes() == CONTENT


def test_md5_and_no_checksum_work(server, tmp_path) -> None:
    server.answers["/a"] = sending(CONTENT)
    get(server, tmp_path / "a", "/a", checksum=f"md5:{md5(CONTENT).hexdigest()}")
    get(server, tmp_path / "b", "/a", checksum=None)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == CONTENT


@whole_or_begun
@pytest.mark.parametrize(
    "wrong", [sending(b"x" * 99), sending(b"<html>log in</html>", "text/html")]
)
def test_a_wrong_file_or_a_web_page_leaves_nothing_behind(
    server, tmp_path, checksum, wrong
) -> None:
    server.answers["/a"] = wrong
    with pytest.raises(UserError, match=r"could not download a .*checksum differs.*by hand"):
        get(server, tmp_path / "a", "/a", checksum=checksum)
    assert list(tmp_path.iterdir()) == []


def test_the_next_mirror_is_tried(server, tmp_path) -> None:
    server.answers |= {"/page": sending(b"<html></html>", "text/html"), "/good": sending(CONTENT)}
    get(server, tmp_path / "a", "/absent", "/page", "/good", attempts=3)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert [path for path, _ in server.asked] == ["/absent", "/page", "/good"]


def test_a_busy_server_is_asked_again(server, tmp_path) -> None:
    server.answers["/a"] = in_turn(lambda handler: handler.send_error(503), sending(CONTENT))
    assert get(server, tmp_path / "a", "/a", attempts=2).read_bytes() == CONTENT


@whole_or_begun
def test_a_broken_off_transfer_goes_on_where_it_stopped(server, tmp_path, checksum) -> None:
    server.answers["/a"] = in_turn(sending(CONTENT, only=2_000_000), sending(CONTENT))
    assert get(server, tmp_path / "a", "/a", attempts=2, checksum=checksum).read_bytes() == CONTENT
    assert server.asked == [("/a", None), ("/a", f"bytes={2**20}-")]


@whole_or_begun
def test_the_next_run_goes_on_from_another_mirror(server, tmp_path, checksum) -> None:
    server.answers |= {"/a": sending(CONTENT, only=2_000_000), "/b": sending(CONTENT)}
    with pytest.raises(UserError, match="connection failed"):
        get(server, tmp_path / "a", "/a", checksum=checksum)
    assert not (tmp_path / "a").exists()
    assert get(server, tmp_path / "a", "/b", checksum=checksum).read_bytes() == CONTENT
    assert server.asked[-1] == ("/b", f"bytes={2**20}-")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@whole_or_begun
def test_halves_that_do_not_belong_together_are_fetched_afresh(server, tmp_path, checksum) -> None:
    server.answers["/a"] = in_turn(sending(b"y" * 3_000_000, only=2_000_000), sending(CONTENT))
    assert get(server, tmp_path / "a", "/a", attempts=3, checksum=checksum).read_bytes() == CONTENT


def test_without_checksum_a_broken_transfer_starts_again(server, tmp_path) -> None:
    server.answers["/a"] = in_turn(sending(CONTENT, only=2_000_000), sending(CONTENT))
    get(server, tmp_path / "a", "/a", checksum=None, attempts=2)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.asked == [("/a", None), ("/a", None)]


def test_no_server_at_all_is_told_in_one_sentence(tmp_path) -> None:
    with Server() as gone:
        url = gone.url("/a")
    with pytest.raises(UserError, match="connection failed"):
        fetch(url, CHECKSUM, tmp_path / "a", attempts=1)


@pytest.mark.parametrize("stated", [True, False])
def test_a_file_above_the_limit_is_not_downloaded(server, tmp_path, stated: bool) -> None:
    def answer(handler) -> None:
        handler.send_response(200)
        if stated:
            handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(CONTENT)

    server.answers["/a"] = answer
    few = hold(Limits(max_download_gib=100 / 2**30))
    with few, pytest.raises(UserError, match=r"a is larger than .* raise max_download_gib"):
        fetch(server.url("/a"), CHECKSUM, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


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
