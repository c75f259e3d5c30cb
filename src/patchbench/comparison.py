"""What changed between two studies: every method that both have, on the same test images.

The decisions of a method in one study and in the other are compared as two methods of one study
are: one bootstrap draws images for both, those of one group together, so the difference has an
interval and a p of its own.
A method whose test images are not the same on both sides is told apart from the others.
Methods whose probabilities are equal to the last bit have not changed and ask no question; Holm's
adjustment counts all others. The smallest p that 2,000 draws can give, 0.001, would never survive
the adjustment for 50 methods, so where a p is small enough to matter more draws are made.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from patchbench.auc import auc_draws
from patchbench.bootstrap import draw_groups, numbered
from patchbench.errors import UserError
from patchbench.evaluation import BOOTSTRAP_SEED
from patchbench.metrics import N_DRAWS, estimate
from patchbench.paired import Difference, difference, draws_for, holm
from patchbench.progress import progress
from patchbench.runtimes import DECIDED, peak_memory, runtime
from patchbench.sides import METHOD, Side

COSTS = ["train_s", "inference_ms_per_image", "peak_rss_mib", "peak_gpu_mib"]
SIGNIFICANT = 0.05
IDENTICAL, CHANGED, SAME = "identical decisions", "changed beyond noise", "within noise"
APART, OVERLAP, UNDEFINED = "intervals apart", "intervals overlap", "not defined"
UNTOLD = "draws of images do not tell"  # so neither interval nor p is known
OTHER = "other test images"

# a p above this is not made smaller than SIGNIFICANT by more draws
_WORTH_MORE_DRAWS = 0.02


def _check_question(a: Side, b: Side, dataset: str) -> None:
    """Refuse to compare where classes or labels differ: the two were asked different questions."""
    if a.classes(dataset) != b.classes(dataset):
        raise UserError(
            f"dataset {dataset}: its classes are {', '.join(a.classes(dataset))} in A and "
            f"{', '.join(b.classes(dataset))} in B; compare studies of the same classes"
        )
    one, other = (_labels(side, dataset) for side in (a, b))
    shared = one.index.intersection(other.index)
    wrong = shared[(one[shared] != other[shared]).to_numpy()]
    if len(wrong):
        raise UserError(
            f"dataset {dataset}: {len(wrong)} of {len(shared)} test images have another label in "
            f"B than in A, for example {min(wrong)}; compare studies of the same labels"
        )


def _labels(side: Side, dataset: str) -> "pd.Series[Any]":
    """Label of every test image of a dataset, by image."""
    rows = side.predictions[side.predictions["dataset"] == dataset]
    return rows.drop_duplicates("image_id").set_index("image_id")["label"].sort_index()


@dataclass(frozen=True)
class _Decisions:
    """What one method decided on the test images of one side, sorted by image."""

    image_ids: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    group_of: np.ndarray

    def accuracy(self) -> float:
        """Share of images that are recognised."""
        return float((self.probabilities.argmax(axis=1) == self.labels).mean())

    def apart(self, other: "_Decisions") -> str:
        """How the test images of A, these, and of B, the other, differ; empty where they do not."""
        one, two = set(self.image_ids), set(other.image_ids)
        if one == two:
            return ""
        return f"{len(one & two)} are in both" + "".join(
            f", {len(alone)} only in {side}, for example {min(alone)}"
            for side, alone in (("A", one - two), ("B", two - one))
            if alone
        )

    def n_unlike(self, other: "_Decisions") -> int:
        """Images that the other decides on otherwise."""
        return int((self.probabilities.argmax(1) != other.probabilities.argmax(1)).sum())


def _groups(a: Side, b: Side) -> dict[tuple[str, str], str]:
    """Name of the group of each image of a dataset, the same for both sides."""
    columns = ["dataset", "image_id", "group"]
    rows = [row for side in (b, a) for row in side.images[columns].itertuples(index=False)]
    return {(dataset, image): group for dataset, image, group in rows}


def _decisions(
    side: Side, methods: set[tuple[Any, ...]], groups: Mapping[tuple[str, str], str]
) -> dict[tuple[Any, ...], _Decisions]:
    """Decisions of these methods, by method."""
    found = {}
    for method, rows in side.predictions.groupby(METHOD, sort=False):
        if method in methods:
            rows = rows.sort_values("image_id", kind="stable")
            columns = rows["image_id"].to_numpy(), rows["label"].to_numpy()
            group_of = numbered(
                groups.get((str(rows["dataset"].iloc[0]), i), i) for i in columns[0]
            )
            probabilities = np.stack(rows["probabilities"].to_list())
            found[method] = _Decisions(*columns, probabilities, group_of)
    return found


def compare(a: Side, b: Side, *, unpaired: bool = False) -> pd.DataFrame:
    """Compare every method that both sides have.

    Parameters
    ----------
    a, b : Side
        Differences are B less A.
    unpaired : bool
        Judge methods whose test images differ by whether their intervals overlap.

    Returns
    -------
    frame : DataFrame
        Columns of `METHOD`, ``verdict``, ``reason`` (what is null and why); ``auc_a, low_a,
        high_a, auc_b, low_b, high_b``, macro AUC of images with its 95 % interval;
        ``difference, low, high, p, p_holm``, null for a method whose images are not the same;
        ``accuracy_a, accuracy_b``; ``n_images_a, n_images_b``; ``n_changed``, test
        images decided otherwise; ``n_draws``; and of `COSTS` those of A, of B, and B / A
        (``train_s_a, train_s_b, train_s_ratio``, ...). What changed comes first.

    Raises
    ------
    UserError
        If labels or classes differ, or the test images of every method and not ``unpaired``.
    """
    shared = [method for method in a.methods() if method in set(b.methods())]
    for dataset in dict.fromkeys(method[0] for method in shared):
        _check_question(a, b, dataset)
    groups = _groups(a, b)
    in_a, in_b = (_decisions(side, set(shared), groups) for side in (a, b))
    apart = {method: in_a[method].apart(in_b[method]) for method in shared}
    if shared and all(apart.values()) and not unpaired:
        name, how = shared[0][0], apart[shared[0]]
        raise UserError(
            f"dataset {name}: the test images of A and B are not the same ({how}), so decisions "
            "cannot be paired; --unpaired sets the intervals of both side by side"
        )
    frame = pd.DataFrame(list(_rows(in_a, in_b, apart)), columns=[*METHOD, *_MEASURED])
    return _with_costs(_sorted(_judged(frame, unpaired=unpaired)), a, b)


_ENDS = [f"{end}_{side}" for side in "ab" for end in ("auc", "low", "high")]
_MEASURED = [
    *("verdict", "reason"),
    *_ENDS,
    *("difference", "low", "high", "p"),
    *("accuracy_a", "accuracy_b", "n_images_a", "n_images_b", "n_changed", "n_draws"),
]


class _Bootstrap:
    """Draws of images, the same for every method on the same groups; made when first asked for."""

    def __init__(self) -> None:
        self._weights: dict[tuple[bytes, int], np.ndarray] = {}

    def auc(self, decisions: _Decisions, n_draws: int = N_DRAWS) -> np.ndarray:
        """Macro AUC on the images as they are, then on each draw: (1 + n_draws,)."""
        key, each = (decisions.group_of.tobytes(), n_draws), np.arange(len(decisions.labels))
        if key not in self._weights:
            self._weights[key] = draw_groups(decisions.group_of, BOOTSTRAP_SEED, n_draws)
        return auc_draws(decisions.labels, decisions.probabilities, each, self._weights[key])


def _rows(
    in_a: Mapping[tuple[Any, ...], _Decisions],
    in_b: Mapping[tuple[Any, ...], _Decisions],
    apart: Mapping[tuple[Any, ...], str],
) -> Iterator[dict[str, Any]]:
    """What is measured of each method; ``apart`` says how its test images differ, if they do."""
    bootstrap = _Bootstrap()
    n_open = sum(not _identical(in_a[method], in_b[method]) for method in apart)
    n_images = max((len(in_a[method].labels) for method in apart), default=1)
    n_more = draws_for(n_open, n_images)
    for method in progress(list(apart), "Comparing", " methods"):
        a, b, paired = in_a[method], in_b[method], not apart[method]
        same, n_draws = _identical(a, b), N_DRAWS
        of_a = bootstrap.auc(a)
        of_b = of_a if same else bootstrap.auc(b)
        found = difference(of_b, of_a) if paired else Difference()
        if found.p <= _WORTH_MORE_DRAWS and n_more > N_DRAWS:
            n_draws = n_more
            found = difference(bootstrap.auc(b, n_draws), bootstrap.auc(a, n_draws))
        ends = [*estimate(of_a).numbers.values(), *estimate(of_b).numbers.values()]
        reason = found.reason if paired else f"other test images: {apart[method]}"
        yield (
            dict(zip(METHOD, method, strict=True))
            | {"verdict": IDENTICAL if same else (SAME if paired else OTHER)}
            | {"reason": None if same else reason or None}
            | dict(zip(_ENDS, ends, strict=True))
            | {"difference": found.value, "low": found.low, "high": found.high, "p": found.p}
            | {"accuracy_a": a.accuracy(), "accuracy_b": b.accuracy()}
            | {"n_images_a": len(a.labels), "n_images_b": len(b.labels)}
            | {"n_changed": a.n_unlike(b) if paired else None, "n_draws": n_draws}
        )


def _identical(a: _Decisions, b: _Decisions) -> bool:
    return np.array_equal(a.image_ids, b.image_ids) and np.array_equal(
        a.probabilities, b.probabilities
    )


def _judged(frame: pd.DataFrame, *, unpaired: bool) -> pd.DataFrame:
    """Add ``p_holm``, over all methods that did not stay as they were, and what follows."""
    frame = frame.assign(p_holm=np.nan)
    asked = (frame["verdict"] == SAME) & frame["p"].notna()
    frame.loc[asked, "p_holm"] = holm(frame.loc[asked, "p"].to_numpy(np.float64))
    frame.loc[frame["p_holm"] < SIGNIFICANT, "verdict"] = CHANGED
    frame.loc[(frame["verdict"] == SAME) & frame["p"].isna(), "verdict"] = UNTOLD
    unknown = frame[["auc_a", "auc_b"]].isna().any(axis=1)
    frame.loc[unknown & (frame["verdict"] == UNTOLD), "verdict"] = UNDEFINED
    if unpaired:
        other = frame["verdict"] == OTHER
        ends = ("low_a", "high_a", "low_b", "high_b")
        known = frame[list(ends)].notna().all(axis=1)
        apart = (frame["low_a"] > frame["high_b"]) | (frame["low_b"] > frame["high_a"])
        frame.loc[other & known, "verdict"] = OVERLAP
        frame.loc[other & apart, "verdict"] = APART
    return frame


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    """What changed first, and of that what changed most."""
    order = [CHANGED, UNTOLD, APART, SAME, OVERLAP, OTHER, UNDEFINED, IDENTICAL]
    size = (frame["auc_b"] - frame["auc_a"]).abs()
    keys = pd.DataFrame({"verdict": frame["verdict"].map(order.index), "size": -size})
    kept = keys.sort_values(["verdict", "size"], kind="stable").index
    return frame.loc[kept].reset_index(drop=True)


def _with_costs(frame: pd.DataFrame, a: Side, b: Side) -> pd.DataFrame:
    """Add what each method took on both sides, and how many times as much on B."""
    for name, side in (("a", a), ("b", b)):
        costs = runtime(side).merge(peak_memory(side), on=DECIDED, how="left")[[*DECIDED, *COSTS]]
        costs = costs.rename(columns={cost: f"{cost}_{name}" for cost in COSTS})
        frame = frame.merge(costs, on=DECIDED, how="left")
    for cost in COSTS:
        of_a, of_b = (pd.to_numeric(frame[f"{cost}_{side}"]) for side in "ab")
        frame[f"{cost}_ratio"] = of_b / of_a.where(of_a > 0)
    return frame
