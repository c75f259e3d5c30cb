"""What a study would run here, where, and what it would have to fetch first."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from patchbench import plan, plan_files, plan_weights
from patchbench.config import check
from patchbench.doctor import ROOT
from patchbench.doctor_findings import MISSING, NOTE, Finding
from patchbench.download import matches
from patchbench.errors import UserError
from patchbench.left_out import left_out
from patchbench.networks.published import Published
from patchbench.plain import refuse_others
from patchbench.records import open_dataset
from patchbench.study import WHOLE_IMAGE

SCHEMA = ROOT / "workflow/schemas/config.schema.yaml"
# the name of a cost file, or of its folder, and the stage that leaves it
_STAGES = {
    "dataset": "prepare",
    "pixels": "cut",
    "encoder": "fit_encoder",
    "embeddings": "encode",
    "map": "map_embeddings",
    "classifier": "fit_classifier",
    "pooling": "fit_pooling",
    "patch_logits": "classify",
    "experiments": "experiment",
}
# jobs that do the next stage too, by their first
_TOGETHER = {
    "cut": "cut_and_index",
    "fit_encoder": "fit_and_encode",
    "fit_classifier": "fit_and_classify",
}


def load(files: Sequence[Path]) -> dict[str, Any]:
    """The config as Snakemake would have it: the default study, then these files over it.

    Raises
    ------
    UserError
        If a file is not there or no mapping.
    """
    from snakemake.utils import update_config

    config: dict[str, Any] = {}
    for path in (ROOT / "config.yaml", *files):
        try:
            read = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{path} cannot be read as YAML ({reason}); give a config") from error
        if not isinstance(read, Mapping):
            raise UserError(f"{path} holds no settings; give a config as workflow/studies has them")
        refuse_others(read)  # before it is laid over the others, which would follow references
        update_config(config, read)
    return config


def examine(config: Mapping[str, Any]) -> list[Finding]:
    """Everything that depends on the study; its mistake, if it could not run to the end."""
    try:
        check(config, SCHEMA)
    except UserError as error:
        return [Finding("study", "config", "refused", MISSING, str(error))]
    return [*_asked(config), *_jobs(config), *_data(config), *weights(config)]


def _asked(config: Mapping[str, Any]) -> list[Finding]:
    """What the study compares, and what it leaves out."""
    lists = config["benchmark"]
    runs = plan.runs(config)
    cnns = sum(run.patches == WHOLE_IMAGE for run in runs)
    found = [Finding("study", "name", str(config["study"]))]
    for section, names in lists.items():
        told = f"{len(names)}: {', '.join(map(str, names))}" if names else "none"
        found.append(Finding("study", section, told))
    told = f"{len(runs) - cnns} of patches, {cnns} of whole images"
    found.append(Finding("study", "runs", told))
    return found + [
        Finding("study", "left out", "see above", NOTE, reason) for reason in left_out(config)
    ]


def jobs(config: Mapping[str, Any]) -> Counter[str]:
    """How many jobs of each stage the study is made of, as ``snakemake -n`` counts them."""
    names = config["benchmark"]["datasets"]
    opened = [open_dataset(name, config["datasets"][name])[0] for name in names]
    ends = ["collect", "draw", "report"]
    return (
        Counter(download=sum(dataset.needs_download for dataset in opened))
        + Counter(fetch_weights=len(plan_weights.published(config)))
        + Counter([*(job for job, _ in _jobs_of_runs(config)), *ends])
    )


def _jobs_of_runs(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every job from images to decisions: its rule, and the file that says what it cost first."""
    seconds = plan_files.second_stages(config)
    firsts = set(seconds.values())
    return [
        (_TOGETHER[_stage(path)] if path in firsts else _stage(path), path)
        for path in plan_files.costs(config)
        if path not in seconds
    ]


def _stage(path: str) -> str:
    """The stage that leaves a cost file."""
    folder, name = Path(path).parent, Path(path).name.removesuffix(".cost.json")
    if folder.parent == Path("results/scaling"):
        return "scale"
    if name == "predictions":
        in_cnns = folder.parts[2:3] == (WHOLE_IMAGE,)
        return "cnn_predict" if in_cnns else ("pool" if folder.name == "pooled" else "fuse")
    if name == "cnn" and folder.parent.name == "folds":
        return "cnn (of a fold)"
    return _STAGES.get(folder.name, _STAGES.get(name, name))


def _jobs(config: Mapping[str, Any]) -> list[Finding]:
    """Jobs by stage, how many have run here before, and what computes on the device."""
    files = [path for _, path in _jobs_of_runs(config)]
    done = sum(Path(file).is_file() for file in files)
    counts = jobs(config)
    told = ", ".join(f"{n} {stage}" for stage, n in counts.items())
    networks = [
        encoder
        for encoder in config["benchmark"]["encoders"]
        if any(
            getattr(plan.open_encoder(config, encoder, patches), "differentiable", False)
            for patches in config["benchmark"]["patches"]
            if plan.why_not(config, encoder, patches) is None
        )
    ]
    networks += config["benchmark"]["cnns"]
    threads = config["train_threads"]
    return [
        Finding("study", "jobs", f"{counts.total()}: {told}"),
        Finding(
            "study", "already done", f"{done} of the {len(files)} jobs from images to decisions"
        ),
        Finding("study", "networks", f"{', '.join(networks) or 'none'}; {threads} thread(s) each"),
    ]


def _data(config: Mapping[str, Any]) -> list[Finding]:
    """Where each dataset comes from."""
    found = []
    for name in config["benchmark"]["datasets"]:
        dataset, _ = open_dataset(name, config["datasets"][name])
        root = getattr(dataset, "root", None)
        if not dataset.needs_download:
            value, missing = f"the folder {root}" if root else "made here, no download", False
        else:
            missing = not Path("resources", name, "complete.json").is_file()
            value = "to be downloaded" if missing else f"downloaded, in resources/{name}"
        if missing:
            copy = f"; with a copy at hand name it under datasets.{name}.root"
            sentence = f"dataset {name} is not here and will be downloaded when the study runs"
            sentence += copy if hasattr(dataset, "root") else ""
            found.append(Finding("data", name, value, NOTE, sentence))
        else:
            found.append(Finding("data", name, value))
    return found


def weights(config: Mapping[str, Any]) -> list[Finding]:
    """Published weights: those that the study needs, then those of entries it does not choose."""
    needed = plan_weights.published(config)
    found = [fetched("weights", path, file, needed=True) for path, file in needed.items()]
    found = found or [Finding("weights", "for this study", "none needed")]
    # at patches large enough for every encoder, since it is only asked what entries start from
    patches = {"large": {"patch_size_px": 256, "stride_px": 256, "edge": "drop"}}
    others: dict[str, tuple[Published, list[str]]] = {}
    for section in ("encoders", "cnns"):
        for entry in config[section]:
            lists = {"encoders": [], "cnns": [], "patches": ["large"], section: [entry]}
            alone = {**config, "patches": patches, "benchmark": {**config["benchmark"], **lists}}
            for path, file in plan_weights.published(alone).items():
                others.setdefault(path, (file, []))[1].append(entry)
    for path, (file, entries) in others.items():
        if path not in needed:
            section = f"weights of entries not chosen: {', '.join(entries)}"
            found.append(fetched(section, path, file, needed=False))
    return found


def fetched(section: str, path: str, file: Published, *, needed: bool = True) -> Finding:
    """Whether a file of weights was fetched, and is what its name says."""
    here = Path(path)
    if not here.is_file():
        sentence = f"{file.name} is not here and will be downloaded when the study runs; without a "
        sentence += f"connection put it at {path} by hand"
        if not needed:
            return Finding(section, file.name, "not here; a study that chooses it downloads it")
        return Finding(section, file.name, "to be downloaded", NOTE, sentence)
    if matches(here, file.checksum):
        return Finding(section, file.name, f"in {here.parent}, checksum right")
    sentence = f"{path} has another checksum than its name says; delete it"
    return Finding(section, file.name, "damaged", MISSING if needed else NOTE, sentence)
