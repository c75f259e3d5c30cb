"""How faithful a study's maps are, as the report and README.md read it."""

from collections.abc import Mapping
from typing import Any

from patchbench import results_table as results
from patchbench.markdown import with_interval
from patchbench.study import Study

MEASURES = ("deletion_auc", "insertion_auc", "pointing_game", "energy_in_mask", "mask_share")
HEAD = (
    "deletion (lower is better)",
    "insertion (higher is better)",
    "points at the object",
    "energy in the object",
    "share of the object in the image",
)


def table(study: Study, dataset: str) -> list[dict[str, Any]]:
    """One row per network and explanation, ready for JSON; empty where nothing was explained.

    Every row has ``network``, ``explain``, ``n_images``, ``zero_maps`` (share of maps without a
    positive value) and of each of `MEASURES` the value with the ends of its 95 % interval, means
    over seeds; NaN where it was not measured.
    """
    rows = study.faithfulness[study.faithfulness["dataset"] == dataset]
    found = []
    for (network, explain), own in rows.groupby(["encoder", "explain"], sort=False):
        by_measure = own.groupby("measure")
        ends = by_measure[["value"]].mean().join(results.mean_ends(by_measure))
        ends = ends.reindex([*MEASURES, "zero_maps"])
        row: dict[str, Any] = {"network": network, "explain": explain}
        row |= {"n_images": int(own["n_images"].max())}
        row |= {measure: ends.loc[[measure]].to_numpy()[0].tolist() for measure in MEASURES}
        found.append(row | {"zero_maps": float(ends["value"].to_numpy()[-1])})
    return found


def cells(row: Mapping[str, Any]) -> list[str]:
    """A row of `table` as text: network and explanation, then what `HEAD` says."""
    name = f"{row['network']}, {row['explain']}"
    if (row["zero_maps"] or 0) > 0:
        name += f" ({100 * row['zero_maps']:.0f} % of maps are zero)"
    return [name, *(with_interval(*row[measure], digits=2) for measure in MEASURES)]
