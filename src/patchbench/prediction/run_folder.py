"""A run's folder among the results, and what its files say of how they were made."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from patchbench.auc import macro_auc
from patchbench.errors import UserError
from patchbench.evaluation import PREFERRED_FUSION
from patchbench.io import read_json, read_table
from patchbench.origins import origin
from patchbench.plugins import suggest
from patchbench.records import Preparation

VOTES, POOLED, CNN = "classifier.npz", "pooling.npz", "cnn.npz"
_SHOWN = 3
T = TypeVar("T")


@dataclass(frozen=True)
class RunFolder:
    """A run that has ended.

    Attributes
    ----------
    path : Path
        Absolute; folders above it have their places and names as in results.
    kind : {"classifier.npz", "pooling.npz", "cnn.npz"}
        What decides: votes of patches, their embeddings, or a CNN that sees the whole image.
    """

    path: Path
    kind: str

    @property
    def encoder(self) -> Path:
        """Folder of the encoder."""
        return self.path.parents[0]

    @property
    def patches(self) -> Path:
        """Folder of the patches."""
        return self.path.parents[2]

    @property
    def dataset(self) -> Path:
        """Folder of the dataset."""
        return self.path.parents[2 if self.kind == CNN else 3]

    @property
    def seed(self) -> int:
        """Seed of the run, as its folder says."""
        return int(self.path.parents[0 if self.kind == CNN else 1].name.removeprefix("seed"))

    @cached_property
    def _report(self) -> dict[str, Any]:
        return self.read(self.dataset / "dataset.json", read_json)

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in label order."""
        return list(self._report["classes"])

    @property
    def preparation(self) -> Preparation:
        """How images of the dataset were brought to their size."""
        known = {field.name for field in fields(Preparation)}
        settings = self._report["settings"]
        return Preparation(**{name: settings[name] for name in known & settings.keys()})

    def read(self, path: Path, how: Callable[[Path], T]) -> T:
        """Read a file that the run rests on.

        Raises
        ------
        UserError
            If it is not there, or damaged.
        """
        try:
            return how(path)
        except FileNotFoundError as error:
            raise UserError(
                f"{path} is missing, which the run {self.path} rests on; finish the study, or copy "
                "its results folder as a whole"
            ) from error

    def spec(self, path: Path) -> dict[str, Any]:
        """Settings that a file of the run was made with."""
        return dict(self.read(path, origin)["spec"])

    def chosen(self, usable: Mapping[str, Any], asked: str | None) -> str:
        """Name of the rule to decide by.

        Parameters
        ----------
        usable : mapping
            By name, the rules that there is all for.
        asked : str or None
            The one that is wanted. None is the one with the highest AUC on val, of equal ones
            the mean of probabilities or the first by name.

        Raises
        ------
        UserError
            If there is no such rule.
        """
        if asked is not None:
            if asked not in usable:
                raise UserError(f"{self.path} has no fusion {asked!r}; {suggest(asked, [*usable])}")
            return asked
        if not usable:
            raise UserError(f"{self.path} has no fusion that new images can be decided by")
        found = self.read(self.path / "predictions.parquet", lambda p: read_table(p, "predictions"))
        found = found[found["split"] == "val"]

        def rank(name: str) -> tuple[float, bool, str]:
            rows = found[found["fusion"] == name]
            if rows.empty:  # a dataset without val
                return 0.0, name != PREFERRED_FUSION, name
            probabilities = np.stack(rows["probabilities"].to_list())
            everything = np.ones((1, len(rows)))
            auc = float(macro_auc(rows["label"].to_numpy(), probabilities, everything)[0])
            return -np.nan_to_num(auc), name != PREFERRED_FUSION, name

        return min(usable, key=rank)


def open_run(path: Path) -> RunFolder:
    """Find out what kind of run a folder holds.

    Raises
    ------
    UserError
        If there is no such folder, or no run in it; runs below it are named.
    """
    path = path.resolve()
    if not path.is_dir():
        raise UserError(f"{path} is no folder; give that of a run, for example {_example()}")
    kind = next((name for name in (VOTES, POOLED, CNN) if (path / name).is_file()), None)
    if kind is None:
        below = islice(path.rglob("predictions.parquet"), _SHOWN)
        runs = ", ".join(str(found.parent.relative_to(path)) for found in below)
        way_out = f"runs below it are {runs}" if runs else f"give one such as {_example()}"
        raise UserError(f"{path} holds no trained run; {way_out}")
    seed = path.parents[0 if kind == CNN else 1].name
    if not re.fullmatch(r"seed\d+", seed):
        raise UserError(
            f"{path} lies outside a results folder, so encoder, patches and classes are not known; "
            f"keep folders as the study left them, for example {_example()}"
        )
    return RunFolder(path, kind)


def _example() -> str:
    return "results/scenes/p32s16/seed0/bagnet17/logistic"
