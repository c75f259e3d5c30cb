"""Reliability and weights of places: what these two figures promise."""

from dataclasses import replace

import pandas as pd
import pytest

from patchbench import plan_figures
from patchbench.evaluation import learned_rows
from patchbench.figures import position_weights, reliability
from patchbench.study import Study
from unit._drawn import drawn, texts
from unit._synthetic_study import FUSIONS, make_study


def words(kind: str, name: str) -> list[str]:
    return [text.get_text() for text in texts(drawn(kind, name))]


def test_every_method_is_told_its_temperature_and_both_errors() -> None:
    found = words("make_study", "reliability")
    assert {"bagnet17", "sift", "tile2vec"} <= set(found)
    assert found.count("T = 1.8") == 3
    assert found.count("ECE 0.300 → 0.000") == 3  # patches
    assert found.count("ECE 0.300 → 0.300") == 3  # images
    assert "14,700 test patches" in " ".join(found)


def test_controls_and_methods_past_the_fifth_are_in_the_table_only() -> None:
    study = make_study()
    frame = reliability.data(study, "scenes")
    kinds = list(dict.fromkeys(frame["kind"]))
    assert kinds == ["patch", "control"]
    assert not any("control)" in word for word in words("crowded", "reliability"))
    assert "with 9 more methods" in " ".join(words("crowded", "reliability"))


def test_the_table_behind_reliability_has_every_bin_and_paired_changes() -> None:
    frame = reliability.data(make_study(n_encoders=1, n_seeds=2), "scenes")
    bins = frame[frame["measure"] == "accuracy"]
    assert sorted(set(bins["bin"])) == list(range(15))
    assert {"ece", "ece_change", "log_loss", "log_loss_change"} < set(frame["measure"])
    assert set(frame["n_seeds"]) == {2}


def test_the_footer_says_which_logits_other_figures_show() -> None:
    study = make_study(n_encoders=1)
    study.run["config"]["calibration"] = "temperature"
    text = " ".join(text.get_text() for text in reliability.draw(study, "scenes").texts)
    assert "calibrated logits" in text


def test_weights_are_told_over_that_of_equal_places() -> None:
    frame = position_weights.data(make_study(n_encoders=1), "scenes")
    weights = frame[frame["setting"] == "weight"]
    for _, own in weights.groupby(["encoder", "classifier"]):
        assert own["value"].sum() == pytest.approx(1)
        assert own["relative"].mean() == pytest.approx(1)
    assert frame.loc[frame["setting"] == "penalty", "relative"].isna().all()


def centred(width: float | None) -> Study:
    """A study that has also learned a Gaussian's width."""
    study = make_study(n_encoders=1, controls=False, classifiers=("logistic",))
    learned = study.learned.iloc[-1:].assign(fusion=FUSIONS[1], setting="width", value=width)
    study.run["config"]["fusions"][FUSIONS[1]] = {"type": "center_gaussian"}
    both = [study.learned, learned.astype({"value": float})]
    return replace(study, learned=pd.concat(both, ignore_index=True))


@pytest.mark.parametrize(("width", "said"), [(0.3, "Gaussian 0.3"), (None, "no Gaussian")])
def test_what_centre_rules_have_learned_is_told_below(width: float | None, said: str) -> None:
    figure = position_weights.draw(centred(width), "scenes")
    assert said in {text.get_text() for text in figure.texts}


def test_weights_are_asked_for_only_where_a_rule_learns_them() -> None:
    study = make_study(n_encoders=1)
    assert ("scenes", "position_weights") in plan_figures.figures(study.run["config"])
    assert ("scenes", "reliability") in plan_figures.figures(study.run["config"])
    study.run["config"]["fusions"] = {}
    assert ("scenes", "position_weights") not in plan_figures.figures(study.run["config"])


def test_what_rules_have_learned_becomes_rows() -> None:
    chosen = {"penalty": 0.1, "width": None, "prior": [0.5, 0.5]}
    places = {"places": [[-0.5, 0.5], [0.5, 0.5]], "weights": [0.25, 0.75]}
    rows = learned_rows(chosen | places)
    assert [row["setting"] for row in rows] == ["penalty", "width", "weight", "weight"]
    assert rows[2] == {"setting": "weight", "y": -0.5, "x": 0.5, "value": 0.25}
    assert learned_rows({"weights": [0.1, 0.9]}) == []  # of classes, not of places
