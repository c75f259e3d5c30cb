"""A study's tables, opened together: what figures and the report are made from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench.io import read_json, read_state, read_table

WHOLE_IMAGE = "whole-image"
OWN_HEAD = "own_head"
NONE = "none"


@dataclass(frozen=True)
class Study:
    """Everything a figure may draw from.

    Attributes
    ----------
    name : str
        Name of the study.
    metrics, fusion_tests, predictions, roc, costs, history : DataFrame
        Tables ``metrics``, ``fusion_tests``, ``all_predictions``, ``all_roc``, ``costs``,
        ``all_history`` of ``tables.py``; predictions are those of val and test, ROC curves those
        of test.
    reliability, learned : DataFrame
        Tables of those names: how often probabilities are right, before and after calibration,
        and what fusion rules have learned on val.
    datasets : dict
        For each dataset the preparation report (``dataset.json``): classes, images per class
        and split, what was left out and why.
    extraction : dict
        For each ``dataset/patches`` the extraction report: images, patches, edge policy.
    embedding_map : DataFrame
        Table ``all_embedding_map``: where the embeddings of some test patches lie on a plane.
    detection, sweep, background, faithfulness : DataFrame
        Tables of those names (``all_faithfulness``): noisy patches, and where networks look.
    experiments : DataFrame
        Table of that name: what happens if parts are taken away or moved.
    thumbnails : dict
        For each dataset uint8 images (n, height_px, width_px, 3), one or more per class, in
        class order: image ``i`` is of class ``i % n_classes``.
    patch_thumbnails : dict
        For each ``dataset/patches`` uint8 images (n, side_px, side_px, 3) of the patches on
        the maps: image ``i`` is row ``i`` of every encoder's map.
    overlays : dict
        For some test images of each dataset what was seen in them, under ``dataset/name``; see
        :func:`patchbench.stages._overlays.overlays`.
    run : dict
        Machine, versions, date, config, commit of the collection (``run.json``).
    methods : dict
        For each encoder and fusion entry what its plug-in says of itself: ``control`` (bool),
        ``summary``, ``source``.
    """

    name: str
    metrics: pd.DataFrame
    fusion_tests: pd.DataFrame
    reliability: pd.DataFrame
    learned: pd.DataFrame
    predictions: pd.DataFrame
    roc: pd.DataFrame
    costs: pd.DataFrame
    history: pd.DataFrame
    datasets: dict[str, dict[str, Any]]
    extraction: dict[str, dict[str, Any]]
    embedding_map: pd.DataFrame
    detection: pd.DataFrame
    sweep: pd.DataFrame
    background: pd.DataFrame
    faithfulness: pd.DataFrame
    experiments: pd.DataFrame
    thumbnails: dict[str, np.ndarray] = field(repr=False)
    patch_thumbnails: dict[str, np.ndarray] = field(repr=False)
    overlays: dict[str, np.ndarray] = field(repr=False)
    run: dict[str, Any] = field(repr=False)
    methods: dict[str, dict[str, dict[str, Any]]] = field(repr=False)

    @property
    def commits(self) -> list[str]:
        """Commits of the code that its jobs ran, more than one where some were kept."""
        return sorted({*self.costs["commit"].dropna(), self.run["commit"]} - {""})


def open_study(folder: Path) -> Study:
    """Open ``results/studies/<study>`` as the collect stage left it."""
    run = read_json(folder / "run.json")
    return Study(
        name=run["study"],
        metrics=read_table(folder / "metrics.parquet", "metrics"),
        fusion_tests=read_table(folder / "fusion_tests.parquet", "fusion_tests"),
        reliability=read_table(folder / "reliability.parquet", "reliability"),
        learned=read_table(folder / "learned.parquet", "learned"),
        predictions=read_table(folder / "predictions.parquet", "all_predictions"),
        roc=read_table(folder / "roc.parquet", "all_roc"),
        costs=read_table(folder / "costs.parquet", "costs"),
        history=read_table(folder / "history.parquet", "all_history"),
        datasets=run.pop("datasets"),
        extraction=run.pop("extraction"),
        embedding_map=read_table(folder / "embedding_map.parquet", "all_embedding_map"),
        detection=read_table(folder / "detection.parquet", "detection"),
        sweep=read_table(folder / "sweep.parquet", "sweep"),
        background=read_table(folder / "background.parquet", "background"),
        faithfulness=read_table(folder / "faithfulness.parquet", "all_faithfulness"),
        experiments=read_table(folder / "experiments.parquet", "experiments"),
        thumbnails=read_state(folder / "thumbnails.npz"),
        patch_thumbnails=read_state(folder / "patch_thumbnails.npz"),
        overlays=read_state(folder / "overlays.npz"),
        methods=run.pop("methods"),
        run=run,
    )
