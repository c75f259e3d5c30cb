"""Which fusion rules differ, in plain sentences made from their paired tests."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from patchbench import fusion_results
from patchbench.study import NONE, Study

_VERDICTS = {
    fusion_results.BETTER: "better",
    fusion_results.SAME: "not to be told apart from it",
    fusion_results.WORSE: "worse",
    fusion_results.UNTOLD: "without a p, for draws of images do not tell",
}
_MOST_NAMED = 6


def sentences(study: Study, dataset: str, method: Mapping[str, Any] | None) -> list[str]:
    """One sentence on the rules of one method; none where there is nothing to compare."""
    if method is None:
        return []
    compared = fusion_results.compared(study, dataset)
    if method["classifier"] == NONE:
        own = compared[compared["on_embeddings"] & (compared["encoder"] == method["encoder"])]
        method = {**method, "classifier": own["classifier"].iloc[0]} if len(own) else method
    rows = fusion_results.of_method(compared, method)
    rival = rows.loc[rows["verdict"] == fusion_results.RIVAL, "fusion"]
    if len(rows) < 2 or rival.empty:
        return []
    name = f"{method['encoder']} with {rows['classifier'].iloc[0]}"
    parts = [
        f"{len(own)} {'is' if len(own) == 1 else 'are'} {text} ({_listed(own)})"
        for verdict, text in _VERDICTS.items()
        if len(own := rows[rows["verdict"] == verdict])
    ]
    return [
        f"Against {rival.iloc[0]}, of the {len(rows) - 1} other fusion rules for {name}, "
        f"{'; '.join(parts)} (paired on the same test images, p below "
        f"{fusion_results.ALPHA:g} after Holm)."
    ]


def _listed(rows: pd.DataFrame) -> str:
    """Names with their differences, the highest first."""
    rows = rows.sort_values("difference", ascending=False)
    named = zip(rows["fusion"], rows["difference"], strict=True)
    texts = [f"{name} {difference:+.3f}" for name, difference in named]
    if len(texts) > _MOST_NAMED:
        texts[_MOST_NAMED - 1 :] = [f"and {len(texts) - _MOST_NAMED + 1} more"]
    return ", ".join(texts).replace("-", "\N{MINUS SIGN}")
