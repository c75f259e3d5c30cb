"""Which runs a config asks for and where their files lie: the one place that knows paths.

A folder's parent holds what it was made from, so deleting a folder deletes exactly what
descends from it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from patchbench.patchset import shard_name
from patchbench.plugins import load
from patchbench.study import OWN_HEAD, WHOLE_IMAGE

DATASET = "results/{dataset}"
PATCHES = DATASET + "/{patches}"
ENCODER = PATCHES + "/seed{seed}/{encoder}"
CLASSIFIER = ENCODER + "/{classifier}"
CNN = DATASET + "/" + WHOLE_IMAGE + "/seed{seed}/{cnn}"
STUDY = "results/studies/{study}"

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
        return CLASSIFIER.format(**asdict(self))

    @property
    def encoder_folder(self) -> str:
        """Where its fitted network and loss curves lie."""
        return self.folder if self.patches == WHOLE_IMAGE else self.folder.rpartition("/")[0]


def runs(config: Config) -> list[Run]:
    """All runs the config's ``benchmark`` lists ask for, patch methods first, then CNNs."""
    lists = config["benchmark"]
    found = [
        Run(dataset, patches, encoder, classifier, seed)
        for dataset, patches, encoder, classifier, seed in product(
            lists["datasets"],
            lists["patches"],
            lists["encoders"],
            lists["classifiers"],
            lists["seeds"],
        )
        if encoder == lists["encoders"][0] or _uses_embeddings(config, classifier)
    ]
    whole = product(lists["datasets"], lists["cnns"], lists["seeds"])
    return found + [Run(data, WHOLE_IMAGE, cnn, OWN_HEAD, seed) for data, cnn, seed in whole]


def _uses_embeddings(config: Config, classifier: str) -> bool:
    """Whether a classifier looks at embeddings; one that does not runs with one encoder only."""
    kind = config["classifiers"][classifier].get("type", classifier)
    return bool(load("classifiers", kind).Classifier.uses_embeddings)


def shards(config: Config, patches: str) -> list[str]:
    """Names of the shards of a patches entry."""
    n_shards = config["patches"][patches].get("shards", 1)
    return [shard_name(shard, n_shards) for shard in range(n_shards)]


def cost_files(config: Config) -> list[str]:
    """The cost files of every job that the runs are made of, each once."""
    found: dict[str, None] = {}
    for run in runs(config):
        data = DATASET.format(dataset=run.dataset)
        paths = [f"{data}/dataset.cost.json"]
        if run.patches == WHOLE_IMAGE:
            paths += [f"{run.folder}/cnn.cost.json", f"{run.folder}/predictions.cost.json"]
        else:
            cut = f"{data}/{run.patches}"
            paths += [f"{cut}/index.cost.json", f"{run.encoder_folder}/encoder.cost.json"]
            paths += [f"{run.folder}/classifier.cost.json", f"{run.folder}/predictions.cost.json"]
            for shard in shards(config, run.patches):
                paths += [
                    f"{cut}/pixels/{shard}.cost.json",
                    f"{run.encoder_folder}/embeddings/{shard}.cost.json",
                    f"{run.folder}/patch_logits/{shard}.cost.json",
                ]
        found.update(dict.fromkeys(paths))
    return list(found)
