"""A study's tables, opened together: what figures and the report are made from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchbench import tables
from patchbench.io import read_json, read_state, read_table
from patchbench.tables_of_tests import TEST_COLUMNS

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
        of test; costs those of all jobs before the tables were collected.
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
    browser : dict
        Test images with what every method saw in them, under ``dataset/name``; see
        :func:`patchbench.stages._browser.browser`.
    run : dict
        Machine, versions, date, config, commit of the collection (``run.json``).
    methods : dict
        For each encoder and fusion entry what its plug-in says of itself: ``control`` (bool),
        ``summary``, ``source``.
    images : DataFrame
        Table ``all_images``: every image with its label, split and group.
    scaling : DataFrame
        Table of that name: memory and time against the side of images, of no dataset.
    class_metrics, method_tests, seed_summary, dataset_ranks : DataFrame
        Tables of those names: the methods compared with each other.
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
    browser: dict[str, np.ndarray] = field(repr=False)
    run: dict[str, Any] = field(repr=False)
    methods: dict[str, dict[str, dict[str, Any]]] = field(repr=False)
    images: pd.DataFrame = field(default_factory=lambda: tables.empty("all_images"))
    scaling: pd.DataFrame = field(default_factory=lambda: tables.empty("scaling"))
    class_metrics: pd.DataFrame = field(default_factory=lambda: tables.empty("class_metrics"))
    method_tests: pd.DataFrame = field(default_factory=lambda: tables.empty("method_tests"))
    seed_summary: pd.DataFrame = field(default_factory=lambda: tables.empty("seed_summary"))
    dataset_ranks: pd.DataFrame = field(default_factory=lambda: tables.empty("dataset_ranks"))

    @property
    def commits(self) -> list[str]:
        """Commits of the code that its jobs ran, more than one where some were kept."""
        return sorted({*self.costs["commit"].dropna(), self.run["commit"]} - {""})


def open_study(folder: Path, *, tested: bool = True) -> Study:
    """Open ``results/studies/<study>`` as the collect stage left it.

    ``tested`` reads the tables of `TEST_COLUMNS` too, which are made from the others.
    """
    run = read_json(folder / "run.json")
    return Study(
        name=run["study"],
        metrics=read_table(folder / "metrics.parquet", "metrics"),
        fusion_tests=read_table(folder / "fusion_tests.parquet", "fusion_tests"),
        reliability=read_table(folder / "reliability.parquet", "reliability"),
        learned=read_table(folder / "learned.parquet", "learned"),
        predictions=read_table(folder / "predictions.parquet", "all_predictions"),
        roc=read_table(folder / "roc.parquet", "all_roc"),
        costs=read_table(folder / "costs_of_runs.parquet", "costs"),
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
        browser=read_state(folder / "browser.npz"),
        methods=run.pop("methods"),
        run=run,
        images=read_table(folder / "images.parquet", "all_images"),
        scaling=read_table(folder / "scaling.parquet", "scaling"),
        **{
            name: read_table(folder / f"{name}.parquet", name)
            for name in (TEST_COLUMNS if tested else ())
        },
    )
