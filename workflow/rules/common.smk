# Checks the config; gives the rules their paths, wildcard patterns, settings and code fingerprints.
import json
import os
import re
import shlex
import sys
from itertools import chain
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

SRC = f"{workflow.basedir}/src"
sys.path.insert(0, SRC)

from patchbench import (
    cluster,
    disks,
    download_cache,
    plan,
    plan_figures,
    plan_files,
    plan_scaling,
    plan_weights,
)
from patchbench.config import check, typed
from patchbench.devices import resolve
from patchbench.errors import UserError
from patchbench.fingerprint import fingerprint, folder_digest
from patchbench.limits import Limits
from patchbench.machine import COMMAND_VARIABLE
from patchbench.records import deciding_download, open_dataset
from patchbench.plan import (
    CLASSIFIER,
    CNN,
    DATASET,
    ENCODER,
    ONLY_SHARD,
    PATCHES,
    STUDY,
)
from patchbench.plan_weights import WEIGHTS
from patchbench.study import WHOLE_IMAGE

# told in the report; jobs inherit it, also those that another Snakemake starts on a cluster's node
os.environ.setdefault(COMMAND_VARIABLE, shlex.join(["snakemake", *sys.argv[1:]]))

# the command line hands inner values over as text; files do not
update_config(config, typed(workflow.config_settings.config or {}))

try:
    check(config, Path(workflow.basedir) / "workflow/schemas/config.schema.yaml")
    published = plan_weights.published(config)
    datasets = {
        name: open_dataset(name, config["datasets"][name])[0]
        for name in config["benchmark"]["datasets"]
    }
    # a user's own folder is no file that Snakemake watches, so what is in it counts as a setting
    sources = {
        name: folder_digest(root) if (root := getattr(dataset, "root", None)) else ""
        for name, dataset in datasets.items()
    }
except UserError as error:
    raise WorkflowError(str(error)) from None

needs_download = {name: dataset.needs_download for name, dataset in datasets.items()}
to_fetch = [
    f"resources/{name}/complete.json" for name in needs_download if needs_download[name]
]
to_fetch += published

# jobs find the package in a plain clone, and the Python that runs Snakemake unless conda brings one
prefix = f"set -euo pipefail; export PYTHONPATH={shlex.quote(SRC)}; "
if not workflow.deployment_settings.deployment_method:
    prefix += f"export PATH={shlex.quote(os.path.dirname(sys.executable))}:$PATH; "
shell.prefix(prefix.replace("{", "{{").replace("}", "}}"))


# rules whose results projects share with `--cache`; without it Snakemake would name them at each start
SHARED = workflow.enable_cache
if SHARED:
    download_cache.share_beside_snakemakes()
# what a job that uses a device asks of a cluster
DEVICE = {"gpu": 1} if config.get("device") == "cuda" else {}


onstart:  # not before is it known where jobs will run
    try:
        disks.refuse_closed(Path("results"))
        for path in map(Path, to_fetch):
            if not path.is_file():  # what was fetched may lie in a closed folder
                disks.refuse_closed(path.parent)
        # a run on this machine, too, would write what jobs of a killed run on a cluster still write
        if not workflow.local_exec or cluster.has_submitted(Path.cwd()):
            cluster.refuse_beside_leftovers(Path.cwd())
        if workflow.local_exec and config.get("device") in ("cuda", "mps"):
            resolve(config["device"])
    except UserError as error:
        raise WorkflowError(str(error)) from None


onerror:  # in the run itself, not in the Snakemake of one job on a cluster
    if workflow.is_main_process:
        files = [str(path) for path in workflow.config_settings.configfiles or []]
        options = ["--configfile", *files] if files else []
        changed = workflow.config_settings.config
        less = " (without what --config has changed)" if changed else ""
        way = shlex.join(
            [sys.executable, "-m", "patchbench", "unfinished", *options]
        )
        print(
            f"\nA page of what is there, and what is missing{less}:\n"
            f"  PYTHONPATH={shlex.quote(SRC)} {way}",
            file=sys.stderr,
        )


def chosen(section):
    """The entries of a section that the benchmark chooses."""
    return {name: config[section][name] for name in config["benchmark"][section]}


def one_of(names):
    return "|".join(map(re.escape, names)) or "(?!)"  # which nothing matches


# Patches in one shard need no jobs to be spread: one does two stages in turn, since many work for
# less time than Python takes to start. What another setting decides stays a job of its own.
IN_ONE_SHARD = one_of(
    name for name in config["patches"] if plan.in_one_shard(config, name)
)
NO_NETWORK = one_of(
    name for name in chosen("encoders") if not plan.is_network(config, name)
)


wildcard_constraints:
    dataset=one_of(config["datasets"]),
    patches=one_of(config["patches"]),
    encoder=one_of(config["encoders"]),
    classifier=one_of(config["classifiers"]),
    cnn=one_of(config["cnns"]),
    explain=one_of(config["explain"]),
    way=one_of(config["ways"]),
    task=one_of(config["scaling"]["tasks"]),
    study=re.escape(config["study"]),
    seed=r"\d+",
    shard=r"\d{5}-of-\d{5}",
    weights=one_of(Path(path).name for path in published),


def entry(section, key):
    """The config entry that a wildcard names, as a function of the wildcards."""
    return lambda w: config[section][w[key]]


def spec(section, key):
    """JSON text of that entry."""
    return lambda w: json.dumps(config[section][w[key]], sort_keys=True)


def about(w):
    """JSON text that says which run a job belongs to; a CNN stands in the encoder's place."""
    named = dict(w.items())
    if "cnn" in named:
        named |= {
            "patches": "whole-image",
            "encoder": named.pop("cnn"),
            "classifier": "own_head",
        }
    return json.dumps(named, sort_keys=True)


def about_shard(w):
    """The same, of a job of the only shard, which its wildcards do not name."""
    return json.dumps(dict(w.items()) | {"shard": ONLY_SHARD}, sort_keys=True)


def code_of(stage, section=None, key=None):
    """Hash of the code a job will run: its stage and the one plug-in it loads."""

    def hash_for(w):
        modules = [f"patchbench.stages.{stage}"]
        if section:
            kind = config[section][w[key]].get("type", w[key])
            modules.append(f"patchbench.{section}.{kind}")
        return fingerprint(*modules)

    return hash_for


def start_from(path):
    """Option that hands a checkpoint over, where there is one."""
    return f"--weights {shlex.quote(path)}" if path else ""


def shards_of(pattern):
    """All shards of a file pattern, in order."""
    return lambda w: [
        pattern.format(**{**dict(w.items()), "shard": shard})
        for shard in plan.shards(config, w.patches)
    ]


def command(first, *others, threads="{threads}"):
    """The command of a stage, or of several in one process: who the job is, and where it tells.

    Params and outputs of this for any but the first stage begin with its name.
    """
    names = ["", *(f"{stage.split()[0]}_" for stage in others)]
    stages = [
        f"{stage} --about {{params.{name}about:q}} --code {{params.{name}code:q}}"
        f" --threads {threads} --cost {{output.{name}cost:q}}"
        for name, stage in zip(names, (first, *others))
    ]
    return f"python -m patchbench {' --then '.join(stages)} > {{log:q}} 2>&1"


def fusion_modules(uses):
    """Modules of the chosen fusion rules that work on votes, or on embeddings."""
    return [
        f"patchbench.fusions.{fusion.get('type', name)}"
        for name, fusion in plan.fusions_on(config, uses).items()
    ]


FUSIONS = json.dumps(plan.fusions_on(config, "votes"), sort_keys=True)
POOLINGS = json.dumps(plan.fusions_on(config, "embeddings"), sort_keys=True)
