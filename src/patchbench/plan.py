"""Which runs a config asks for and where their files lie: the one place that knows paths.

A folder's parent holds what it was made from, so deleting a folder deletes exactly what
descends from it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from patchbench import plugins
from patchbench.errors import UserError
from patchbench.networks.whole_image import open_cnn
from patchbench.patchset import shard_name
from patchbench.study import NONE, OWN_HEAD, WHOLE_IMAGE

DATASET = "results/{dataset}"
PATCHES = DATASET + "/{patches}"
ENCODER = PATCHES + "/seed{seed}/{encoder}"
CLASSIFIER = ENCODER + "/{classifier}"
POOLED = ENCODER + "/pooled"
CNN = DATASET + "/" + WHOLE_IMAGE + "/seed{seed}/{cnn}"
CNN_MAPS = CNN + "/maps/{explain}"
FOLD = CNN + "/folds/{fold}-of-{n_folds}"
ENCODER_MAPS = ENCODER + "/maps/{explain}"
NOISE = CLASSIFIER + "/noise"
STUDY = "results/studies/{study}"

# where patches are in one shard
ONLY_SHARD = shard_name(0, 1)
# the entry of `explain` whose maps detectors see
GRAD_CAM = "gradcam"

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """One line of the comparison: a way from images to decisions."""

    dataset: str
    patches: str
    encoder: str
    classifier: str
    seed: int

    @property
    def folder(self) -> str:
        """Where its predictions, metrics and ROC curves lie."""
        if self.patches == WHOLE_IMAGE:
            return CNN.format(dataset=self.dataset, seed=self.seed, cnn=self.encoder)
        return (POOLED if self.classifier == NONE else CLASSIFIER).format(**asdict(self))

    @property
    def votes(self) -> bool:
        """Whether patches vote: neither a CNN decides, nor rules that work on embeddings."""
        return self.patches != WHOLE_IMAGE and self.classifier != NONE

    @property
    def encoder_folder(self) -> str:
        """Where its fitted network and loss curves lie."""
        return self.folder if self.patches == WHOLE_IMAGE else self.folder.rpartition("/")[0]


def runs(config: Config) -> list[Run]:
    """All runs the config's ``benchmark`` lists ask for, patch methods first, then CNNs.

    Where rules work on embeddings, a run of each encoder has no classifier.
    """
    lists = config["benchmark"]
    pooled = [NONE] if fusions_on(config, "embeddings") else []
    found = [
        Run(dataset, patches, encoder, classifier, seed)
        for dataset, patches, encoder, classifier, seed in product(
            lists["datasets"],
            lists["patches"],
            lists["encoders"],
            lists["classifiers"] + pooled,
            lists["seeds"],
        )
        if why_not(config, encoder, patches) is None
        and (classifier == NONE or goes_with(config, encoder, classifier, patches))
    ]
    whole = product(lists["datasets"], lists["cnns"], lists["seeds"])
    found += [Run(data, WHOLE_IMAGE, cnn, OWN_HEAD, seed) for data, cnn, seed in whole]
    return [run for run in found if made(config, run.folder)]


def made(config: Config, path: str) -> bool:
    """Whether a result is there to be told of; an unfinished study names those that are not."""
    return path not in config.get("unfinished", {}).get("absent", ())


def fusions_on(config: Config, uses: str) -> dict[str, Any]:
    """The chosen fusion entries, with settings, that work on one kind of input.

    That is ``votes``, votes with what detectors say of their ``noise``, or ``embeddings``.
    """
    chosen = {name: config["fusions"][name] for name in config["benchmark"]["fusions"]}
    return {
        name: spec
        for name, spec in chosen.items()
        if plugins.load("fusions", spec.get("type", name)).Fusion.uses == uses
    }


def fusions_of(config: Config, run: Run) -> dict[str, Any]:
    """The chosen fusion entries that join the votes of a run.

    Those that weigh votes by a detector need its scores, so that detector must look at the run.
    """
    by_noise = fusions_on(config, "noise") if run in swept(config) else {}
    seen = set(config["benchmark"]["detectors"]) - set(blind_detectors(config))
    return fusions_on(config, "votes") | {
        name: spec for name, spec in by_noise.items() if weighs_by(config, name) in seen
    }


def weighs_by(config: Config, fusion: str) -> str:
    """Entry of the detector by whose scores a fusion rule weighs votes."""
    return str(plugins.build("fusions", fusion, config["fusions"][fusion]).detector)


def blind_detectors(config: Config) -> list[str]:
    """Detectors that look at maps where there are none."""
    lists = config["benchmark"]
    if grad_cam(config, lists["datasets"][0], lists["seeds"][0]) is not None:
        return []
    return [
        name
        for name in lists["detectors"]
        if plugins.build("detectors", name, config["detectors"][name]).uses == "saliency"
    ]


def rival(config: Config, pooled: Run) -> Run | None:
    """The run whose votes rules on embeddings are compared with: of the first classifier."""
    own = [run for run in runs(config) if run.votes and run.encoder_folder == pooled.encoder_folder]
    return next((run for run in own if uses_of(config, run.classifier) != "nothing"), None)


def goes_with(config: Config, encoder: str, classifier: str, patches: str) -> bool:
    """Whether a classifier is run with an encoder.

    One that uses nothing would give the same with every encoder, so it runs with the first; one
    that uses the encoder's own head runs where there is one.
    """
    uses = uses_of(config, classifier)
    if uses == "nothing":
        able = (e for e in config["benchmark"]["encoders"] if why_not(config, e, patches) is None)
        return encoder == next(able)
    return uses != "head" or head_of(config, encoder) is not None


def why_not(config: Config, encoder: str, patches: str) -> str | None:
    """Why an encoder cannot work on patches, in its own words; None where it can."""
    try:
        open_encoder(config, encoder, patches)
    except UserError as error:
        return str(error)
    return None


def uses_of(config: Config, classifier: str) -> str:
    """What a classifier works on: ``embeddings``, ``nothing`` or the encoder's ``head``."""
    kind = config["classifiers"][classifier].get("type", classifier)
    return str(plugins.load("classifiers", kind).Classifier.uses)


def head_of(config: Config, encoder: str) -> tuple[str, str] | None:
    """Names of weights and bias of an encoder's linear head in its state; None without one."""
    kind = config["encoders"][encoder].get("type", encoder)
    return getattr(plugins.load("encoders", kind).Encoder, "head", None)


def is_network(config: Config, encoder: str) -> bool:
    """Whether an encoder is a network: it trains for long, starts from weights, takes a device."""
    kind = config["encoders"][encoder].get("type", encoder)
    opened = plugins.load("encoders", kind).Encoder
    return getattr(opened, "differentiable", True) or hasattr(opened, "weights")


def open_encoder(config: Config, encoder: str, patches: str) -> Any:
    """The encoder of a config entry as it is for a patches entry, unfitted."""
    size_px = config["patches"][patches]["patch_size_px"]
    spec = config["encoders"][encoder]
    return plugins.build("encoders", encoder, spec, patch_size_px=size_px, seed=0)


def shards(config: Config, patches: str) -> list[str]:
    """Names of the shards of a patches entry."""
    n_shards = config["patches"][patches].get("shards", 1)
    return [shard_name(shard, n_shards) for shard in range(n_shards)]


def in_one_shard(config: Config, patches: str) -> bool:
    """Whether one job meets all patches, so that it can do two stages in turn."""
    return bool(config["patches"][patches].get("shards", 1) == 1)


def pixel_files(config: Config, dataset: str, patches: str) -> list[str]:
    """Where the pixels of all patches lie, shard by shard."""
    folder = PATCHES.format(dataset=dataset, patches=patches)
    return [f"{folder}/pixels/{shard}.npy" for shard in shards(config, patches)]


def map_files(config: Config) -> dict[str, Run]:
    """Every encoder's map of embeddings, with a run of that encoder; of the first seed only."""
    seed = config["benchmark"]["seeds"][0]
    own = [run for run in runs(config) if run.patches != WHOLE_IMAGE and run.seed == seed]
    found = {f"{run.encoder_folder}/map.parquet": run for run in own}
    return {path: run for path, run in found.items() if made(config, path)}


@dataclass(frozen=True)
class Explained:
    """Maps of one network by one way of explaining it."""

    run: Run
    explain: str

    @property
    def folder(self) -> str:
        """Where the maps and their measures lie."""
        return f"{self.run.encoder_folder}/maps/{self.explain}"


def open_explain(config: Config, name: str) -> Any:
    """The explanation of a config entry."""
    return plugins.build("explain", name, config["explain"][name])


def explanations(config: Config) -> list[Explained]:
    """All maps that a study asks for: of its CNNs, and of encoders with a head of their own."""
    found: dict[tuple[str, str], Explained] = {}
    for name, run in product(config["benchmark"]["explain"], runs(config)):
        if _explains(config, name, run):
            found.setdefault((run.encoder_folder, name), Explained(run, name))
    return [explained for explained in found.values() if made(config, explained.folder)]


def _explains(config: Config, name: str, run: Run) -> bool:
    if run.patches == WHOLE_IMAGE:
        whole = open_cnn(run.encoder, config["cnns"][run.encoder], seed=0)
        return whole.is_bagnet or open_explain(config, name).needs != "patch_logits"
    return run.votes and uses_of(config, run.classifier) == "head"


def detects(config: Config) -> bool:
    """Whether the study runs detectors."""
    return bool(config["benchmark"]["detectors"])


def refits(config: Config, classifier: str) -> bool:
    """Whether a classifier can be fitted again on fewer patches."""
    kind = config["classifiers"][classifier].get("type", classifier)
    return hasattr(plugins.load("classifiers", kind).Classifier, "refitted")


def swept(config: Config) -> list[Run]:
    """Runs whose train and test patches detectors look at."""
    own = [run for run in _looked_at(config) if refits(config, run.classifier)]
    return [run for run in own if made(config, f"{run.folder}/noise/sweep.parquet")]


def split_by_noise(config: Config) -> list[Run]:
    """Runs whose votes are told apart by saliency and foreground."""
    own = _looked_at(config)
    return [run for run in own if made(config, f"{run.folder}/noise/background.parquet")]


def _looked_at(config: Config) -> list[Run]:
    if not detects(config):
        return []
    own = [run for run in runs(config) if run.votes]
    return [run for run in own if uses_of(config, run.classifier) != "nothing"]


def grad_cam(config: Config, dataset: str, seed: int) -> str | None:
    """Folder of the maps that detectors see; None where there are none."""
    cnn = config["noise"]["cnn"]
    if not detects(config) or cnn is None or GRAD_CAM not in config["benchmark"]["explain"]:
        return None
    folder = CNN_MAPS.format(dataset=dataset, seed=seed, cnn=cnn, explain=GRAD_CAM)
    return folder if made(config, folder) else None


def experiments_of(config: Config, run: Run) -> list[str]:
    """The chosen experiments that a run can be put to."""
    whole, able = run.patches == WHOLE_IMAGE, {"model"}
    if not whole and (not run.votes or uses_of(config, run.classifier) == "nothing"):
        return []
    able |= {"channels"} if whole or linear(config, run.classifier) else set()
    able |= set() if whole else {"votes"}
    chosen = config["benchmark"]["experiments"]
    return [name for name in chosen if open_experiment(config, name).needs in able]


def experimented(config: Config) -> list[Run]:
    """Runs that experiments are done on."""
    own = [run for run in runs(config) if experiments_of(config, run)]
    return [run for run in own if made(config, f"{run.folder}/experiments.parquet")]


def open_experiment(config: Config, name: str) -> Any:
    """The experiment of a config entry."""
    return plugins.build("experiments", name, config["experiments"][name], seed=0)


def linear(config: Config, classifier: str) -> bool:
    """Whether a classifier's scores are linear in what it is told of a patch."""
    kind = config["classifiers"][classifier].get("type", classifier)
    return hasattr(plugins.load("classifiers", kind).Classifier, "linear")
