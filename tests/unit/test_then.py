"""Stages that follow one another in one process: each as if it were alone."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from patchbench import plugins
from patchbench.__main__ import main
from patchbench.cost import Work
from patchbench.errors import UserError
from patchbench.io import read_json, write_array
from patchbench.memory import peak_rss_mib

Does = Callable[[argparse.Namespace], Work]


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put functions in the place of stages."""

    def put(**does: Does) -> None:
        def load(_: str, name: str) -> SimpleNamespace:
            return SimpleNamespace(__doc__="", add_arguments=lambda _: None, run=does[name])

        monkeypatch.setattr(plugins, "load", load)

    return put


def test_each_says_what_it_cost_itself(stages: Callable[..., None], tmp_path: Path) -> None:
    held_mib: list[float] = []

    def much(_: argparse.Namespace) -> Work:
        sum(number * number for number in range(3_000_000))
        held = bytearray(b"1" * (400 << 20))
        held_mib.append(peak_rss_mib())
        write_array(tmp_path / "much.npy", np.zeros(1000))
        return Work(len(held), "byte")

    def little(_: argparse.Namespace) -> Work:
        write_array(tmp_path / "little.npy", np.zeros(1))
        return Work(1, "byte")

    stages(much=much, little=little)
    costs = [tmp_path / f"{name}.json" for name in ("first", "second")]
    about = ["--about", '{"dataset": "scenes"}', "--cost"]
    assert main(["much", *about, str(costs[0]), "--then", "little", *about, str(costs[1])]) == 0
    first, second = map(read_json, costs)
    assert (first["stage"], second["stage"]) == ("much", "little")
    assert second["command"].startswith("python -m patchbench little ")
    assert second["bytes_written"] == (tmp_path / "little.npy").stat().st_size
    assert second["cpu_s"] + second["start_s"] < first["cpu_s"]
    assert first["peak_rss_mib"] >= held_mib[0] > 400
    if sys.platform == "linux" and Path("/proc/self/clear_refs").exists():
        assert second["peak_rss_mib"] < first["peak_rss_mib"] - 300


def test_what_follows_a_failure_is_not_begun(
    stages: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: argparse.Namespace) -> Work:
        raise UserError("no; take another")

    stages(first=refuse, second=lambda _: pytest.fail("was begun"))
    assert main(["first", "--then", "second"]) == 2
    assert capsys.readouterr().err == "patchbench first: no; take another\n"


@pytest.mark.parametrize("argv", [["--then"], ["--then", "cut"], ["doctor", "--help", "--then"]])
def test_no_stage_is_no_command(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if "--help" in argv:
        with pytest.raises(SystemExit):
            main(argv)
    else:
        assert main(argv) == 2
        assert "no '' in stages" in capsys.readouterr().err
