"""The report says of every method what it is, how it was set, and where it comes from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from patchbench import plugins
from patchbench.networks.settings import CNN_TYPES
from patchbench.networks.whole_image import ABOUT
from patchbench.report import methods
from patchbench.report.page import render
from patchbench.stages import _methods
from unit._synthetic_study import make_study

ROOT = Path(__file__).parents[2]


def everything() -> dict[str, Any]:
    """The default config, all its entries chosen."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    config["benchmark"] |= {name: list(config[name]) for name in (*_methods.SECTIONS, "cnns")}
    return config


def test_every_method_of_every_section_says_what_it_is_and_controls_alone_lack_a_source() -> None:
    config = everything()
    found = _methods.methods(config)
    assert found.keys() == {*methods.GROUPS} == {*_methods.SECTIONS, "cnns"}
    for section, entries in found.items():
        assert list(entries) == list(config[section])
        for name, about in entries.items():
            assert about["summary"], name
            assert about["source"] or about["control"], f"{section}/{name}"
            assert about["chosen"].keys() == {*config[section][name]} - {"type"}
            assert not about["chosen"].keys() & about["defaults"].keys()
    assert ABOUT.keys() == {*CNN_TYPES}


def test_settings_that_were_left_alone_are_told_as_defaults() -> None:
    config = everything()
    bagnet = _methods.methods(config)["encoders"]["bagnet17"]
    assert bagnet["chosen"]["receptive_field_px"] == 17
    cls = plugins.load("encoders", "bagnet").Encoder
    assert bagnet["defaults"]["crop"] == cls(patch_size_px=33, seed=0).crop
    assert not {"seed", "device", "patch_size_px"} & bagnet["defaults"].keys()


def test_each_stage_is_told_with_its_jobs_and_the_command_line_of_the_first() -> None:
    took = {"wall_s": 2.0, "cpu_s": 1.5}
    costs: list[dict[str, Any]] = [
        {"stage": "encode", "command": "python -m patchbench encode --out 'a b'"} | took,
        {"stage": "encode", "command": "python -m patchbench encode --out c"} | took,
        {"stage": "fuse"} | took,
    ]
    assert _methods.commands(costs) == [
        {"stage": "encode", "n_jobs": 2, "command": costs[0]["command"]}
        | {"wall_s": 4.0, "cpu_s": 3.0},
        {"stage": "fuse", "n_jobs": 1, "command": ""} | took,
    ]


def test_the_page_tells_methods_statistics_and_command_lines(tmp_path: Path) -> None:
    study = make_study(n_encoders=1, n_seeds=2)
    about = {"summary": "A network.", "source": "Somebody 1999", "control": False}
    study.methods["cnns"] = {
        "resnet18": about | {"chosen": {"epochs": 3}, "defaults": {"crop": 1.0, "layers": None}}
    }
    commands = [{"stage": "fuse", "n_jobs": 2, "command": "python -m patchbench fuse --out 'x y'"}]
    page = render(replace(study, run=study.run | {"commands": commands}), tmp_path)
    for told in (
        "A network.",
        "epochs: 3",
        "crop: 1.0",
        "Source: Somebody 1999",
        "snakemake --cores 2",
        "fuse, 2 jobs",
        "patchbench fuse --out &#39;x y&#39;",
        "2,000 bootstrap draws of test images",
        "This study has 2: 0, 1.",
        "fewest: rose",
    ):
        assert told in page, told
    assert "layers: " not in page
