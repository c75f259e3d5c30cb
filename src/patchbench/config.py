"""Check a config before anything runs: every mistake is one sentence with a way out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from patchbench import grid, plugins
from patchbench.errors import UserError
from patchbench.networks.whole_image import open_cnn
from patchbench.records import open_dataset

# what a stage gives to everything it fits, so that no entry can set it
FITTED: dict[str, Any] = {"seed": 0, "device": "cpu", "threads": 1}


def typed(value: Any) -> Any:
    """Turn text that reads as a number or a truth value into one, all the way down.

    Snakemake hands the inner values of ``--config 'patches={fine: {stride_px: 8}}'`` over as text.

    >>> typed({"stride_px": "8", "edge": "drop", "sizes": ["0.5", "true"], "root": None})
    {'stride_px': 8, 'edge': 'drop', 'sizes': [0.5, True], 'root': None}
    """
    if isinstance(value, Mapping):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    if isinstance(value, str):
        try:
            read = yaml.safe_load(value)
        except yaml.YAMLError:
            return value
        return read if isinstance(read, bool | int | float) or value == "null" else value
    return value


def check(config: Mapping[str, Any], schema_path: Path) -> None:
    """Refuse a config that could not run to the end.

    Raises
    ------
    UserError
        Naming the key, the value, what is expected and the way out.
    """
    _check_shape(config, yaml.safe_load(schema_path.read_text(encoding="utf-8")))
    lists = config["benchmark"]
    for section in ("datasets", "patches", "encoders", "classifiers", "fusions", "cnns"):
        for name in lists[section]:
            if name not in config[section]:
                known = plugins.suggest(name, sorted(config[section]))
                raise UserError(f"config: benchmark.{section} names {name!r}; {known}")
    for name in lists["classifiers"]:
        plugins.build("classifiers", name, config["classifiers"][name], seed=0)
    for name in lists["fusions"]:
        plugins.build("fusions", name, config["fusions"][name])
    for name in lists["cnns"]:
        open_cnn(name, config["cnns"][name], **FITTED)
    for dataset in lists["datasets"]:
        _check_dataset(config, dataset)
    for name in lists["patches"]:
        _check_patches(config, name)


def _check_dataset(config: Mapping[str, Any], name: str) -> None:
    """The entry makes sense, and a folder that it names is there."""
    dataset, _ = open_dataset(name, config["datasets"][name])
    root = getattr(dataset, "root", None)
    if root and not Path(root).expanduser().is_dir():
        raise UserError(
            f"config: datasets.{name}.root is {root!r}, but there is no such folder; "
            "give the folder of the images (relative to where snakemake runs, or absolute)"
        )


def _check_patches(config: Mapping[str, Any], name: str) -> None:
    """Patches fit into the images, and encoders into the patches."""
    entry = config["patches"][name]
    for dataset in config["benchmark"]["datasets"]:
        side_px = config["datasets"][dataset]["image_size_px"]
        try:
            grid.starts(side_px, entry["patch_size_px"], entry["stride_px"], entry["edge"])
        except ValueError as error:
            raise UserError(f"config: patches.{name} on datasets.{dataset}: {error}") from error
    for encoder in config["benchmark"]["encoders"]:
        spec = config["encoders"][encoder]
        plugins.build("encoders", encoder, spec, patch_size_px=entry["patch_size_px"], **FITTED)


def _check_shape(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    error = best_match(Draft202012Validator(schema).iter_errors(config))
    if error is not None:
        raise UserError(f"config: {_sentence(error)}")


def _sentence(error: ValidationError) -> str:
    where, rule = ".".join(str(part) for part in error.absolute_path), dict[str, Any]()
    if isinstance(error.schema, Mapping):
        rule.update(error.schema)
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        known = sorted(rule.get("properties", {}))
        extra = next(key for key in error.instance if key not in known)
        return f"unknown key {where + '.' if where else ''}{extra}; {plugins.suggest(extra, known)}"
    if error.validator == "required":
        return f"{where or 'the config'} lacks a key: {error.message}"
    if error.validator == "propertyNames" or "propertyNames" in error.absolute_schema_path:
        return (
            f"{where or 'the config'} has an entry named {error.instance!r}; names are lower-case "
            "letters and digits joined by - or _, and not 'whole-image' or 'studies'"
        )
    meaning = rule.get("description")
    return f"{where} is {error.instance!r}: {error.message}" + (f" ({meaning})" if meaning else "")
