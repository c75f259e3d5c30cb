"""A job without memory says so in one sentence, whichever library was refused it."""

import errno
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pyarrow as pa
import pytest
import torch

from patchbench import plugins
from patchbench.__main__ import main
from patchbench.errors import UserError
from patchbench.io import DamagedFileError, read_table
from patchbench.memory import is_short

FAR_TOO_MUCH = 1 << 50


@pytest.mark.parametrize(
    ("said", "short"),
    [
        ("cuDNN error: CUDNN_STATUS_ALLOC_FAILED", True),
        ("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED", True),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", True),
        ("CUDA error: out of memory", True),
        ("MPS backend out of memory (MPS allocated: 1.00 GB)", True),
        ("CUDA error: an illegal memory access was encountered", False),
        ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", False),
    ],
)
def test_what_libraries_of_a_gpu_say_of_memory_is_understood(said: str, short: bool) -> None:
    assert is_short(RuntimeError(said)) is short


def of_the_kernel() -> None:
    raise OSError(errno.ENOMEM, "Cannot allocate memory")


def of_the_loader() -> None:
    raise ImportError("libtorch.so: failed to map segment: Cannot allocate memory")


def of_opencv() -> None:
    raise cv2.error("OpenCV: error: (-4:Insufficient memory) Failed to allocate 100 bytes")


@pytest.mark.parametrize(
    "ask",
    [
        lambda: np.empty(FAR_TOO_MUCH, np.uint8),
        lambda: torch.empty(FAR_TOO_MUCH, dtype=torch.uint8),
        lambda: bytearray(FAR_TOO_MUCH),
        *(of_the_kernel, of_the_loader, of_opencv),
    ],
)
def test_a_stage_without_memory_is_told_in_one_sentence(
    ask: Callable[[], object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stage = SimpleNamespace(__doc__="", add_arguments=lambda parser: None, run=lambda args: ask())
    monkeypatch.setattr(plugins, "load", lambda *_: stage)
    assert main(["encode", "--cost", str(tmp_path / "cost.json")]) == 2
    told = capsys.readouterr().err
    sentence = (
        r"patchbench encode: out of memory after holding [\d,]+ MiB.*; take fewer .* is left\n"
    )
    assert re.fullmatch(sentence, told), told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [OSError(errno.EIO, "broken"), ValueError("out of memory")])
def test_other_errors_keep_their_traceback(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(args: object) -> None:
        raise error

    stage = SimpleNamespace(__doc__="", add_arguments=lambda parser: None, run=fail)
    monkeypatch.setattr(plugins, "load", lambda *_: stage)
    with pytest.raises(type(error)):
        main(["encode"])


def test_a_table_that_memory_is_lacking_for_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_: object) -> None:
        raise pa.ArrowMemoryError("malloc of size 9 failed")

    monkeypatch.setattr("patchbench.io.pq.read_table", short)
    with pytest.raises(UserError, match=r"could not be read for lack of memory \(malloc") as told:
        read_table(tmp_path / "costs.parquet", "costs")
    assert not isinstance(told.value, DamagedFileError)
