"""The doctor says what is missing and the way out, and fails only where a study would."""

import builtins
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from patchbench import doctor, doctor_study
from patchbench.__main__ import main
from patchbench.doctor_findings import MISSING, NOTE, OK, Finding, text
from patchbench.errors import UserError

STAGES = Path(doctor.__file__).parent / "stages"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in; what entries that no study chooses start from is not asked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor_study, "weights", lambda config: [])
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    status = main(["doctor", "--json", *arguments])
    return status, json.loads(capsys.readouterr().out)


def sentences(found: Sequence[Finding], level: str) -> list[str]:
    return [finding.way_out for finding in found if finding.level == level]


def overlay(folder: Path, **settings: Any) -> str:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return str(path)


def test_the_default_study_can_run_and_nothing_stays_behind(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, found = told(capsys)
    assert status == 0 and found["can_run"] and found["verdict"] == "The study scenes can run here."
    assert not list(here.iterdir())
    values = {finding["name"]: finding["value"] for finding in found["findings"]}
    assert values["runs"] == "8 of patches, 1 of whole images"
    assert values["jobs"].startswith("39: ") and values["already done"].startswith(
        "0 of the 36 jobs"
    )
    assert values["networks"].startswith("tile2vec, bagnet17, resnet18")


@pytest.mark.parametrize(
    "text",
    [
        "study: &a {x: *a}",
        "\n".join(
            ["a0: &a0 {x: 1}"]
            + [
                f"a{i}: &a{i} {{{', '.join(f'k{j}: *a{i - 1}' for j in range(9))}}}"
                for i in range(1, 30)
            ]
        ),
    ],
    ids=["a reference to itself", "references that multiply"],
)
def test_a_config_that_would_never_end_is_one_sentence(
    here: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = here / "hostile.yaml"
    path.write_text(text, encoding="utf-8")
    assert main(["doctor", "--configfile", str(path)]) != 0
    assert "write out what references (*name) repeat" in "".join(capsys.readouterr())


def test_python_in_a_config_is_refused_and_not_run(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = here / "hostile.yaml"
    path.write_text("__use_yte__: true\nstudy: ?open('hacked', 'w').name\n")
    status, found = told(capsys, "--configfile", str(path))
    refused = next(f for f in found["findings"] if f["name"] == "config")
    assert status == 1 and "__use_yte__" in refused["way_out"]
    assert [file.name for file in here.iterdir()] == ["hostile.yaml"]


def test_every_problem_has_a_way_out_and_nothing_else_has(here: Path) -> None:
    for finding in doctor.examine("auto"):
        assert bool(finding.way_out) == (finding.level != OK), finding
        assert not finding.way_out.endswith(".")


def test_all_stages_that_take_a_device_are_named() -> None:
    texts = {path.stem: path.read_text(encoding="utf-8") for path in STAGES.glob("*.py")}
    stages = {name: text for name, text in texts.items() if "\ndef run(" in text}  # not commands
    takers = {name for name, text in stages.items() if "args.device" in text}
    assert takers == set(doctor.ON_DEVICE)


def test_a_device_that_is_not_there_stops_a_study(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    status, found = told(capsys, "--configfile", overlay(here, device="cuda"))
    assert status == 1 and not found["can_run"]
    assert [f["way_out"] for f in found["findings"] if f["level"] == MISSING] == [
        "device 'cuda' was asked for but PyTorch finds none on this machine; "
        "set device to auto or cpu"
    ]


def test_graphics_cards_are_named_with_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    card = SimpleNamespace(name="A card", total_memory=8 * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda card_number: card)
    found = doctor.devices("auto")
    assert found[0].value == "A card, 8 GiB; A card, 8 GiB"
    assert found[-1].value.startswith("cuda for networks")


def test_a_card_that_pytorch_cannot_use_is_pointed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(doctor.shutil, "which", lambda command: f"/usr/bin/{command}")
    assert "finds no GPU" in sentences(doctor.devices("auto"), NOTE)[0]


def test_pytorch_that_does_not_load_is_one_sentence(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    imported = builtins.__import__

    def broken(name: str, *rest: Any) -> Any:
        if name == "torch":
            raise ImportError("libtorch_cpu.so: cannot open shared object file\nmore")
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", broken)
    status, found = told(capsys)
    ways_out = [f["way_out"] for f in found["findings"] if f["level"] == MISSING]
    assert status == 1 and len(ways_out) == 1
    assert "does not load (libtorch_cpu.so: cannot open shared object file); run" in ways_out[0]


def test_versions_are_compared_with_those_that_are_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins = tmp_path / "requirements.txt"
    pins.write_text(
        "-c lock.txt\n\nnumpy==2.0.0   # a\ntorch==1.0 # b\nabsent==3.1 # c\n"
        "# for development\nruff==9 # d\nalso-absent==1 # e\n"
    )
    versions = {"numpy": "2.0.1", "torch": "1.0+cpu", "ruff": "9"}
    monkeypatch.setattr(doctor, "_installed", versions.get)
    found = {finding.name: finding for finding in doctor.packages(pins)}
    assert found["torch"].level == found["ruff"].level == OK
    assert (found["numpy"].level, found["numpy"].value) == (NOTE, "2.0.1, pinned 2.0.0")
    assert "numpy 2.0.1 for 2.0.0; run make setup" in found["numpy"].way_out
    assert found["absent"].level == MISSING and "every study needs: absent 3.1" in (
        found["absent"].way_out
    )
    assert found["also-absent"].level == NOTE


def test_without_the_pinned_list_versions_are_not_compared(tmp_path: Path) -> None:
    assert "run from a clone" in sentences(doctor.packages(tmp_path / "none.txt"), NOTE)[0]


def test_the_doctor_comes_even_where_no_package_is_installed(tmp_path: Path) -> None:
    source = str(STAGES.parents[1])
    done = subprocess.run(
        [sys.executable, "-S", "-m", "patchbench", "doctor"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and done.stderr == ""
    assert done.stdout.startswith("A study cannot run here yet: 2 things are missing.\n\nMissing:")
    assert "numpy" in done.stdout and "run make setup" in done.stdout


def test_a_folder_that_takes_no_files_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results").write_text("in the way")
    found = doctor.folder("results", tmp_path / "results")
    assert found.level == MISSING and "it is a file, not a folder" in found.way_out

    def refused(**options: Any) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(doctor.tempfile, "TemporaryDirectory", refused)
    found = doctor.folder("results", tmp_path / "elsewhere")
    assert "cannot take files (Read-only file system)" in found.way_out


def test_a_file_system_that_does_not_replace_in_one_step_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copied(self: Path, target: Path) -> None:
        target.write_bytes(self.read_bytes())
        self.unlink()

    monkeypatch.setattr(Path, "replace", copied)
    assert "does not replace a file in one step" in doctor.folder("results", tmp_path).way_out


def test_little_memory_and_little_disk_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    host = {"cpu": "x", "cores": 8, "memory_gib": 16.0}
    monkeypatch.setattr(doctor.machine, "describe", lambda: {"host": host})
    monkeypatch.setattr(doctor, "_limit_gib", lambda: 3.0)
    usage = SimpleNamespace(free=2**28)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage)
    found = doctor._machine(Path.cwd())
    assert "snakemake --cores 2" in sentences(found, NOTE)[0]
    assert "0.2 GiB are free" in sentences(found, MISSING)[0]


def test_a_config_that_snakemake_would_refuse_is_refused_alike(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = overlay(here, benchmark={"encoders": ["sfit"]})
    status, found = told(capsys, "--configfile", path)
    refused = next(f for f in found["findings"] if f["name"] == "config")
    assert status == 1 and "benchmark.encoders names 'sfit'" in refused["way_out"]


def test_a_config_that_is_none_is_bad_input(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "list.yaml").write_text("- a\n")
    for name, reason in (("none.yaml", "cannot be read as YAML"), ("list.yaml", "no settings")):
        assert main(["doctor", "--configfile", str(here / name)]) == 2
        error = capsys.readouterr().err
        assert reason in error and error.count("\n") == 1


def test_settings_are_laid_over_the_default_as_snakemake_does(here: Path) -> None:
    path = overlay(here, patches={"p32s16": {"shards": 5}}, benchmark={"encoders": ["sift"]})
    config = doctor_study.load([Path(path)])
    assert config["patches"]["p32s16"] == {
        "patch_size_px": 32,
        "stride_px": 16,
        "edge": "drop",
        "shards": 5,
    }
    assert config["benchmark"]["encoders"] == ["sift"] and config["benchmark"]["cnns"]


def test_what_would_be_downloaded_is_told(here: Path) -> None:
    lists = {"datasets": ["flowers5"], "encoders": ["bagnet33-imagenet", "sift"], "explain": []}
    patches = {"large": {"patch_size_px": 33, "stride_px": 32, "edge": "drop"}}
    path = overlay(here, patches=patches, benchmark=lists | {"patches": ["large"]})
    config = doctor_study.load([Path(path)])
    found = doctor_study.examine(config)
    assert sentences(found, NOTE) == [
        "dataset flowers5 is not here and will be downloaded when the study runs; "
        "with a copy at hand name it under datasets.flowers5.root"
    ]
    counts = doctor_study.jobs(config)
    assert counts["download"] == counts["fetch_weights"] == 1
    name = "bagnet32-2ddd53ed.pth.tar"
    needed = doctor_study.plan_weights.published(config)
    weights = doctor_study.fetched("weights", f"resources/weights/{name}", *needed.values())
    assert weights.level == NOTE and weights.value == "to be downloaded"
    (here / "resources/weights").mkdir(parents=True)
    (here / "resources/weights" / name).write_bytes(b"a web page")
    weights = doctor_study.fetched("weights", f"resources/weights/{name}", *needed.values())
    assert weights.level == MISSING and "delete it" in weights.way_out


@pytest.mark.parametrize("disabled", [True, False])
def test_a_cluster_without_accounts_is_told_of_with_the_setting_that_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disabled: bool
) -> None:
    says = "echo 'Slurm accounting storage is disabled' >&2; exit 1" if disabled else "exit 0"
    for name, line in (("sacct", says), ("sbatch", "exit 0")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = doctor._cluster()
    assert found.level == (NOTE if disabled else OK)
    assert ("slurm-status-command: squeue" in found.way_out) == disabled
    profile = tmp_path / "config.yaml"
    profile.write_text("slurm-status-command: squeue  # as told\n")
    monkeypatch.setattr(doctor, "PROFILE", profile)
    assert doctor._cluster().level == OK


def test_text_begins_with_the_verdict_and_says_a_sentence_once() -> None:
    same = [Finding("packages", name, "none", MISSING, "run make setup") for name in "ab"]
    lines = text("It cannot run.", [*same, Finding("tools", "git", "x")]).splitlines()
    assert lines[0] == "It cannot run." and lines.count("  x run make setup") == 1
    assert "Packages" in lines and "    git  x" in lines


def test_load_names_the_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(UserError, match=r"bad\.yaml cannot be read as YAML"):
        doctor_study.load([tmp_path / "bad.yaml"])
