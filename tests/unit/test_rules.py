"""What rules ask of a cluster, read from their text and from the profile's."""

import re
from pathlib import Path

import pytest
import yaml

WORKFLOW = Path(__file__).parents[2] / "workflow"
RULES = {
    name: body
    for path in sorted((WORKFLOW / "rules").glob("*.smk"))
    for name, body in re.findall(
        r"^(?:use rule \w+ as|rule) (\w+)(?: with)?:\n((?:    .*\n|\n)+)",
        path.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
}
PROFILE = (WORKFLOW / "profiles/slurm/config.yaml").read_text(encoding="utf-8")
NEEDS = yaml.safe_load(PROFILE)["set-resources"]


def with_param(name: str) -> list[str]:
    """Rules that have a parameter from the config."""
    return [rule for rule, body in RULES.items() if f"        {name}=config" in body]


@pytest.mark.parametrize("rule", with_param("device"))
def test_a_rule_that_takes_a_device_asks_a_cluster_for_one(rule: str) -> None:
    resources = re.search(r"^    resources:\n((?:        .*\n)+)", RULES[rule], re.MULTILINE)
    assert resources and "        **DEVICE,\n" in resources[1]


@pytest.mark.parametrize("rule", with_param("max_fit_mib"))
def test_a_rule_that_fits_on_embeddings_asks_for_their_memory(rule: str) -> None:
    assert NEEDS[rule]["mem_mb"] == "4000 * attempt"


def test_the_rules_were_found() -> None:
    assert {"fit_encoder", "cnn", "pool", "scale"} <= set(with_param("device"))
    fits = {"fit_classifier", "fit_and_classify", "fit_pooling", "detect", "sweep"}
    assert fits == set(with_param("max_fit_mib"))


def test_the_profile_names_rules_only() -> None:
    profile = yaml.safe_load(PROFILE)
    assert NEEDS.keys() | profile["groups"].keys() <= RULES.keys()


def test_every_entry_of_the_profile_tells_why() -> None:
    """A comment on its line; a paragraph stands before each block of entries."""
    bare = [
        line for line in PROFILE.splitlines() if re.match(r"(  )?[\w-]+:", line) and "#" not in line
    ]
    assert bare == ["default-resources:", "set-resources:", "groups:"]
