"""Who needs the arrangement? Image AUC when tiles of test images are shuffled, and turned."""

import pandas as pd
from matplotlib.figure import Figure

from patchbench import experiment_results
from patchbench.figures import _curves
from patchbench.figures import _style as style
from patchbench.figures._labels import without_bars
from patchbench.results_table import CHANCE_AUC
from patchbench.study import Study

NEEDS = {"benchmark.experiments": ("shuffle",)}
CAPTION = (
    "Area under the receiver operating characteristic (ROC) curve of image decisions when test "
    "images are cut into k x k tiles that change places at random; right: each tile is also "
    "turned by a random number of quarter turns. A method that joins votes in any order loses "
    "only what lies across the borders of tiles, and what patches overlap unevenly; one that "
    "needs the arrangement falls. Bars: 95 % bootstrap intervals over test images of the mean over "
    "draws. Large points: the paired 95 % interval of the difference to the untouched image "
    "excludes zero, one comparison at a time; small dots: it does not. "
    "Dotted line: chance; without it the scale does not go that far."
)
_KIND = "shuffle"
_PANELS = {"shuffled": "Tiles shuffled", "shuffled_and_turned": "Tiles shuffled and turned"}


def data(study: Study, dataset: str) -> pd.DataFrame:
    """One row per method, fusion, policy, tiles per side and measure, seeds averaged."""
    return experiment_results.steps(study, dataset, _KIND)


def draw(study: Study, dataset: str) -> Figure:
    """Two panels, a line per method."""
    frame = data(study, dataset)
    frame = experiment_results.with_one_fusion(frame[frame["measure"] == "auc_macro"])
    apart = (frame["difference_low"] > 0) | (frame["difference_high"] < 0)
    title = f"{dataset}: image AUC when tiles are shuffled"
    return _curves.side_by_side(
        study,
        frame.assign(apart=apart),
        _PANELS,
        ("Tiles per side", "Image AUC-ROC"),
        (title, _facts(study, dataset, frame)),
        "No images were shuffled on this dataset.",
        CHANCE_AUC,
    )


def _facts(study: Study, dataset: str, frame: pd.DataFrame) -> str:
    more = _curves.left_out(frame) + without_bars(frame)
    if len(frame):
        fusions = ", ".join(sorted({*frame["fusion"]} - {"none"}))
        more += [
            experiment_results.n_images(frame),
            f"{int(frame['n_draws'].max())} draws of the order of each image",
            *([f"patches joined by {fusions}"] if fusions else []),
        ]
    return style.facts(study, dataset, *more)
