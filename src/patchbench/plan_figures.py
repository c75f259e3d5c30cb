"""Which figures a study has: those with something to show, told without importing any.

A figure's module says so in two literals, both optional: ``NEEDS``, least entries by path in the
config, as a number or as kinds of which one must be chosen; ``AT_MOST``, most entries by path.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from patchbench import plugins
from patchbench.plan import Config

# in the place of a dataset, where a figure shows all of them
ACROSS_DATASETS = "across-datasets"


def figures(config: Config) -> list[tuple[str, str]]:
    """Every dataset with every figure that has something to show in a study of this kind.

    Figures that show all datasets together come once, under `ACROSS_DATASETS`.
    """
    said = {name: plugins.literals("figures", name) for name in plugins.available("figures")}
    names = [name for name, literals in said.items() if _applies(config, literals)]
    across = [name for name in names if "ACROSS_DATASETS" in said[name]]
    each = [name for name in names if name not in across]
    found = list(product(config["benchmark"]["datasets"], each))
    return found + [(ACROSS_DATASETS, name) for name in across]


def _applies(config: Config, literals: dict[str, Any]) -> bool:
    """Whether a study has as many entries as a figure needs, and no more than it can show.

    >>> config = {"fusions": {"mine": {"type": "max"}}, "benchmark": {"fusions": ["mine"]}}
    >>> _applies(config, {"NEEDS": {"benchmark.fusions": ("max", "mean")}})
    True
    >>> _applies(config, {"NEEDS": {"benchmark.detectors": 1}})
    False
    """
    needs, at_most = literals.get("NEEDS", {}), literals.get("AT_MOST", {})
    return all(_has(config, path, wanted) for path, wanted in needs.items()) and all(
        len(_chosen(config, path)) <= most for path, most in at_most.items()
    )


def _has(config: Config, path: str, wanted: int | Sequence[str]) -> bool:
    chosen = _chosen(config, path)
    if isinstance(wanted, int):
        return len(chosen) >= wanted
    section = path.rpartition(".")[2]
    entries = config.get(section, {}) if section != path else {}
    return any(entries.get(name, {}).get("type", name) in wanted for name in chosen)


def _chosen(config: Config, path: str) -> list[str]:
    """Names in a list, or of what is set in a mapping."""
    found: Any = config
    for key in path.split("."):
        found = found.get(key, {})
    return [name for name in found if not isinstance(found, Mapping) or found[name]]
