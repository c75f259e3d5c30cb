"""Which published weights, or checkpoints of the user, a study starts from."""

from itertools import product
from typing import Any

from patchbench import plan
from patchbench.networks.published import Published
from patchbench.networks.settings import IMAGENET, SCRATCH
from patchbench.networks.whole_image import open_cnn

WEIGHTS = "resources/weights/{weights}"
DOWNLOAD_COST = "resources/{dataset}/download.cost.json"


def weights_file(config: plan.Config, encoder: str, patches: str) -> str | None:
    """Checkpoint that an encoder starts from: one to be fetched, or the user's own; or None."""
    return _weights_file(plan.open_encoder(config, encoder, patches))


def cnn_weights_file(config: plan.Config, cnn: str) -> str | None:
    """Checkpoint that a whole-image CNN starts from, as :func:`weights_file`."""
    return _weights_file(open_cnn(cnn, config["cnns"][cnn], seed=0))


def _weights_file(opened: Any) -> str | None:
    weights = getattr(opened, "weights", SCRATCH)
    if weights == SCRATCH:
        return None
    return WEIGHTS.format(weights=opened.published().name) if weights == IMAGENET else str(weights)


def published(config: plan.Config) -> dict[str, Published]:
    """What the study must fetch: path to address."""
    lists, found = config["benchmark"], {}
    starting: list[Any] = [
        plan.open_encoder(config, encoder, patches)
        for encoder, patches in product(lists["encoders"], lists["patches"])
        if plan.why_not(config, encoder, patches) is None
    ]
    starting += [open_cnn(cnn, config["cnns"][cnn], seed=0) for cnn in lists["cnns"]]
    for opened in starting:
        if getattr(opened, "weights", SCRATCH) == IMAGENET:
            file = opened.published()
            found[WEIGHTS.format(weights=file.name)] = file
    return found


def fetch_costs(config: plan.Config) -> list[str]:
    """Where fetching left what it cost; nowhere where nothing was fetched, but put by hand."""
    datasets = [DOWNLOAD_COST.format(dataset=name) for name in config["benchmark"]["datasets"]]
    return datasets + [f"{path}.cost.json" for path in published(config)]
