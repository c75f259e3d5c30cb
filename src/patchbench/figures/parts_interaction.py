"""Do parts of an image act on their own? Effect of masking together against the sum of each."""

import pandas as pd
from matplotlib.figure import Figure

from patchbench import experiment_results
from patchbench.figures import _curves
from patchbench.figures import _style as style
from patchbench.figures._labels import without_bars
from patchbench.study import Study

NEEDS = {"benchmark.experiments": ("interaction",)}
CAPTION = (
    "Square parts of test images, at fixed places and not touching, are masked one by one and "
    "together. Pearson correlation, over images, of the summed single drops of the logit of the "
    "class decided on with the drop when all are masked, by the side of the parts: 1 where parts "
    "act on their own, as in a sum of evidence. Left: painted in the mean colour of the image; "
    "right: in grey. Bars: 95 % bootstrap intervals over images. Large points: the whole "
    "interval lies below 0.9995."
)
_KIND, _ADDITIVE = "interaction", 0.9995
_PANELS = {"mean_color": "Masked by the mean colour", "grey": "Masked by grey"}


def data(study: Study, dataset: str) -> pd.DataFrame:
    """One row per method, fill, side and measure, seeds averaged."""
    return experiment_results.steps(study, dataset, _KIND)


def draw(study: Study, dataset: str) -> Figure:
    """Two panels, a line per method."""
    frame = data(study, dataset)
    frame = frame[frame["measure"] == "pearson_r"].reset_index(drop=True)
    return _curves.side_by_side(
        study,
        frame.assign(apart=frame["high"] < _ADDITIVE),
        _PANELS,
        ("Side of a part, px", "Correlation of joint and summed drops"),
        (f"{dataset}: do parts act on their own?", _facts(study, dataset, frame)),
        "No parts were masked on this dataset.",
    )


def _facts(study: Study, dataset: str, frame: pd.DataFrame) -> str:
    more = _curves.left_out(frame) + without_bars(frame)
    if len(frame):
        more += [experiment_results.n_images(frame), "patches joined by the mean of logits"]
        known = frame.groupby("label", sort=False)["value"].count()
        if still := [style.shorten(str(name), 24) for name in known.index[known == 0]]:
            more.append(f"not defined where masking changes nothing: {', '.join(still)}")
    return style.facts(study, dataset, *more)
