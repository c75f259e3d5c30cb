"""Imports flow one way: base modules, networks, plug-ins, what joins them, stages, the command."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "patchbench"
PLUGINS = {"datasets", "encoders", "classifiers", "fusions", "figures", "detectors", "explain"} | {
    "experiments",
    "ways",
}
JOINS = {
    "config",
    "plan",
    "plan_figures",
    "plan_files",
    "plan_scaling",
    "plan_weights",
    "left_out",
    "report",
    "readme",
    "table_docs",
    "doctor_study",
    "prediction",
    "unfinished",
}  # know plug-ins by name, and serve the stages
TOP = {"stages", "__main__"}
FILES = sorted(PACKAGE.rglob("*.py"))


def level(part: str) -> int:
    groups = [{"networks", "streaming"}, PLUGINS, JOINS, TOP]
    return next((i for i, group in enumerate(groups, start=1) if part in group), 0)


def imports(path: Path) -> Iterator[list[str]]:
    """Dotted parts below ``patchbench`` of everything of ours that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "patchbench" and len(parts) > 1:
                yield parts[1:]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    place = path.relative_to(PACKAGE).with_suffix("").parts
    for target in imports(path):
        if target[0] == "__version__" or place == ("__main__",):
            continue
        assert level(target[0]) <= level(place[0]), f"{path.name} imports {'.'.join(target)}"
        if target[0] == place[0] and place[0] in PLUGINS | {"stages"} and len(target) > 1:
            private = target[1].startswith("_")
            assert private, f"{'/'.join(place)} imports its neighbour {'.'.join(target)}"


def test_a_planted_upward_import_is_caught(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("from patchbench.stages import encode\n", encoding="utf-8")
    assert [level(t[0]) for t in imports(bad)] == [4]


def test_reading_plugins_never_imports_torch_or_opencv() -> None:
    """The config check builds every plug-in; it must not pay for libraries it does not use."""
    for path in FILES:
        place = path.relative_to(PACKAGE).parts
        if place[0] not in PLUGINS - {"figures"} or place[-1].startswith("_"):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [a.name for a in node.names] + [getattr(node, "module", None) or ""]
                heavy = {n.split(".")[0] for n in names} & {"torch", "torchvision", "sklearn"}
                assert not heavy, f"{'/'.join(place)} imports {heavy} at the top"
