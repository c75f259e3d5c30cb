"""What a study's methods say of themselves, with their settings, and how its jobs were called."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from patchbench import plan, plugins
from patchbench.networks import whole_image

# lists of the benchmark whose entries are plug-ins
SECTIONS = ("encoders", "classifiers", "fusions", "detectors", "explain", "experiments", "ways")
# what the workflow hands to a method, which is no setting of its entry
_HANDED = {"seed", "device", "threads", "patch_size_px", "n_classes"}


def methods(config: plan.Config) -> dict[str, dict[str, dict[str, Any]]]:
    """Every entry that the benchmark chooses, by section; of networks by ``cnns``."""
    lists = config["benchmark"]
    found = {
        section: {name: _of_plugin(section, name, config) for name in lists[section]}
        for section in SECTIONS
    }
    found["cnns"] = {name: _of_network(name, config) for name in lists["cnns"]}
    return found


def _of_plugin(section: str, name: str, config: plan.Config) -> dict[str, Any]:
    """Summary, source, settings and whether it is a control, from the plug-in's own class."""
    spec = config[section][name] or {}
    module = plugins.load(section, spec.get("type", name))
    cls = getattr(module, section.removesuffix("s").capitalize())
    about = {"control": getattr(cls, "control", False)}
    about |= {"summary": cls.summary, "source": "" if cls.source in ("-", "none") else cls.source}
    return about | _settings(cls, spec)


def _of_network(name: str, config: plan.Config) -> dict[str, Any]:
    """The same of a whole-image network."""
    spec = config["cnns"][name] or {}
    summary, source = whole_image.ABOUT[spec.get("type", name)]
    about = {"control": False, "summary": summary, "source": source}
    return about | _settings(whole_image.WholeImageCnn, spec)


def _settings(cls: Any, spec: Mapping[str, Any]) -> dict[str, Any]:
    """``chosen``: what the config sets; ``defaults``: what it leaves as it is."""
    parameters = inspect.signature(cls).parameters
    return {
        "chosen": {key: value for key, value in spec.items() if key != "type"},
        "defaults": {
            key: list(value) if isinstance(value := parameter.default, tuple) else value
            for key, parameter in parameters.items()
            if key not in {*spec, *_HANDED, "type"}
            and isinstance(parameter.default, bool | int | float | str | tuple | None)
        },
    }


def commands(costs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each stage with its jobs, what they took in all, and the exact command line of the first."""
    found: dict[str, dict[str, Any]] = {}
    for cost in costs:
        stage = found.setdefault(cost["stage"], {"stage": cost["stage"], "n_jobs": 0})
        stage["n_jobs"] += 1
        for name in ("wall_s", "cpu_s"):
            stage[name] = stage.get(name, 0.0) + cost[name]
        stage.setdefault("command", cost.get("command", ""))
    return list(found.values())
