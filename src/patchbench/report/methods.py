"""How a study was done, in words: its splits and seeds, its methods, and how numbers are made.

What is said of a method comes from its own plug-in (see ``stages/_methods.py``), what is said of
statistics from the constants of the modules that compute them.
"""

import json
from collections.abc import Mapping
from typing import Any

from patchbench.bootstrap import COVERAGE, FEWEST_DRAWS, N_DRAWS
from patchbench.study import Study
from patchbench.tables import SPLITS

GROUPS = {
    "encoders": "Encoders: what describes a patch",
    "classifiers": "Classifiers: what turns a description into class scores, a patch's vote",
    "fusions": "Fusion rules: what joins the votes of an image's patches",
    "cnns": "Whole-image networks",
    "detectors": "Detectors: what takes a patch for noise",
    "explain": "Explanations: what shows where a network looks",
    "experiments": "Experiments: what is taken away or moved",
    "ways": "Ways to look at images of any size",
}
# what the stages report of the data, in a reader's words
FACTS = {
    "summary": "what it is",
    "masks": "true object masks",
    "n_duplicates": "images that occur twice",
    "n_duplicates_across_splits": "of these, in two splits",
    "n_enlarged": "images smaller than asked, enlarged",
    "n_groups": "groups of images kept together",
    "grid": "patches down, across",
    "image_size_px": "side of an image, px",
    "n_images": "images",
    "n_patches": "patches",
    "patch_size_px": "side of a patch, px",
    "stride_px": "step between patches, px",
    "patches_per_image": "patches of an image",
    "share_of_image_covered": "share of an image covered",
    "share_of_patches_all_background": "share of patches without object",
    "edge": "at the edge",
    "shards": "files they are kept in",
    "n_dropped_edge_px": "pixels left out at the edge",
    "cpu": "processor",
    "memory_gib": "memory, GiB",
    "os": "system",
}
Facts = list[tuple[str, Any]]


def fact(name: str) -> str:
    """A reader's name of a reported fact."""
    return FACTS.get(name, name.replace("_", " "))


def groups(study: Study) -> list[dict[str, Any]]:
    """Methods in the order of `GROUPS`, without groups that no method is of."""
    known = {name: study.methods.get(name, {}) for name in (*GROUPS, *sorted(study.methods))}
    return [
        {"title": GROUPS.get(group, group), "methods": [_method(*item) for item in entries.items()]}
        for group, entries in known.items()
        if entries
    ]


def _method(name: str, about: Mapping[str, Any]) -> dict[str, Any]:
    said = {key: about.get(key) or "" for key in ("summary", "source")}
    settings = {key: _told(about.get(key) or {}) for key in ("chosen", "defaults")}
    return {"name": name, "control": bool(about.get("control"))} | said | settings


def _told(settings: Mapping[str, Any]) -> str:
    """Settings in one line, as in a config; those that are null are left out.

    >>> _told({"layers": [1, 2], "root": True, "step_px": None})
    'layers: [1, 2], root: true'
    """
    known = {key: value for key, value in settings.items() if value is not None}
    texts = (json.dumps(value, ensure_ascii=False).strip('"') for value in known.values())
    return ", ".join(f"{key}: {text}" for key, text in zip(known, texts, strict=True))


def splits(about: Mapping[str, Any]) -> Facts:
    """Images of each split of a dataset, and of the smallest class in it."""
    counts, found = about.get("n_images", {}), []
    for split in SPLITS:
        images = dict(counts.get(split, {}))
        text = f"{sum(images.values())} images"
        if images and len(set(images.values())) > 1:
            smallest = min(images, key=lambda name: images[name])
            text += (
                f", {images[smallest]} to {max(images.values())} of a class (fewest: {smallest})"
            )
        elif images:
            text += f", {next(iter(images.values()))} of each class"
        found.append((split, text))
    return found


def patches(study: Study) -> dict[str, dict[str, Any]]:
    """For each ``dataset/patches`` what was asked for and what came of it, in a reader's words."""
    asked = study.run.get("config", {}).get("patches", {})
    return {
        name: {
            fact(key): round(value, 3) if isinstance(value, float) else value
            for key, value in (asked.get(name.partition("/")[2], {}) | about).items()
        }
        for name, about in study.extraction.items()
    }


def statistics(study: Study) -> Facts:
    """How numbers, intervals and tests are made: a term and what is meant, in reading order."""
    share, draws = f"{100 * COVERAGE:.0f} %", f"{N_DRAWS:,}"
    config = study.run.get("config", {})
    lists = config.get("benchmark", {})
    seeds = [str(seed) for seed in lists.get("seeds", sorted(set(study.metrics["seed"])))]
    found = [
        (
            "splits",
            "Images are dealt once to train, val (validation) and test, class by class, and groups "
            "of images as one where the dataset names groups; patches follow their image. What is "
            "fitted is fitted on train. Settings, fusion rules that learn, and the method named "
            "best are chosen on val. Test images are only scored.",
        ),
        (
            "seeds",
            f"Everything random in a fit comes from one seed. This study has "
            f"{len(seeds)}: {', '.join(seeds)}. Where several are joined, the "
            "value is their mean and the interval that of the mean, the same draws of test images "
            "for all seeds: it tells of the choice of images. What training anew changes is told "
            "apart, as the standard deviation over seeds. Of single patches, detectors and "
            "experiments, whose decisions are not kept, interval ends are means over seeds, as a "
            "rule no narrower.",
        ),
        (
            "AUC-ROC",
            "Area under the receiver operating characteristic curve, each class against the rest, "
            "mean over the classes with test images: 0.5 by guessing, 1 if perfect. Image AUC is "
            "that of decisions on images; patch AUC that of single patches, each scored by its "
            "image's label.",
        ),
        (
            "log-loss",
            "Mean negative logarithm of the probability given to the true class, in nats: "
            "the logarithm of the number of classes by guessing, 0 if perfect.",
        ),
        (
            "intervals",
            f"{share} percentile intervals of {draws} bootstrap draws of test images with "
            "replacement; the patches of an image are drawn together, and so are the "
            "images of a group, where the dataset names groups. All methods see the same draws. "
            "AUC-ROC, balanced accuracy and the recall of a class are not defined in a draw that "
            "lacks a class of the test images; such draws are left out, and column n_draws of the "
            "tables says how many are behind an interval. Where all draws give the same value, or "
            f"fewer than {FEWEST_DRAWS} any, there is no interval; only a share of none or all of "
            "the images, as an accuracy of 1, then has an exact binomial one (Clopper-Pearson).",
        ),
        (
            "differences",
            "Of two methods on the same test images, draw by draw, so that what makes an image "
            "easy for both cancels out. p is two-sided: twice the smaller share of draws on one "
            "side of zero, one added to both counts. Families of tests are adjusted by Holm's "
            "step-down method. Accuracies are compared by McNemar's exact test; with "
            "two classes the areas also by DeLong's test.",
        ),
        (
            "areas of single classes",
            "With DeLong's interval, images taken as independent; blank, with the reason, where "
            "a class has too few images on one side.",
        ),
        (
            "times",
            "Elapsed time of the work alone, without starting Python, imports, loading, saving "
            "and scoring; shards added up.",
        ),
    ]
    if config.get("calibration", "none") != "none":
        text = "Patch logits are divided by one number, fitted on val, before votes are joined."
        found.insert(2, ("calibration", text))
    return found
