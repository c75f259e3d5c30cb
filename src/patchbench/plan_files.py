"""Which files the tables of a study are collected from, by the result that each belongs to."""

from itertools import product

from patchbench import plan, plan_scaling
from patchbench.study import NONE, WHOLE_IMAGE

EXPLAINED = ("true.npy", "predicted.npy", "explained.parquet", "faithfulness.parquet")
_PREPARED = ("images.npy", "images.parquet", "masks.npy", "dataset.json")


def results(config: plan.Config) -> dict[str, list[str]]:
    """Files of every result, by the folder or table that it is known by."""
    lists = config["benchmark"]
    found = {}
    for dataset in lists["datasets"]:
        data = plan.DATASET.format(dataset=dataset)
        found[data] = [f"{data}/{name}" for name in _PREPARED]
    for dataset, patches in product(lists["datasets"], lists["patches"]):
        cut = plan.PATCHES.format(dataset=dataset, patches=patches)
        found[cut] = [f"{cut}/index.parquet", f"{cut}/extraction.json"]
        found[cut] += plan.pixel_files(config, dataset, patches)
    found |= {run.folder: _of_run(config, run) for run in plan.runs(config)}
    for explained in plan.explanations(config):
        found[explained.folder] = [f"{explained.folder}/{name}" for name in EXPLAINED]
    for run in plan.swept(config):
        noise = f"{run.folder}/noise"
        found[f"{noise}/sweep.parquet"] = [f"{noise}/detection.parquet", f"{noise}/sweep.parquet"]
    alone = [f"{run.folder}/noise/background.parquet" for run in plan.split_by_noise(config)]
    alone += [f"{run.folder}/experiments.parquet" for run in plan.experimented(config)]
    alone += [*plan.map_files(config), *plan_scaling.files(config)]
    return found | {path: [path] for path in alone}


def _of_run(config: plan.Config, run: plan.Run) -> list[str]:
    names = ["predictions.parquet", "metrics.parquet", "roc.parquet"]
    if run.patches != WHOLE_IMAGE:
        names += ["fusion_tests.parquet", "fusions.json"]
    if run.votes:
        names += ["reliability.parquet"]
        names += [f"patch_logits/{shard}.npy" for shard in plan.shards(config, run.patches)]
    elif run.classifier == NONE:
        names += ["attention.npz"]
    paths = [f"{run.folder}/{name}" for name in names]
    return [*paths, f"{run.encoder_folder}/history.parquet"]


def costs(config: plan.Config) -> list[str]:
    """The cost files of every job that the runs are made of, each once."""
    found: dict[str, None] = {}
    for run in plan.runs(config):
        data = plan.DATASET.format(dataset=run.dataset)
        paths = [f"{data}/dataset.cost.json"]
        if run.patches == WHOLE_IMAGE:
            paths += [f"{run.folder}/cnn.cost.json", f"{run.folder}/predictions.cost.json"]
        else:
            cut = f"{data}/{run.patches}"
            paths += [f"{cut}/index.cost.json", f"{run.encoder_folder}/encoder.cost.json"]
            fitted = "classifier" if run.votes else "pooling"
            paths += [f"{run.folder}/{fitted}.cost.json", f"{run.folder}/predictions.cost.json"]
            for shard in plan.shards(config, run.patches):
                paths += [
                    f"{cut}/pixels/{shard}.cost.json",
                    f"{run.encoder_folder}/embeddings/{shard}.cost.json",
                ]
                if run.votes:
                    paths.append(f"{run.folder}/patch_logits/{shard}.cost.json")
        found.update(dict.fromkeys(paths))
    found.update(dict.fromkeys(_noise_costs(config)))
    found.update({f"{run.folder}/experiments.cost.json": None for run in plan.experimented(config)})
    found.update(
        {path.removesuffix("parquet") + "cost.json": None for path in plan.map_files(config)}
    )
    found.update(dict.fromkeys(plan_scaling.cost_files(config)))
    return [path for path in found if plan.made(config, path)]


def second_stages(config: plan.Config) -> dict[str, str]:
    """Cost files of stages that the job of the stage before does too, and those of that stage.

    Jobs do so where patches are in one shard, and both stages are decided by one setting.
    """
    found: dict[str, str] = {}
    for run in plan.runs(config):
        if run.patches == WHOLE_IMAGE or not plan.in_one_shard(config, run.patches):
            continue
        cut = plan.PATCHES.format(dataset=run.dataset, patches=run.patches)
        pairs = {f"{cut}/index": f"{cut}/pixels/{plan.ONLY_SHARD}"}
        if not plan.is_network(config, run.encoder):
            pairs[f"{run.encoder_folder}/embeddings/{plan.ONLY_SHARD}"] = (
                f"{run.encoder_folder}/encoder"
            )
        if run.votes:
            pairs[f"{run.folder}/patch_logits/{plan.ONLY_SHARD}"] = f"{run.folder}/classifier"
        found |= {f"{second}.cost.json": f"{first}.cost.json" for second, first in pairs.items()}
    return found


def _noise_costs(config: plan.Config) -> list[str]:
    n_folds, cnn = config["noise"]["n_folds"], config["noise"]["cnn"]
    paths = [
        plan.FOLD.format(dataset=dataset, seed=seed, cnn=cnn, fold=fold, n_folds=n_folds)
        + "/cnn.cost.json"
        for dataset, seed in product(config["benchmark"]["datasets"], config["benchmark"]["seeds"])
        for fold in range(n_folds)
        if plan.grad_cam(config, dataset, seed) is not None
    ]
    paths += [f"{explained.folder}/explain.cost.json" for explained in plan.explanations(config)]
    for run in plan.swept(config):
        paths += [f"{run.folder}/noise/{stage}.cost.json" for stage in ("detect", "sweep")]
    return paths + [
        f"{run.folder}/noise/background.cost.json" for run in plan.split_by_noise(config)
    ]
