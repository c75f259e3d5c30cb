"""Collect the tables of all runs of a study into one folder, and compare its methods."""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench import plan, plan_files, plan_scaling, plan_weights, tables
from patchbench.assessment import assessed
from patchbench.cost import Work
from patchbench.cost_rows import cost_rows
from patchbench.evaluation import learned_rows, run_columns
from patchbench.images import resize
from patchbench.io import (
    provenance,
    read_array,
    read_json,
    read_table,
    write_json,
    write_state,
    write_table,
)
from patchbench.left_out import left_out
from patchbench.machine import describe
from patchbench.patchset import gather as gather_rows
from patchbench.stages import _browser, _methods, _overlays
from patchbench.study import WHOLE_IMAGE, open_study

# tables that do not name their run, so that the columns are added here
PER_RUN = ("images", "predictions", "roc", "history", "embedding_map", "faithfulness")
THUMBNAILS_PER_CLASS = 4
THUMBNAIL_PX = 32  # side of a patch's picture, at most


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--config", type=json.loads, required=True, help="JSON: the whole config")
    parser.add_argument("--out", type=Path, required=True, help="folder of the study")


def run(args: argparse.Namespace) -> Work:
    """Read what the plan names, write the study's tables; those of its tests last."""
    config, origin = args.config, provenance("collect", args.code, {})
    runs = plan.runs(config)
    costs = cost_paths(config)
    commands = _methods.commands(read_json(path) for path in costs)
    collected = {
        "metrics": pd.concat([read_table(f"{r.folder}/metrics.parquet", "metrics") for r in runs]),
        "fusion_tests": of_runs("fusion_tests", [r for r in runs if r.patches != WHOLE_IMAGE]),
        "reliability": of_runs("reliability", [r for r in runs if r.votes]),
        "learned": learned(runs),
        "images": images(config["benchmark"]["datasets"]),
        "predictions": gather(runs, "predictions"),
        "roc": gather(runs, "roc"),
        "history": histories(runs),
        "embedding_map": maps(config),
        "detection": noise("detection", plan.swept(config)),
        "sweep": noise("sweep", plan.swept(config)),
        "background": noise("background", plan.split_by_noise(config)),
        "faithfulness": faithfulness(config),
        "experiments": experiments(config),
        "scaling": scaling(config),
    }
    for name, frame in collected.items():
        table = name if name in tables.COLUMNS and name not in PER_RUN else f"all_{name}"
        write_table(args.out / f"{name}.parquet", frame, table, origin)
    write_table(args.out / "costs_of_runs.parquet", cost_rows(costs), "costs", origin)
    # that of an earlier report would stand beside these tables if this one does not get made
    (args.out / "costs.parquet").unlink(missing_ok=True)
    datasets = config["benchmark"]["datasets"]
    write_state(args.out / "thumbnails.npz", {name: thumbnails(name) for name in datasets}, origin)
    write_state(args.out / "patch_thumbnails.npz", patch_thumbnails(config), origin)
    write_state(args.out / "overlays.npz", _overlays.overlays(config), origin)
    write_state(args.out / "browser.npz", _browser.browser(config), origin)
    write_json(args.out / "run.json", describe() | reports(config) | {"commands": commands}, origin)
    for name, frame in assessed(open_study(args.out, tested=False)).items():
        write_table(args.out / f"{name}.parquet", frame, name, origin)
    return Work(len(runs), "run")


def gather(runs: Iterable[plan.Run], name: str) -> pd.DataFrame:
    """One table of all runs, with the columns that name the run in front."""
    parts = []
    for run in runs:
        frame = read_table(f"{run.folder}/{name}.parquet", name)
        columns = run_columns(vars(run))
        parts.append(frame.assign(**columns, fusion=frame["fusion"]))
    return pd.concat(parts, ignore_index=True)


def images(datasets: Iterable[str]) -> pd.DataFrame:
    """The images of all datasets: which class, split and group each belongs to."""
    parts = [
        read_table(f"{plan.DATASET.format(dataset=name)}/images.parquet", "images").assign(
            dataset=name
        )
        for name in datasets
    ]
    return pd.concat(parts, ignore_index=True)


def of_runs(table: str, runs: Iterable[plan.Run]) -> pd.DataFrame:
    """A table that each of these runs has."""
    parts = [read_table(f"{run.folder}/{table}.parquet", table) for run in runs]
    return pd.concat(parts or [tables.empty(table)], ignore_index=True)


def learned(runs: Iterable[plan.Run]) -> pd.DataFrame:
    """What every fusion rule has learned on val, number by number."""
    rows = [
        run_columns(vars(run)) | {"fusion": fusion} | row
        for run in runs
        if run.patches != WHOLE_IMAGE
        for fusion, chosen in read_json(f"{run.folder}/fusions.json")["chosen"].items()
        for row in learned_rows(chosen)
    ]
    return pd.DataFrame(rows) if rows else tables.empty("learned")


def histories(runs: Iterable[plan.Run]) -> pd.DataFrame:
    """Loss curves of everything trained, each network once."""
    parts = [tables.empty("all_history")]
    for folder, run in {run.encoder_folder: run for run in runs}.items():
        frame = read_table(f"{folder}/history.parquet", "history")
        if len(frame):
            parts.append(frame.assign(**fitted(run)))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def maps(config: dict[str, Any]) -> pd.DataFrame:
    """The map of embeddings of every encoder, one after the other."""
    files = plan.map_files(config).items()
    parts = [read_table(file, "embedding_map").assign(**fitted(run)) for file, run in files]
    return pd.concat(parts or [tables.empty("all_embedding_map")], ignore_index=True)


def noise(table: str, runs: Iterable[plan.Run]) -> pd.DataFrame:
    """A table of all runs about noisy patches."""
    parts = [read_table(f"{run.folder}/noise/{table}.parquet", table) for run in runs]
    return pd.concat(parts or [tables.empty(table)], ignore_index=True)


def faithfulness(config: dict[str, Any]) -> pd.DataFrame:
    """How faithful each network's maps are."""
    parts = [
        read_table(f"{found.folder}/faithfulness.parquet", "faithfulness").assign(
            **fitted(found.run)
        )
        for found in plan.explanations(config)
    ]
    return pd.concat(parts or [tables.empty("all_faithfulness")], ignore_index=True)


def experiments(config: dict[str, Any]) -> pd.DataFrame:
    """What happened to every run when parts were taken away or moved."""
    parts = [
        read_table(f"{run.folder}/experiments.parquet", "experiments")
        for run in plan.experimented(config)
    ]
    return pd.concat(parts or [tables.empty("experiments")], ignore_index=True)


def scaling(config: dict[str, Any]) -> pd.DataFrame:
    """What growing images took, by every way and in every task."""
    parts = [read_table(path, "scaling") for path in plan_scaling.files(config)]
    return pd.concat(parts or [tables.empty("scaling")], ignore_index=True)


def fitted(run: plan.Run) -> dict[str, Any]:
    """The columns that name the encoder or CNN of a run."""
    return {name: getattr(run, name) for name in ("dataset", "patches", "encoder", "seed")}


def cost_paths(config: dict[str, Any]) -> list[str]:
    """Where every job of the study, up to this one, told its cost; also what was fetched."""
    fetched = [path for path in plan_weights.fetch_costs(config) if Path(path).is_file()]
    return [*fetched, *plan_files.costs(config)]


def thumbnails(dataset: str) -> np.ndarray:
    """The first train images of each class, in class order, class after class in turn."""
    folder = Path(plan.DATASET.format(dataset=dataset))
    table = read_table(folder / "images.parquet", "images")
    train = table[table["split"] == "train"]
    n_each = min(THUMBNAILS_PER_CLASS, int(train["label"].value_counts().min()))
    place = train.groupby("label").cumcount()
    chosen = train.assign(place=place)[place < n_each].sort_values(["place", "label"])
    pixels: np.ndarray = read_array(folder / "images.npy")[chosen.index.to_numpy()]
    return pixels


def patch_thumbnails(config: dict[str, Any]) -> dict[str, np.ndarray]:
    """Small pictures of the patches on the maps, for each ``dataset/patches`` in map order."""
    found: dict[str, np.ndarray] = {}
    for file, run in plan.map_files(config).items():
        name = f"{run.dataset}/{run.patches}"
        if name in found:
            continue  # every encoder maps the same patches
        shards = [Path(p) for p in plan.pixel_files(config, run.dataset, run.patches)]
        pixels = gather_rows(shards, read_table(file, "embedding_map"))
        if pixels.shape[1] > THUMBNAIL_PX:
            pixels = np.stack([resize(patch, THUMBNAIL_PX) for patch in pixels])
        found[name] = pixels
    return found


def reports(config: dict[str, Any]) -> dict[str, Any]:
    """What the stages reported of the data, and what the plug-ins say of themselves."""
    lists = config["benchmark"]
    folders = {name: plan.DATASET.format(dataset=name) for name in lists["datasets"]}
    cut = [f"{name}/{patches}" for name in folders for patches in lists["patches"]]
    unfinished, name = config.get("unfinished"), config["study"]
    asked = {key: value for key, value in config.items() if key != "unfinished"}
    return {
        "study": f"{name} (unfinished)" if unfinished else name,
        "unfinished": unfinished["summary"] if unfinished else "",
        "config": asked,
        "left_out": [*(unfinished["why"] if unfinished else []), *left_out(asked)],
        "datasets": {name: read_json(f"{folder}/dataset.json") for name, folder in folders.items()},
        "extraction": {
            name: read_json(f"results/{name}/extraction.json")
            for name in cut
            if plan.made(config, f"results/{name}")
        },
        "methods": _methods.methods(config),
    }
