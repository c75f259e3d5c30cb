"""What the documents say is what the code has."""

import re
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml
from packaging.utils import canonicalize_name

from patchbench import plugins
from patchbench.readme import fill
from patchbench.stages.readme import PAGES, filled, pictures
from patchbench.table_docs import tables_page

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LOCKED = re.findall(r"^\S+==\S+$", (ROOT / "envs/lock.txt").read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_the_tables_of_a_page_are_those_of_the_code(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert filled(ROOT)[page] == text, "run: .venv/bin/python -m patchbench readme"


def test_the_page_of_tables_is_that_of_the_code() -> None:
    page = (ROOT / "docs/tables.md").read_text(encoding="utf-8")
    assert page == tables_page(), "run: .venv/bin/python -m patchbench readme"


def test_a_missing_block_is_noticed() -> None:
    with pytest.raises(ValueError, match="'encoders'"):
        fill({"page": "no markers here"}, {"encoders": "x"})


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))])
def test_everything_a_page_links_to_is_there(page: str) -> None:
    path = ROOT / page
    for link, heading in re.findall(r"\]\(([^)#:]*)(#[^)]+)?\)", path.read_text(encoding="utf-8")):
        target = path.parent / link if link else path
        assert target.exists(), link
        assert not heading or heading in headings(target), f"{link}{heading}"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/running.md"])
def test_every_example_of_yaml_can_be_read(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    examples = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert examples and all(None not in yaml.safe_load_all(example) for example in examples)


def headings(page: Path) -> set[str]:
    """How links name the headings of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {"#" + re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_picture_is_shown_and_every_shown_picture_is_there() -> None:
    assert pictures(ROOT) == set((ROOT / "docs/figures").rglob("*.png"))


def test_every_make_target_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z]+)", README, re.MULTILINE)) <= targets


def test_every_figure_has_its_caption_for_the_snakemake_report() -> None:
    captions = {p.stem for p in (ROOT / "workflow/report").glob("*.rst")}
    assert captions == set(plugins.available("figures"))


def test_every_required_package_is_pinned_with_a_reason() -> None:
    locked = {pin.lower() for pin in LOCKED}
    for line in (ROOT / "envs/requirements.txt").read_text().splitlines():
        if "==" in line:
            assert re.fullmatch(r"[A-Za-z0-9_.-]+==[\w.]+ +# .+", line), line
            assert line.split()[0].lower() in locked, line


def test_every_installed_package_is_locked_at_its_version() -> None:
    lock = {canonicalize_name(pin.split("==")[0]): pin.split("==")[1] for pin in LOCKED}
    # what installs, what is installed, and what the PyTorch of PyPI brings along on Linux
    outside = re.compile(r"pip|patchbench|triton|(nvidia|cuda)-.*")
    # what follows a plus names a build, as in 2.13.0+cpu
    found = {canonicalize_name(d.name): d.version.partition("+")[0] for d in distributions()}
    known = {name: version for name, version in found.items() if not outside.fullmatch(name)}
    assert {name: lock.get(name) for name in known} == known


def test_this_package_is_built_by_what_is_locked() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        assert set(tomllib.load(file)["build-system"]["requires"]) <= set(LOCKED)


def test_conda_installs_the_same_packages() -> None:
    environment = yaml.safe_load((ROOT / "envs/patchbench.yaml").read_text())
    assert environment["dependencies"][-1]["pip"] == LOCKED, "copy the lines of envs/lock.txt"


def test_shipped_studies_begin_with_the_command_that_runs_them() -> None:
    for path in (ROOT / "workflow/studies").glob("*.yaml"):
        text = path.read_text()
        # what a study stands on comes first
        assert re.search(
            rf"--configfile (workflow/studies/\S+ )?workflow/studies/{path.name}", text
        )
        assert yaml.safe_load(text)["study"] == path.stem


def test_every_locked_package_is_listed_with_its_licence() -> None:
    page = (ROOT / "envs/LICENCES.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (\S+) \| (\d\S*) \| \S.* \|$", page, re.MULTILINE)
    assert [f"{name}=={version}" for name, version in listed] == LOCKED, "run: make licences"
