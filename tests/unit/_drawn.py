"""Studies of every kind, and figures drawn of them once for all tests."""

from dataclasses import replace
from functools import cache

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text

from patchbench import plugins, tables
from patchbench.figures import _style as style
from patchbench.study import Study
from unit._synthetic_scaling import WAYS
from unit._synthetic_study import make_study

FIGURES = plugins.available("figures")
LONG = "an-encoder-with-a-name-that-is-far-too-long-for-any-axis"


def tiny() -> Study:
    return make_study(
        n_encoders=1, n_fusions=1, n_classes=2, controls=False, cnns=(), classifiers=("logistic",)
    )


def crowded() -> Study:
    return make_study(
        encoders=("bagnet17", "sift", LONG, "bagnet33", "sift-dense", "vlad", "moments"),
        n_seeds=2,
        n_fusions=3,
        n_classes=23,
        classifiers=("logistic", "svm", "majority_class"),
        cnns=("resnet18", "vgg16_bn"),
    )


def sized() -> Study:
    """Several patch sizes, one of them with two strides, and two classifiers."""
    return make_study(
        n_encoders=4,
        n_classes=10,
        patches=("fine", "coarse", "wide", "dense"),
        classifiers=("logistic", "majority_class"),
    )


def noisy() -> Study:
    """All detectors, on more methods than are drawn."""
    return make_study(
        n_encoders=4, n_fusions=1, n_seeds=2, detectors=plugins.available("detectors")
    )


def parted() -> Study:
    """All experiments, on more methods than are drawn, and networks that were published."""
    study = make_study(
        n_encoders=6,
        n_fusions=1,
        n_seeds=2,
        cnns=("resnet18", "vgg16_bn"),
        experiments=plugins.available("experiments"),
    )
    study.run["config"]["literature"] = {"resnet50": "resnet18", "bagnet33": "vgg16_bn"}
    return study


def grown() -> Study:
    """Images of growing sides, in every way."""
    return make_study(n_encoders=1, n_fusions=1, ways=tuple(WAYS))


def holed() -> Study:
    """No interval, no AUC for one encoder, no costs for another, nothing trained."""
    study = make_study(n_encoders=2, cnns=())
    metrics = study.metrics.assign(low=np.nan, high=np.nan)
    metrics.loc[metrics["encoder"] == "sift", "value"] = np.nan
    costs = study.costs[study.costs["encoder"] != "bagnet17"]
    return replace(
        study,
        metrics=metrics,
        costs=costs,
        history=tables.empty("all_history"),
        thumbnails={},
        patch_thumbnails={},
        extraction={},
    )


def without_results() -> Study:
    empty = {name: tables.empty(name) for name in ("metrics", "costs", "reliability", "learned")}
    empty |= {name: tables.empty(f"all_{name}") for name in ("roc", "history", "embedding_map")}
    return replace(make_study(n_encoders=1), **empty)


STUDIES = {
    f.__name__: cache(f)
    for f in (make_study, tiny, crowded, sized, noisy, parted, grown, holed, without_results)
}

# what some studies are there for; the others are drawn by every figure
OF_INTEREST = {
    "sized": (
        "auc_against_patch_size",
        "auc_against_runtime",
        "fusion_comparison",
        "fusion_matrix",
    ),
    "noisy": ("auc_against_runtime", "background_votes", "detector_sweep", "overlays"),
    "grown": ("scaling",),
    "parted": (
        "blackout_curves",
        "confusion_matrix",
        "error_consistency",
        "loss_curves",
        "parts_interaction",
        "shuffle_curves",
        "published_values",
    ),
}
DRAWN = [(kind, name) for kind in STUDIES for name in OF_INTEREST.get(kind, FIGURES)]


@cache
def drawn(kind: str, name: str) -> Figure:
    with style.look():
        figure: Figure = plugins.load("figures", name).draw(STUDIES[kind](), "scenes")
        figure.draw_without_rendering()
    return figure


def texts(figure: Figure) -> list[Text]:
    """Texts that are drawn; ticks outside the view exist but are not."""
    hidden = {id(t) for ax in figure.axes if not ax.axison for t in ax.findobj(Text)}
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not low <= tick.get_loc() <= high:
                    hidden |= {id(tick.label1), id(tick.label2)}
    found = [text for text in figure.findobj(Text) if id(text) not in hidden]
    return [text for text in found if text.get_visible() and text.get_text().strip()]
