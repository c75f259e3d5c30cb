"""Compare the methods of a study: class by class, with a reference, over seeds and datasets."""

import pandas as pd

from patchbench import method_summaries as summaries
from patchbench import tables
from patchbench.decisions import decisions, drawn
from patchbench.method_tests import reference, tested
from patchbench.progress import progress
from patchbench.study import Study


def assessed(study: Study) -> dict[str, pd.DataFrame]:
    """Tables ``class_metrics``, ``method_tests``, ``seed_summary`` and ``dataset_ranks``."""
    parts: dict[str, list[pd.DataFrame]] = {
        name: [] for name in ("class_metrics", "method_tests", "seed_summary")
    }
    chosen = {}
    for dataset in progress(sorted(study.datasets), "Comparing", "dataset"):
        found = decisions(study, dataset)
        chosen[dataset] = found.frame
        # one resampling of the images for all methods and tables
        draws = [drawn(found, method) for method in found.methods]
        names = study.datasets[dataset]["classes"]
        parts["class_metrics"].append(summaries.class_table(found, names))
        parts["method_tests"].append(tested(found, draws, reference(study, found)))
        parts["seed_summary"].append(summaries.seed_table(found, draws))
        if study.metrics["seed"].nunique() > 1:
            rest = found.others(decisions(study, dataset, every_rule=True))
            drawn_rest = (drawn(rest, method) for method in rest.methods)
            parts["seed_summary"].append(summaries.seed_table(rest, drawn_rest))
    joined = {
        name: pd.concat([rows for rows in own if len(rows)] or [tables.empty(name)])
        for name, own in parts.items()
    }
    return joined | {"dataset_ranks": summaries.rank_table(study, chosen)}
