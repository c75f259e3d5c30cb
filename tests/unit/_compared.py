"""Synthetic studies whose methods were compared."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from patchbench import tables
from patchbench.assessment import assessed
from patchbench.metrics import metric_draws
from patchbench.study import NONE, Study
from unit._synthetic_study import make_study

Method = tuple[str, str, str, str]
"""Patches, encoder, classifier and fusion."""

NETWORK: Method = ("whole-image", "resnet18", "own_head", NONE)
PATCH: Method = ("coarse", "sift", "logistic", "mean_probability")
OTHER: Method = ("coarse", "bagnet17", "logistic", "mean_probability")
THIRD: Method = ("coarse", "tile2vec", "logistic", "mean_probability")
FLOOR: Method = ("coarse", "random_projection", "logistic", "mean_probability")


def with_tests(study: Study) -> Study:
    """The study with the four tables of its tests, as they come back from their files."""
    made = {
        name: tables.from_arrow(tables.to_arrow(frame, name), name)
        for name, frame in assessed(study).items()
    }
    return replace(study, **made)


def decided(
    answers: dict[tuple[str, Method, int], tuple[np.ndarray, np.ndarray]],
    classes: tuple[str, ...],
    groups: dict[str, np.ndarray] | None = None,
) -> Study:
    """A study of given decisions.

    Parameters
    ----------
    answers : dict
        For each dataset, method and seed the labels, int (n_images,), and probabilities,
        (n_images, n_classes), of test; on val each is the better, the earlier it stands here.
    classes : tuple of str
    groups : dict or None
        For each dataset the group of every image.
    """
    rows: list[dict[str, Any]] = []
    scores: list[dict[str, Any]] = []
    for rank, ((dataset, method, seed), (labels, found)) in enumerate(answers.items()):
        about = dict(zip(("patches", "encoder", "classifier", "fusion"), method, strict=True))
        about |= {"dataset": dataset, "detector": NONE, "seed": seed}
        sure = np.eye(len(classes))[np.arange(20) % len(classes)] + 0.1
        sure[: min(rank, 19)] = 1.0  # knows nothing of these
        on_val = np.arange(20) % len(classes), sure / sure.sum(axis=1, keepdims=True)
        for split, (truth, told) in (("val", on_val), ("test", (labels, found))):
            rows += [
                about
                | {"image_id": f"{split}-{i:03d}", "split": split, "label": int(truth[i])}
                | {"predicted_label": int(told[i].argmax()), "probabilities": told[i].tolist()}
                for i in range(len(truth))
            ]
        images = np.arange(len(labels)), np.ones((1, len(labels)))
        for metric, (value,) in metric_draws(labels, found, *images).items():
            ends = {"metric": metric, "value": value, "low": value - 0.05, "high": value + 0.05}
            ends |= {"n_draws": 2000, "reason": None}
            scores.append(about | ends | {"level": "image", "n_images": len(labels)})
    names = list(dict.fromkeys(dataset for dataset, _, _ in answers))
    base = make_study(n_encoders=2, n_fusions=1, n_classes=len(classes))
    about = base.datasets["scenes"] | {"classes": list(classes), "n_images": {}}
    config = base.run["config"]
    lists = config["benchmark"] | {"datasets": names, "seeds": sorted({s for _, _, s in answers})}
    return replace(
        base,
        predictions=pd.DataFrame(rows),
        metrics=pd.DataFrame(scores),
        datasets={name: about | {"name": name} for name in names},
        images=_images(groups or {}),
        run=base.run | {"config": config | {"benchmark": lists}},
    )


def _images(groups: dict[str, np.ndarray]) -> pd.DataFrame:
    rows = [
        {"dataset": dataset, "image_id": f"test-{i:03d}", "class_name": "", "label": 0}
        | {"split": "test", "group": f"group {group}"}
        | {"source_height_px": 1, "source_width_px": 1}
        for dataset, own in groups.items()
        for i, group in enumerate(own)
    ]
    return pd.DataFrame(rows) if rows else tables.empty("all_images")


def answers(
    labels: np.ndarray, skill: float, seed: int, n_classes: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and probabilities that lean to them by ``skill``."""
    rng = np.random.default_rng(seed)
    n_classes = n_classes or int(labels.max()) + 1
    logits = rng.normal(size=(len(labels), n_classes))
    logits[np.arange(len(labels)), labels] += skill
    found = np.exp(logits)
    return labels, found / found.sum(axis=1, keepdims=True)


@cache
def several() -> Study:
    """Three datasets, two seeds; five methods that rank alike on all datasets."""
    labels = np.arange(60) % 3
    made = {
        (dataset, method, seed): answers(labels, 2.4 - 0.5 * rank, 10 * seed + rank + 7 * place)
        for place, dataset in enumerate(("scenes", "scenes-texture", "flowers"))
        for rank, method in enumerate((NETWORK, PATCH, OTHER, THIRD, FLOOR))
        for seed in (0, 1)
    }
    return with_tests(decided(made, ("daisy", "rose", "tulip")))


@cache
def crowded() -> Study:
    """Many classes with long names, two seeds, two classifiers and networks."""
    return with_tests(
        make_study(
            encoders=("bagnet17", "an-encoder-with-a-name-too-long-for-any-axis", "vlad"),
            n_seeds=2,
            n_fusions=1,
            classes=tuple(f"a class with a rather long name {i:02d}" for i in range(12)),
            classifiers=("logistic", "svm", "majority_class"),
            cnns=("resnet18", "vgg16_bn"),
        )
    )
