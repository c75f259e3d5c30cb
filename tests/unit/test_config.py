"""Every mistake in a config is one sentence that names the key and the way out."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from patchbench import plugins
from patchbench.config import check, typed
from patchbench.errors import UserError

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "workflow/schemas/config.schema.yaml"


@pytest.fixture
def config() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text())
    return copy.deepcopy(loaded)


def put(config: dict[str, Any], path: str, value: object) -> None:
    *parents, last = path.split(".")
    for key in parents:
        config = config.setdefault(key, {})
    config[last] = value


def merge(base: dict[str, Any], overlay: dict[str, Any]) -> None:
    """As Snakemake does: maps are merged, everything else is replaced."""
    for key, value in overlay.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value


def test_the_default_config_is_accepted(config: dict[str, Any]) -> None:
    check(config, SCHEMA)


STUDIES = sorted(path.name for path in (ROOT / "workflow/studies").glob("*.yaml"))


@pytest.mark.parametrize("study", STUDIES)
def test_every_shipped_study_is_accepted(config: dict[str, Any], study: str) -> None:
    """With the files that the command in its own head names, in that order."""
    text = (ROOT / "workflow/studies" / study).read_text()
    head = text.split("\nstudy:")[0]
    files = re.findall(r"workflow/studies/([\w-]+\.yaml)", head) or [study]
    assert files[-1] == study
    for name in files:
        merge(config, yaml.safe_load((ROOT / "workflow/studies" / name).read_text()))
    check(config, SCHEMA)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("patches.p32s16.stride_px", -4, r"patches\.p32s16\.stride_px is -4: .*minimum of 1"),
        ("patches.p32s16.stride", 4, r"unknown key patches\.p32s16\.stride; .*mean 'stride_px'"),
        ("fusons", {}, r"unknown key fusons; .*Did you mean 'fusions'"),
        ("device", "gpu", r"device is 'gpu'.*auto.*cpu.*cuda"),
        ("calibration", "platt", r"calibration is 'platt'.*none.*temperature"),
        ("benchmark.fusions", ["abmil"], r"benchmark.fusions is \[abmil\], and none.*add one that"),
        ("classifiers.pooled", {"type": "logistic"}, "pooled"),
        ("patches.p32s16.edge", "pad", r"edge is 'pad'.*drop.*shift-last.*reflect"),
        ("patches.p32s16.patch_size_px", 200, "200 but the images are 96 px; use a smaller patch"),
        (
            "encoders.bagnet17",
            {"type": "bagnet", "weights": "no/such.pth"},
            r"bagnet17\.weights is 'no/such\.pth', but there is no such file",
        ),
        ("benchmark.encoders", ["sfit"], "names 'sfit'.*Did you mean 'sift'"),
        ("benchmark.encoders", [], r"benchmark\.encoders is \[\]"),
        ("benchmark.seeds", [1, 1], r"benchmark\.seeds is \[1, 1\]"),
        ("encoders.sift", {"type": "sfit"}, "no 'sfit' in encoders.*Did you mean 'sift'"),
        ("encoders.bagnet17", {"type": "bagnet", "widht": 8}, "no setting 'widht'.*mean 'width'"),
        (
            "encoders.bagnet17",
            {"type": "bagnet", "receptive_field_px": 19},
            r"bagnet17.*19.*9.*17.*33",
        ),
        ("encoders.bagnet17", {"type": "bagnet", "receptive_field_px": 33}, r"bagnet17.*32.*33"),
        ("encoders.a b", {}, "'a b'; names are lower-case"),
        ("patches.whole-image", {}, "'whole-image'"),
        ("datasets.scenes", {}, "datasets.scenes lacks a key: 'image_size_px'"),
        ("datasets.scenes.cue", "colour", "scenes.*'colour'.*texture"),
        ("benchmark.experiments", ["shuffles"], "names 'shuffles'.*mean 'shuffle'"),
        ("cnns.resnet18.epochs", 0, r"cnns\.resnet18: epochs is 0"),
        ("cnns.resnet18.epoch", 3, r"cnns\.resnet18: no setting 'epoch'.*mean 'epochs'"),
        ("cnns.resnet18.type", "resnet19", "resnet19.*resnet18"),
        ("max_bad_images", 2, "max_bad_images is 2"),
        ("encoders.sift.seed", 3, "encoders.sift: no setting 'seed'"),
        ("encoders.sift.step_px", "a", "encoders.sift: step_px is 'a'; it must be int or null"),
        ("cnns.resnet18.epochs", 2.5, "cnns.resnet18: epochs is 2.5; it must be int"),
        ("cnns.resnet18.lr", True, "cnns.resnet18: lr is True; it must be float"),
        (
            "datasets.scenes",
            {"type": "image_folder", "image_size_px": 64},
            "datasets.scenes: the setting 'root' is missing",
        ),
    ],
)
def test_a_mistake_is_named(config: dict[str, Any], path: str, value: object, message: str) -> None:
    put(config, path, value)
    with pytest.raises(UserError, match=message) as caught:
        check(config, SCHEMA)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("detector", "message"),
    [
        ("confident_learning", "detector is 'confident_learning', which knows the truth"),
        ("oracle_mask", "detector is 'oracle_mask', which knows the truth"),
        ("oracle", r"detector is 'oracle'; .*Did you mean 'oracle_mask'"),
    ],
)
def test_votes_are_not_weighed_by_who_knows_the_truth(
    config: dict[str, Any], detector: str, message: str
) -> None:
    put(config, "benchmark.fusions", ["mean_probability", "saliency_weight"])
    check(config, SCHEMA)
    put(config, "fusions.saliency_weight.detector", detector)
    with pytest.raises(UserError, match=message):
        check(config, SCHEMA)


def test_an_experiment_that_cannot_be_done_on_such_images_is_refused(
    config: dict[str, Any],
) -> None:
    put(config, "benchmark.experiments", ["interaction"])
    put(config, "experiments.interaction", {"sides_px": [8, 48]})
    with pytest.raises(
        UserError, match=r"interaction on datasets\.scenes: .* 48 px apart and would"
    ):
        check(config, SCHEMA)
    put(config, "experiments.interaction", {"sides_px": [8, "x"]})
    with pytest.raises(UserError, match="sides_px is"):
        check(config, SCHEMA)


def test_a_missing_folder_is_named_before_anything_runs(config: dict[str, Any]) -> None:
    put(config, "datasets.mine", {"type": "image_folder", "image_size_px": 64, "root": "/nowhere"})
    config["benchmark"]["datasets"] = ["mine"]
    with pytest.raises(UserError, match="/nowhere"):
        check(config, SCHEMA)


def test_a_study_in_which_nothing_can_run_is_refused_with_the_reason(
    config: dict[str, Any],
) -> None:
    config["benchmark"] |= {"classifiers": ["own_head"], "encoders": ["sift", "bagnet17"]}
    check(config, SCHEMA)
    config["benchmark"]["encoders"] = ["sift", "random_projection"]
    message = r"nothing would run; own_head was left out.*sift, random_projection.*as BagNet has"
    with pytest.raises(UserError, match=message):
        check(config, SCHEMA)
    config["benchmark"]["classifiers"] = ["logistic", "own_head"]
    check(config, SCHEMA)


def test_text_from_the_command_line_becomes_numbers() -> None:
    assert typed({"a": "0.05", "b": "8", "c": "p32s16", "d": "false"}) == {
        "a": 0.05,
        "b": 8,
        "c": "p32s16",
        "d": False,
    }


def test_a_new_file_is_a_new_method() -> None:
    assert "sift" in plugins.available("encoders")
    assert not any(name.startswith("_") for name in plugins.available("figures"))
    with pytest.raises(UserError, match="Did you mean 'majority_vote'"):
        plugins.load("fusions", "majorty_vote")
