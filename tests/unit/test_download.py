"""Downloads against a real server: whole and right, or not there at all."""

import errno
import gzip
import threading
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import pytest
from requests.models import DEFAULT_REDIRECT_LIMIT

from patchbench import download, download_cache
from patchbench.disks import mount_point
from patchbench.download import fetch
from patchbench.errors import UserError
from patchbench.limits import Limits, hold
from unit._server import Server, sending, serving

CONTENT = bytes(range(256)) * 12_000  # 3 MB
CHECKSUM = sha256(CONTENT).hexdigest()
BEGINS = f"sha256-begins:{CHECKSUM[:8]}"
server = pytest.fixture(serving)
# counted in the tally of tests/faults
misbehaving = pytest.mark.misbehaving
whole_or_begun = pytest.mark.parametrize("checksum", [CHECKSUM, BEGINS], ids=["whole", "begins"])


def redirecting(to: str):
    def answer(handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def in_turn(*answers):
    left = list(answers)
    return lambda handler: (left.pop(0) if len(left) > 1 else left[0])(handler)


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


@misbehaving
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


@misbehaving
def test_the_next_mirror_is_tried(server, tmp_path) -> None:
    server.answers |= {"/page": sending(b"<html></html>", "text/html"), "/good": sending(CONTENT)}
    get(server, tmp_path / "a", "/absent", "/page", "/good", attempts=3)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert [path for path, _ in server.asked] == ["/absent", "/page", "/good"]


@misbehaving
def test_a_busy_server_is_asked_again(server, tmp_path) -> None:
    server.answers["/a"] = in_turn(lambda handler: handler.send_error(503), sending(CONTENT))
    assert get(server, tmp_path / "a", "/a", attempts=2).read_bytes() == CONTENT


@misbehaving
@whole_or_begun
def test_a_broken_off_transfer_goes_on_where_it_stopped(server, tmp_path, checksum) -> None:
    server.answers["/a"] = in_turn(sending(CONTENT, only=2_000_000), sending(CONTENT))
    assert get(server, tmp_path / "a", "/a", attempts=2, checksum=checksum).read_bytes() == CONTENT
    assert server.asked == [("/a", None), ("/a", "bytes=2000000-")]


@misbehaving
@whole_or_begun
def test_the_next_run_goes_on_from_another_mirror(server, tmp_path, checksum) -> None:
    server.answers |= {"/a": sending(CONTENT, only=2_000_000), "/b": sending(CONTENT)}
    with pytest.raises(UserError, match="connection failed"):
        get(server, tmp_path / "a", "/a", checksum=checksum)
    assert not (tmp_path / "a").exists()
    assert get(server, tmp_path / "a", "/b", checksum=checksum).read_bytes() == CONTENT
    assert server.asked[-1] == ("/b", "bytes=2000000-")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@misbehaving
@whole_or_begun
def test_halves_that_do_not_belong_together_are_fetched_afresh(server, tmp_path, checksum) -> None:
    server.answers["/a"] = in_turn(sending(b"y" * 3_000_000, only=2_000_000), sending(CONTENT))
    assert get(server, tmp_path / "a", "/a", attempts=3, checksum=checksum).read_bytes() == CONTENT


@misbehaving
def test_without_checksum_a_broken_transfer_starts_again(server, tmp_path) -> None:
    server.answers["/a"] = in_turn(sending(CONTENT, only=2_000_000), sending(CONTENT))
    get(server, tmp_path / "a", "/a", checksum=None, attempts=2)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.asked == [("/a", None), ("/a", None)]


@misbehaving
def test_no_server_at_all_is_told_in_one_sentence(tmp_path) -> None:
    with Server() as gone:
        url = gone.url("/a")
    with pytest.raises(UserError, match="connection failed"):
        fetch(url, CHECKSUM, tmp_path / "a", attempts=1)


@misbehaving
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


@misbehaving
@whole_or_begun
def test_a_run_killed_while_it_looks_at_what_arrived_loses_nothing(
    server, tmp_path, checksum, monkeypatch
) -> None:
    def killed(*_: object) -> bool:
        raise KeyboardInterrupt

    server.answers["/a"] = sending(CONTENT)
    with monkeypatch.context() as patched:
        patched.setattr(download, "matches", killed)
        with pytest.raises(KeyboardInterrupt):
            get(server, tmp_path / "a", "/a", checksum=checksum)
    assert get(server, tmp_path / "a", "/a", checksum=checksum).read_bytes() == CONTENT
    assert server.asked == [("/a", None)]
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@misbehaving
def test_without_checksum_nothing_is_kept_that_no_run_could_go_on_from(server, tmp_path) -> None:
    server.answers["/a"] = sending(CONTENT, only=2_000_000)
    with pytest.raises(UserError, match="connection failed"):
        get(server, tmp_path / "a", "/a", checksum=None)
    assert list(tmp_path.iterdir()) == []


@misbehaving
def test_a_redirection_is_followed(server, tmp_path) -> None:
    server.answers |= {"/a": redirecting("/b"), "/b": sending(CONTENT)}
    assert get(server, tmp_path / "a", "/a").read_bytes() == CONTENT


@misbehaving
def test_a_redirection_without_end_is_told_and_not_tried_again(server, tmp_path) -> None:
    server.answers |= {"/a": redirecting("/b"), "/b": redirecting("/a")}
    with pytest.raises(UserError, match="/a: it is redirected without end"):
        get(server, tmp_path / "a", "/a", attempts=3)
    assert len(server.asked) == DEFAULT_REDIRECT_LIMIT + 1


@misbehaving
def test_a_server_that_stalls_is_left_for_the_next_mirror(server, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(download, "_TIMEOUT_S", 0.2)
    over = threading.Event()
    server.answers |= {"/a": sending(CONTENT, only=2**20, then=over.wait), "/b": sending(CONTENT)}
    try:
        assert get(server, tmp_path / "a", "/a", "/b").read_bytes() == CONTENT
    finally:
        over.set()
    assert server.asked == [("/a", None), ("/b", f"bytes={2**20}-")]


@misbehaving
@pytest.mark.parametrize("coding", ["x-gzip", "gzip"])
def test_an_archive_that_a_server_calls_compressed_stays_as_it_is(
    server, tmp_path, coding: str
) -> None:
    packed = gzip.compress(CONTENT)
    server.answers["/a.tgz"] = sending(packed, Content_Encoding=coding)
    found = get(server, tmp_path / "a.tgz", "/a.tgz", checksum=sha256(packed).hexdigest())
    assert found.read_bytes() == packed


def test_a_full_disk_is_told(server, tmp_path) -> None:
    server.answers["/a"] = sending(CONTENT)
    (tmp_path / ".a.part").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"is full; make room .* can go on from is kept") as told:
        get(server, tmp_path / "a", "/a", attempts=3)
    assert f"its disk, {mount_point(tmp_path)} of " in str(told.value)
    assert len(server.asked) == 1


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(download_cache.FOLDER_VARIABLE, str(tmp_path / "shared"))
    return tmp_path / "shared"


@whole_or_begun
def test_another_project_takes_what_is_shared(server, tmp_path, shared, checksum) -> None:
    server.answers["/a"] = sending(CONTENT)
    get(server, tmp_path / "one" / "a", "/a", checksum=checksum).unlink()  # as after unpacking
    assert get(server, tmp_path / "two" / "b", checksum=checksum).read_bytes() == CONTENT
    assert len(server.asked) == 1
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["b"]
    assert len(list(shared.iterdir())) == 1


def test_what_is_shared_and_damaged_is_downloaded_again(server, tmp_path, shared) -> None:
    server.answers["/a"] = sending(CONTENT)
    get(server, tmp_path / "one" / "a", "/a")
    (kept,) = shared.iterdir()
    kept.write_bytes(CONTENT[:-1])
    assert get(server, tmp_path / "two" / "a", "/a").read_bytes() == CONTENT
    assert kept.read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_what_is_shared_and_cannot_be_read_is_downloaded(
    server, tmp_path, shared, monkeypatch, capsys
) -> None:
    server.answers["/a"] = sending(CONTENT)
    get(server, tmp_path / "one" / "a", "/a")
    (kept,) = shared.iterdir()
    whole = Path.open

    def closed(self: Path, *told: Any, **options: Any) -> Any:
        if self == kept:
            raise PermissionError(errno.EACCES, "Permission denied")
        return whole(self, *told, **options)

    monkeypatch.setattr(Path, "open", closed)
    assert get(server, tmp_path / "two" / "a", "/a").read_bytes() == CONTENT
    assert f"{kept} is not taken: Permission denied" in capsys.readouterr().out


def test_a_file_without_a_checksum_is_not_shared(server, tmp_path, shared) -> None:
    server.answers["/a"] = sending(CONTENT)
    get(server, tmp_path / "a", "/a", checksum=None)
    assert not shared.exists()


def test_a_download_does_not_need_the_folder_that_is_shared(
    server, tmp_path, shared, capsys
) -> None:
    shared.write_text("a file stands in its place")
    server.answers["/a"] = sending(CONTENT)
    assert get(server, tmp_path / "a", "/a").read_bytes() == CONTENT
    assert "a is not kept for other projects" in capsys.readouterr().out
