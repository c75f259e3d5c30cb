"""Which ways to look at images of growing sides a study measures, and where the files lie."""

from collections.abc import Mapping
from itertools import product
from typing import Any

from patchbench import plan, plugins

SCALING = "results/scaling/{way}/{task}"


def files(config: Mapping[str, Any]) -> list[str]:
    """The tables of a study, one for each way and task; they are of no dataset."""
    both = product(config["benchmark"]["ways"], config["scaling"]["tasks"])
    paths = [f"{SCALING.format(way=way, task=task)}.parquet" for way, task in both]
    return [path for path in paths if plan.made(config, path)]


def cost_files(config: Mapping[str, Any]) -> list[str]:
    """What the jobs that measure took themselves."""
    return [path.removesuffix("parquet") + "cost.json" for path in files(config)]


def open_way(config: Mapping[str, Any], name: str) -> Any:
    """The way of a config entry, its network not yet built."""
    return plugins.build("ways", name, config["ways"][name], seed=0, device="cpu")
