"""Check a config before anything runs: every mistake is one sentence with a way out."""

from collections.abc import Mapping
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError, best_match

from patchbench import grid, plain, plan, plan_scaling, plan_weights, plugins
from patchbench.errors import UserError
from patchbench.left_out import left_out
from patchbench.literature import chosen_networks
from patchbench.networks.whole_image import open_cnn
from patchbench.records import open_dataset
from patchbench.study import WHOLE_IMAGE
from patchbench.sweep_results import RANDOM

_SECTIONS = (
    "datasets",
    "patches",
    "encoders",
    "classifiers",
    "fusions",
    "cnns",
    "detectors",
    "explain",
    "experiments",
    "ways",
)
# resident memory of a process that has imported PyTorch and built a ResNet-50 is 0.4 GiB
LEAST_MEMORY_GIB = 0.5
# what a stage gives to everything it fits, so that no entry can set it
FITTED: dict[str, Any] = {"seed": 0, "device": "cpu", "threads": 1}


# JSON Schema takes 2.0 for an integer; commands of stages and names of folders do not
_Validator = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: type(value) is int
    ),
)


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
    plain.refuse_others(config)
    _check_shape(config, yaml.safe_load(schema_path.read_text(encoding="utf-8")))
    lists = config["benchmark"]
    for section in _SECTIONS:
        for name in lists[section]:
            if name not in config[section]:
                known = plugins.suggest(name, sorted(config[section]))
                raise UserError(f"config: benchmark.{section} names {name!r}; {known}")
    for name in lists["classifiers"]:
        plugins.build("classifiers", name, config["classifiers"][name], seed=0, threads=1)
    _check_fusions(config)
    for name in lists["cnns"]:
        open_cnn(name, config["cnns"][name], **FITTED)
        _check_weights(config, f"cnns.{name}", plan_weights.cnn_weights_file(config, name))
    _check_noise(config)
    _check_experiments(config)
    _check_scaling(config)
    for published, name in chosen_networks(config).items():
        if name not in lists["cnns"]:
            known = plugins.suggest(name, lists["cnns"])
            raise UserError(f"config: literature.{published} names {name!r}; {known}")
    for dataset in lists["datasets"]:
        _check_dataset(config, dataset)
    for name in lists["patches"]:
        _check_patches(config, name)
    _check_encoders(config)
    if all(run.patches == WHOLE_IMAGE for run in plan.runs(config)):
        raise UserError(f"config: nothing would run; {'; '.join(left_out(config))}")


def _check_fusions(config: Mapping[str, Any]) -> None:
    """Rules can be built, and there is one for the votes of patches."""
    chosen = config["benchmark"]["fusions"]
    for name in chosen:
        spec = config["fusions"][name]
        kind = plugins.load("fusions", spec.get("type", name))
        fixed = FITTED if kind.Fusion.uses == "embeddings" else {}
        plugins.build("fusions", name, spec, **fixed)
        if kind.Fusion.uses == "noise":
            _check_weighing(config, name)
    if not plan.fusions_on(config, "votes"):
        raise UserError(
            f"config: benchmark.fusions is [{', '.join(chosen)}], and none of these joins votes of "
            "patches; add one that does, for example mean_probability"
        )


def _check_weighing(config: Mapping[str, Any], name: str) -> None:
    """The detector that a rule weighs votes by is one that may see test patches."""
    entry = plan.weighs_by(config, name)
    if entry not in config["detectors"]:
        known = plugins.suggest(entry, sorted(config["detectors"]))
        raise UserError(f"config: fusions.{name}: detector is {entry!r}; {known}")
    spec = config["detectors"][entry]
    detector = plugins.build("detectors", entry, spec, seed=0, threads=1)
    if detector.uses_labels or detector.uses == "masks":
        raise UserError(
            f"config: fusions.{name}: detector is {entry!r}, which knows the truth of the patches "
            "it judges and so says nothing of test; name one that needs no labels and no masks"
        )


def _check_noise(config: Mapping[str, Any]) -> None:
    """Detectors and explanations can be built, and the CNN they need is one that runs."""
    for name in config["benchmark"]["detectors"]:
        plugins.build("detectors", name, config["detectors"][name], seed=0, threads=1)
    for name in config["benchmark"]["explain"]:
        plan.open_explain(config, name)
    _check_layers(config)
    if plan.detects(config):
        _check_sweep(config)
    cnn, cnns = config["noise"]["cnn"], config["benchmark"]["cnns"]
    if plan.detects(config) and cnn is not None and cnn not in cnns:
        raise UserError(
            f"config: noise.cnn is {cnn!r}, which is not among benchmark.cnns "
            f"({', '.join(cnns) or 'none'}); name one of these, or null"
        )


def _check_experiments(config: Mapping[str, Any]) -> None:
    """Experiments can be built, and done on images of this size."""
    for name in config["benchmark"]["experiments"]:
        experiment = plan.open_experiment(config, name)
        for dataset in config["benchmark"]["datasets"]:
            if not hasattr(experiment, "check_image"):
                continue
            try:
                experiment.check_image(config["datasets"][dataset]["image_size_px"])
            except ValueError as error:
                raise UserError(
                    f"config: experiments.{name} on datasets.{dataset}: {error}"
                ) from error


def _check_scaling(config: Mapping[str, Any]) -> None:
    """Ways can be built, and look at images of these sides under these limits."""
    asked, ways = config["scaling"], config["benchmark"]["ways"]
    sides_px, least = asked["sides_px"], asked["max_memory_gib"]
    if any(later <= side for side, later in pairwise(sides_px)):
        raise UserError(f"config: scaling.sides_px is {sides_px}; give sides that grow, each once")
    if ways and least < LEAST_MEMORY_GIB:
        raise UserError(
            f"config: scaling.max_memory_gib is {least:g}, less than Python with PyTorch takes "
            f"before it sees an image; give at least {LEAST_MEMORY_GIB:g}"
        )
    for name in ways:
        needed = plan_scaling.open_way(config, name).least_px
        if sides_px[0] < needed:
            raise UserError(
                f"config: scaling.sides_px begins with {sides_px[0]}, but ways.{name} looks at "
                f"images of at least {needed} px; begin with {needed} or more"
            )


def _check_layers(config: Mapping[str, Any]) -> None:
    """Layers are asked for in networks that there are."""
    networks = [*config["cnns"], *config["encoders"]]
    for name in config["benchmark"]["explain"]:
        asked = getattr(plan.open_explain(config, name), "layer", None)
        for network in asked if isinstance(asked, Mapping) else ():
            if network not in networks:
                raise UserError(
                    f"config: explain.{name}.layer names {network!r}, which is no entry of cnns or "
                    f"encoders; {plugins.suggest(network, networks)}"
                )


def _check_sweep(config: Mapping[str, Any]) -> None:
    """There is something to sweep, and chance to compare with."""
    entries = config["detectors"]
    kinds = [entries[name].get("type", name) for name in config["benchmark"]["detectors"]]
    if RANDOM not in config["benchmark"]["detectors"] or RANDOM not in kinds:
        raise UserError(
            f"config: benchmark.detectors lacks {RANDOM!r}, with which all others are compared; "
            "add it"
        )
    if not plan.swept(config):
        raise UserError(
            "config: benchmark.detectors are asked for, but no classifier among "
            f"{', '.join(config['benchmark']['classifiers'])} can be fitted again on fewer "
            "patches; add logistic"
        )


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
    """Patches fit into the images."""
    entry = config["patches"][name]
    for dataset in config["benchmark"]["datasets"]:
        side_px = config["datasets"][dataset]["image_size_px"]
        try:
            grid.starts(side_px, entry["patch_size_px"], entry["stride_px"], entry["edge"])
        except ValueError as error:
            raise UserError(f"config: patches.{name} on datasets.{dataset}: {error}") from error


def _check_encoders(config: Mapping[str, Any]) -> None:
    """Every encoder can work on some patches, all patches have an encoder, weights are there."""
    encoders, patches = (config["benchmark"][name] for name in ("encoders", "patches"))
    refused = {
        pair: reason
        for pair in product(encoders, patches)
        if (reason := plan.why_not(config, *pair)) is not None
    }
    for pairs in [[(e, at) for at in patches] for e in encoders] + [
        [(e, at) for e in encoders] for at in patches
    ]:
        if all(pair in refused for pair in pairs):
            raise UserError(refused[pairs[0]])
    for pair in product(encoders, patches):
        path = None if pair in refused else plan_weights.weights_file(config, *pair)
        _check_weights(config, f"encoders.{pair[0]}", path)


def _check_weights(config: Mapping[str, Any], entry: str, path: str | None) -> None:
    """A checkpoint that an entry starts from is there, or will be fetched."""
    if path and path not in plan_weights.published(config) and not Path(path).is_file():
        raise UserError(
            f"config: {entry}.weights is {path!r}, but there is no such file; give "
            "'scratch', 'imagenet' or the path of a checkpoint"
        )
    if path and set("{}") & set(path):
        raise UserError(
            f"config: {entry}.weights is {path!r}, and Snakemake takes what stands in braces for a "
            "wildcard; rename the file"
        )


def _check_shape(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    error = best_match(_Validator(schema).iter_errors(config))
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
            "letters and digits joined by - or _, at most 100, but not other folders there: "
            "whole-image, studies, across-datasets, scaling; of classifiers none, pooled, "
            "embeddings, maps"
        )
    meaning = rule.get("description")
    return f"{where} is {error.instance!r}: {error.message}" + (f" ({meaning})" if meaning else "")
