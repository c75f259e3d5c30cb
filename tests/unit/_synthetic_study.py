"""Plausible made-up studies, small and large, whole and with holes, for figures and report."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from patchbench import tables
from patchbench.study import Study
from unit._synthetic_browser import browsed
from unit._synthetic_experiments import experiment_rows
from unit._synthetic_noise import found_rows, seen, sweep_rows, vote_rows
from unit._synthetic_scaling import scaling_rows
from unit._synthetic_votes import fusion_tests, learned_rows, reliability_rows

FUSIONS = ("center_weighted", "majority_vote", "max_logit", "mean_logits", "mean_probability")
ENCODERS = ("bagnet17", "sift", "tile2vec", "bagnet33", "sift-dense", "vlad", "moments", "colour")
SIZES = {
    "fine": {"patch_size_px": 16, "stride_px": 8},
    "coarse": {"patch_size_px": 24, "stride_px": 12},
    "wide": {"patch_size_px": 48, "stride_px": 24},
    "dense": {"patch_size_px": 48, "stride_px": 8},
}
N_MAPPED = 120
_CONTROL = "majority_class"
CLASSES = ("daisy", "dandelion", "rose", "sunflower", "tulip", "thistle")


def make_study(
    *,
    n_datasets: int = 1,
    n_encoders: int = 3,
    n_fusions: int = 5,
    n_seeds: int = 1,
    n_classes: int = 6,
    classifiers: Sequence[str] = ("logistic", "majority_class"),
    patches: Sequence[str] = ("coarse",),
    cnns: Sequence[str] = ("resnet18",),
    controls: bool = True,
    encoders: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    detectors: Sequence[str] = (),
    experiments: Sequence[str] = (),
    ways: Sequence[str] = (),
    browse: bool = False,
) -> Study:
    """Make a study whose numbers look like real ones; the same arguments give the same study."""
    rng = np.random.default_rng(0)
    names = [*(encoders or ENCODERS[:n_encoders]), *(["random_projection"] if controls else [])]
    class_names = list(classes or (CLASSES if n_classes <= 6 else ())[:n_classes])
    class_names += [f"class {i:02d}" for i in range(len(class_names), n_classes)]
    datasets = ["scenes", "scenes-texture", "flowers"][:n_datasets]
    found: dict[str, list[dict[str, Any]]] = {k: [] for k in ("metrics", "roc", "costs", "history")}
    predictions: list[dict[str, Any]] = []
    tried: list[dict[str, Any]] = []
    for dataset in datasets:
        for seed in range(n_seeds):
            runs = [(p, e, c) for p in patches for e in names for c in classifiers]
            runs += [("whole-image", cnn, "own_head") for cnn in cnns]
            for run in runs:
                auc = _auc(run, names, rng)
                _add_metrics(found, (dataset, *run, seed), auc, FUSIONS[:n_fusions], rng)
                _add_predictions(predictions, (dataset, *run, seed), auc, class_names)
                if run[2] != "majority_class":
                    tried += experiment_rows((dataset, *run, seed), auc, experiments)
            _add_costs(found, dataset, seed, runs, rng)
            _add_history(found, dataset, seed, runs, rng)
    voted = [
        (d, p, e, c, seed)
        for d in datasets
        for p in patches
        for e in names
        for c in classifiers
        for seed in range(n_seeds)
    ]
    swept = [run for run in voted if detectors and run[3] != "majority_class"]
    lists = {"datasets": datasets, "seeds": list(range(n_seeds)), "detectors": list(detectors)}
    lists |= {
        "fusions": list(FUSIONS[:n_fusions]),
        "experiments": list(experiments),
        "ways": list(ways),
    }
    config = {"patches": {p: SIZES[p] for p in patches}, "benchmark": lists, "fusions": _RULES}
    config |= {"experiments": {name: {} for name in experiments}}
    pictures = {name: _thumbnails(len(class_names), rng) for name in datasets}
    voting = [(p, e, c) for p in patches for e in names for c in classifiers if c != _CONTROL]
    places, sizes = [(d, p) for d in datasets for p in patches], {p: SIZES[p] for p in patches}
    return Study(
        name="default",
        metrics=_frame(found["metrics"], "metrics"),
        fusion_tests=_frame(fusion_tests(found["metrics"], FUSIONS[:n_fusions]), "fusion_tests"),
        reliability=_frame([r for v in voted for r in reliability_rows(v, rng)], "reliability"),
        learned=_frame([r for v in voted for r in learned_rows(v, FUSIONS[0])], "learned"),
        predictions=_frame(predictions, "all_predictions"),
        roc=_frame(found["roc"], "all_roc"),
        costs=_frame(found["costs"], "costs"),
        history=_frame(found["history"], "all_history"),
        datasets={name: _about(name, class_names) for name in datasets},
        embedding_map=_frame(
            [r for place in places for e in names for r in _map_rows(place, e, len(class_names))],
            "all_embedding_map",
        ),
        detection=_frame([r for s in swept for r in found_rows(s, detectors)], "detection"),
        sweep=_frame([r for s in swept for r in sweep_rows(s, detectors)], "sweep"),
        background=_frame([r for s in swept for r in vote_rows(s)], "background"),
        faithfulness=_frame([], "all_faithfulness"),
        experiments=_frame(tried, "experiments"),
        scaling=_frame(scaling_rows(ways), "scaling"),
        extraction={f"{d}/{p}": _EXTRACTION | sizes[p] for d, p in places},
        thumbnails=pictures,
        overlays={
            f"{name}/{key}": array
            for name in datasets
            if detectors
            for key, array in seen(pictures[name], len(class_names), detectors).items()
        },
        browser={
            f"{name}/{key}": array
            for name in datasets
            if browse
            for key, array in browsed(pictures[name], len(class_names), voting, FUSIONS).items()
        },
        patch_thumbnails={f"{d}/{p}": _patches(len(class_names)) for d, p in places},
        run=_RUN | {"study": "default", "config": config},
        methods={
            "encoders": {n: {"control": n == "random_projection"} for n in names},
            "fusions": {n: {"control": False, "summary": "A rule."} for n in FUSIONS},
            "classifiers": {n: {"control": n == "majority_class"} for n in classifiers},
        },
    )


_EXTRACTION = {
    "n_images": 1200,
    "n_patches": 58800,
    "patches_per_image": 49,
    "patch_size_px": 24,
    "stride_px": 12,
    "edge": "drop",
    "n_dropped_edge_px": 0,
}
# under another name, as a user's config may have it
_RULES = {FUSIONS[0]: {"type": "position_weights"}}
_RUN: dict[str, Any] = {
    "study": "default",
    "host": {"cpu": "A processor", "cores": 2, "memory_gib": 15.6, "os": "Linux 6.1"},
    "versions": {"python": "3.11.9", "numpy": "2.4.0", "torch": "2.13.0"},
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "date": "2026-01-02T03:04:05+00:00",
    "command": "snakemake --cores 2",
}


def _frame(rows: list[dict[str, Any]], name: str) -> pd.DataFrame:
    return (
        tables.from_arrow(tables.to_arrow(pd.DataFrame(rows), name), name)
        if rows
        else (tables.empty(name))
    )


def _auc(run: tuple[str, str, str], names: list[str], rng: np.random.Generator) -> float:
    patches, encoder, classifier = run
    if patches == "whole-image":
        return 0.978 + 0.01 * float(rng.random())
    if classifier == "majority_class":
        return 0.5
    base = 0.62 if encoder == "random_projection" else 0.95 - 0.045 * names.index(encoder)
    return base + 0.012 * float(rng.normal())


def _add_metrics(
    found: dict[str, list[dict[str, Any]]],
    run: tuple[str, str, str, str, int],
    auc: float,
    fusions: Sequence[str],
    rng: np.random.Generator,
) -> None:
    names = ("dataset", "patches", "encoder", "classifier", "seed")
    base: dict[str, Any] = dict(zip(names, run, strict=True)) | {"detector": "none"}
    whole = run[1] == "whole-image"
    levels = [("image", fusion) for fusion in (["none"] if whole else fusions)]
    for level, fusion in levels + ([] if whole else [("patch", "none")]):
        shift = 0.0 if auc == 0.5 or whole else 0.02 * float(rng.normal())
        value = min(0.995, auc + shift) if level == "image" else 0.5 + 0.6 * (auc - 0.5)
        half = 0.0 if auc == 0.5 else 0.02 * (1.1 - value) / 0.3 + 0.004
        row = base | {"level": level, "fusion": fusion, "n_images": 300}
        for metric, score in (
            ("auc_macro", value),
            ("accuracy", 0.2 + 0.8 * max(0.0, value - 0.5)),
            ("balanced_accuracy", 0.2 + 0.8 * max(0.0, value - 0.5)),
            ("log_loss", 1.8 * (1.05 - value) / 0.55),
            ("auc_micro", value),
            ("brier", 1.4 * (1.05 - value)),
            ("ece", 0.2 * (1.05 - value)),
        ):
            ends = {"low": score - half, "high": min(1.0, score + half) if score <= 1 else score}
            ends |= {"n_draws": 2000, "reason": None}
            if not half:
                ends |= {"low": np.nan, "high": np.nan, "reason": "no interval: all draws agree"}
            found["metrics"].append(row | {"metric": metric, "value": score} | ends)
        grid = np.linspace(0, 1, 41)
        rates = grid ** ((1 - value) / value)
        found["roc"] += [
            base
            | {"level": level, "fusion": fusion}
            | {"false_positive_rate": x, "true_positive_rate": y}
            for x, y in zip(grid, rates, strict=True)
        ]


def _add_predictions(
    rows: list[dict[str, Any]], run: tuple[str, str, str, str, int], auc: float, classes: list[str]
) -> None:
    names = ("dataset", "patches", "encoder", "classifier", "seed")
    base: dict[str, Any] = dict(zip(names, run, strict=True)) | {"detector": "none"}
    fusions = ("none",) if run[1] == "whole-image" else FUSIONS
    rng, n_classes = np.random.default_rng(int(1000 * auc)), len(classes)
    for i in range(60):
        logits = rng.normal(size=n_classes)
        logits[i % n_classes] += 8 * (auc - 0.5)
        probabilities = np.exp(logits) / np.exp(logits).sum()
        rows += [
            base
            | {"fusion": fusion, "image_id": f"image-{i:03d}", "split": "test"}
            | {"label": i % n_classes, "predicted_label": int(probabilities.argmax())}
            | {"probabilities": probabilities.tolist()}
            for fusion in fusions
        ]


def _add_costs(
    found: dict[str, list[dict[str, Any]]],
    dataset: str,
    seed: int,
    runs: list[tuple[str, str, str]],
    rng: np.random.Generator,
) -> None:
    rows: dict[tuple[str, str, str, str, int], tuple[float, int, str]] = {}
    for patches, encoder, classifier in runs:
        slow = 1 + 20 * ("bagnet" in encoder) + 9 * ("tile" in encoder) + float(rng.random())
        if patches == "whole-image":
            rows["cnn", patches, encoder, classifier, -1] = (41.0, 7200, "image epoch")
            rows["cnn_predict", patches, encoder, classifier, -1] = (1.1, 300, "image")
            continue
        rows["fit_encoder", patches, encoder, "none", -1] = (2.0 * slow, 720, "image epoch")
        for shard in range(2):
            rows["encode", patches, encoder, "none", shard] = (0.6 * slow, 29400, "patch")
            rows["classify", patches, encoder, classifier, shard] = (0.21, 29400, "patch")
        rows["fit_classifier", patches, encoder, classifier, -1] = (4.0, 35000, "patch")
        rows["fuse", patches, encoder, classifier, -1] = (0.4, 2400, "image decision")
    for (stage, patches, encoder, classifier, shard), (wall_s, n_items, item) in rows.items():
        place = {"dataset": dataset, "patches": patches, "encoder": encoder, "seed": seed}
        time = {"wall_s": wall_s + 2.0, "work_s": wall_s, "cpu_s": 1.7 * wall_s, "start_s": 1.5}
        time |= {"parts_s": None}
        memory = {"peak_rss_mib": 300.0 + 10 * wall_s, "peak_gpu_mib": None}
        memory |= {"peak_gpu_reserved_mib": None, "bytes_written": 1000 * n_items, "gpu": None}
        work = {"n_items": n_items, "item": item, "device": "cpu", "threads": 2, "commit": "0" * 12}
        work |= {"host": "A processor, 2 cores, 15.6 GiB"} | _repeated(stage, wall_s, n_items)
        about = {"stage": stage, "classifier": classifier, "shard": shard}
        found["costs"].append(about | place | time | memory | work)


def _repeated(stage: str, work_s: float, n_items: int) -> dict[str, Any]:
    """Ten pieces, the first of which took twice as long, where a stage times pieces."""
    if stage not in ("encode", "classify", "fuse", "cnn_predict"):
        once = dict.fromkeys(("warm_up_s", "item_ms_median", "item_ms_low", "item_ms_high"))
        return once | {"items_per_s": n_items / work_s, "n_repeats": 0}
    item_ms = 1000 * (work_s * 9 / 11) / (n_items * 9 / 10)
    spread = {"item_ms_low": 0.8 * item_ms, "item_ms_high": 1.3 * item_ms}
    rate = {"items_per_s": 1000 / item_ms, "warm_up_s": work_s * 2 / 11, "n_repeats": 9}
    return rate | spread | {"item_ms_median": item_ms}


def _add_history(
    found: dict[str, list[dict[str, Any]]],
    dataset: str,
    seed: int,
    runs: list[tuple[str, str, str]],
    rng: np.random.Generator,
) -> None:
    methods = sorted({(patches, encoder) for patches, encoder, _ in runs})
    trained = [m for m in methods if m[1].startswith(("bagnet", "tile2vec", "resnet", "vgg"))]
    for patches, encoder in trained:
        epochs = np.arange(1, 13)
        train = 0.25 + 1.5 * np.exp(-epochs / 4) + 0.02 * rng.normal(size=12)
        val = 0.45 + 1.3 * np.exp(-epochs / 4) + 0.04 * np.abs(rng.normal(size=12))
        right = (
            0.85 - 0.6 * np.exp(-epochs / 4) + 0.02 * np.random.default_rng(seed).normal(size=12)
        )
        measured = [("train", "loss", train), ("val", "loss", val)]
        measured += [] if encoder.startswith("tile2vec") else [("val", "accuracy", right)]
        for split, measure, values in measured:
            found["history"] += [
                {"dataset": dataset, "patches": patches, "encoder": encoder, "seed": seed}
                | {"epoch": int(epoch), "split": split, "measure": measure, "value": float(value)}
                | {"kept": bool(epoch == 1 + val.argmin())}
                for epoch, value in zip(epochs, values, strict=True)
            ]


def _map_rows(place: tuple[str, str], encoder: str, n_classes: int) -> list[dict[str, Any]]:
    """A cloud per class, the further apart the longer the encoder's name."""
    rng = np.random.default_rng(len(encoder))
    centres = len(encoder) * rng.normal(size=(n_classes, 2))
    rows = []
    for i in range(N_MAPPED):
        x, y = centres[i % n_classes] + 4 * rng.normal(size=2)
        row = {"dataset": place[0], "patches": place[1], "encoder": encoder, "seed": 0}
        row |= {"patch_id": f"image-{i // 4:03d}/000-{i % 4:03d}", "label": i % n_classes}
        row |= {"shard": 0, "offset": i, "x": x, "y": y, "pca_x": x / 9, "pca_y": y / 9}
        rows.append(row | {"explained": 0.4})
    return rows


def _patches(n_classes: int) -> np.ndarray:
    """Patches of one colour per class, brighter towards a corner."""
    light = np.add.outer(np.arange(12), np.arange(12))[..., None] * 4
    colors = np.random.default_rng(1).integers(30, 160, (n_classes, 3))
    patches = [colors[i % n_classes] + light for i in range(N_MAPPED)]
    return np.array(patches).astype(np.uint8)


def _about(name: str, classes: list[str]) -> dict[str, Any]:
    sizes = {"train": 120, "val": 30, "test": 50}
    return {
        "name": name,
        "classes": list(classes),
        "n_images": {
            split: {c: size - 7 * (i % 3) for i, c in enumerate(classes)}
            for split, size in sizes.items()
        },
        "left_out": [{"image_id": "daisy/broken.jpg", "reason": "the file is truncated"}],
        "n_enlarged": 2,
        "masks": True,
        "settings": {"image_size_px": 96, "resize": "crop"},
    }


def _thumbnails(n_classes: int, rng: np.random.Generator) -> np.ndarray:
    """Coloured discs on stripes; image i is of class ``i % n_classes``."""
    y, x = np.mgrid[-1:1:48j, -1:1:48j]
    images = np.empty((4 * n_classes, 48, 48, 3), np.uint8)
    for i in range(len(images)):
        color = np.random.default_rng(i % n_classes).integers(60, 230, 3)
        stripes = 120 + 50 * np.sin(9 * (x + y * rng.normal()))
        inside = x**2 + y**2 < 0.2 + 0.3 * rng.random()
        images[i] = np.where(inside[..., None], color, stripes[..., None])
    return images
