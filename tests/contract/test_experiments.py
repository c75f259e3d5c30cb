"""Promises of every experiment, found by file name."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from patchbench import plugins, tables
from patchbench.errors import UserError
from patchbench.evaluation import run_columns
from patchbench.subject import Subject
from unit._subjects import N_IMAGES, make_subject

NAMES = plugins.available("experiments")
# small enough for the images of the toy method
SETTINGS: dict[str, dict[str, Any]] = {
    "spatial_blackout": {"fractions": [0.0, 0.5], "n_draws": 3},
    "channel_blackout": {"fractions": [0.0, 0.5], "n_draws": 3},
    "shuffle": {"tiles_per_side": [1, 4], "n_draws": 2},
    "interaction": {"sides_px": [2, 6], "max_images": 12},
}


def done(name: str, subject: Subject, seed: int = 0) -> pd.DataFrame:
    experiment = plugins.build("experiments", name, SETTINGS.get(name, {}), seed=seed)
    return pd.DataFrame(list(experiment.rows(subject)))


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_those_of_the_table_and_the_same_again(name: str) -> None:
    subject = make_subject()
    frame = done(name, subject)
    columns = {k: v for k, v in run_columns({}).items() if k != "fusion"}
    full = frame.astype({"rescaled": object}).assign(**columns, experiment=name)
    assert tables.to_arrow(full, "experiments").num_rows == len(frame) > 0
    assert frame["value"].notna().all()
    assert (frame["n_images"] <= N_IMAGES).all()
    inside = frame["low"].notna()
    assert (frame["low"] <= frame["high"])[inside].all()
    pd.testing.assert_frame_equal(frame, done(name, subject))


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_is_another_chance_but_not_another_question(name: str) -> None:
    subject = make_subject()
    frame, other = done(name, subject), done(name, subject, seed=1)
    columns = ["policy", "fusion", "rescaled", "amount", "measure", "n_draws"]
    pd.testing.assert_frame_equal(frame[columns], other[columns])


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_says_what_it_is_and_what_it_needs(name: str) -> None:
    cls = plugins.load("experiments", name).Experiment
    assert cls.needs in ("votes", "channels", "model")
    assert cls.summary and cls.source
    assert "seed" in {f.name for f in fields(cls)}


@pytest.mark.parametrize("name", NAMES)
def test_it_works_with_nothing_else_and_says_what_is_missing(name: str) -> None:
    needs = plugins.load("experiments", name).Experiment.needs
    known = make_subject()
    groups = {"votes": ("votes", "cells", "centers"), "channels": ("channels",)}
    groups["model"] = ("images", "ask")
    empty = replace(known, **{key: None for group in groups.values() for key in group})
    assert len(done(name, replace(empty, **{key: getattr(known, key) for key in groups[needs]})))
    with pytest.raises(ValueError, match=r"needs|has no"):
        done(name, empty)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "interaction"])
def test_where_nothing_is_taken_or_moved_nothing_changes(name: str) -> None:
    frame = done(name, make_subject())
    still = frame[(frame["amount"] == (1 if name == "shuffle" else 0))]
    still = still[still["policy"] != "shuffled_and_turned"]
    assert len(still)
    assert (still["difference"].abs() < 1e-12).all()
    assert still[["difference_low", "difference_high"]].isna().all(axis=None)
    assert np.allclose(still["p"], 1)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("spatial_blackout", {"fractions": [0.5, 1.0]}, "each 0 or more and below 1"),
        ("spatial_blackout", {"n_draws": 0}, "n_draws is 0; it must be at least 1"),
        ("channel_blackout", {"fractions": []}, "at least one share"),
        ("channel_blackout", {"fractions": [-0.1]}, "each 0 or more"),
        ("shuffle", {"tiles_per_side": [0, 2]}, "each 1 or more"),
        ("interaction", {"sides_px": [0]}, "each 1 px or more"),
        ("interaction", {"parts_per_side": 0}, "parts_per_side is 0"),
    ],
)
def test_a_senseless_setting_is_refused_in_one_sentence(
    name: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        plugins.build("experiments", name, settings)
