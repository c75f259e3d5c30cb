"""A disk without room, closed to writing, or strewn with what killed jobs left."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from patchbench import disks, io
from patchbench.__main__ import main
from patchbench.errors import UserError


def test_a_full_disk_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    with pytest.raises(UserError) as told:
        io.write_array(tmp_path / "a.npy", np.ones(3))
    assert f"its disk, {disks.mount_point(tmp_path)} of " in str(told.value)
    assert "is full; make room there" in str(told.value)
    assert not list(tmp_path.iterdir())


def test_rows_have_their_room_before_they_are_written(tmp_path: Path) -> None:
    with io.ArrayWriter(tmp_path / "a.npy", (1 << 20,), np.uint8):
        (unfinished,) = tmp_path.iterdir()
        assert unfinished.stat().st_blocks * 512 >= 1 << 20


def test_a_closed_folder_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disks.refuse_closed(tmp_path / "to/be/made")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UserError, match=r"may not be written to by you; open it to writing"):
        disks.refuse_closed(tmp_path / "to/be/made")


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), disks.told(tmp_path):
        (tmp_path / "missing").read_bytes()
    with pytest.raises(PermissionError), disks.told(tmp_path):  # of something else
        raise PermissionError(errno.EACCES, "Permission denied", "elsewhere")


def test_what_a_killed_job_left_of_a_file_goes_when_it_is_written(tmp_path: Path) -> None:
    for name in (".a.npy.abcd_123.part", ".b.npy.abcd_123.part", ".a.npy.abcd_123"):
        (tmp_path / name).touch()
    with io.replacing(tmp_path / "a.npy") as temporary, io.replacing(tmp_path / "a.npy") as other:
        temporary.touch()
        other.touch()  # that of a live writer stays
        assert temporary.exists()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"a.npy", ".b.npy.abcd_123.part", ".a.npy.abcd_123"}


def test_a_damaged_file_behind_a_link_is_named(tmp_path: Path) -> None:
    stored, link = tmp_path / "stored.npy", tmp_path / "a.npy"
    stored.write_bytes(b"damaged")
    link.symlink_to(stored)
    with pytest.raises(io.DamagedFileError, match=r"delete it and .*stored\.npy, which it links"):
        io.read_array(link)


@pytest.mark.parametrize("linked", [False, True])
def test_a_job_sets_a_damaged_file_aside_so_that_the_next_run_makes_it(
    tmp_path: Path, linked: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    stored, given = tmp_path / "stored.npz", tmp_path / "model.npz"
    (stored if linked else given).write_bytes(b"damaged")
    if linked:
        given.symlink_to(stored)
    out = tmp_path / "logits.npy"
    job = ["classify", "--classifier", "logistic", "--state", str(given)]
    job += ["--embeddings", str(tmp_path / "rows.npy"), "--out", str(out)]
    io.write_array(tmp_path / "rows.npy", np.zeros((2, 3), np.float32))
    aside = (stored if linked else given).name + ".damaged"
    assert main(job) == 2
    assert f"was set aside as {tmp_path / aside}; run snakemake again" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"rows.npy", aside}
    assert main(job) == 2  # as for another job that reads the same file
    assert f"{given} is not there; run snakemake again" in capsys.readouterr().err
