"""Figures of experiments: drawn where they ran, fair to those that are left out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from patchbench import error_consistency, experiment_results, plan_figures, plugins
from patchbench.bootstrap import draw_weights
from patchbench.evaluation import BOOTSTRAP_SEED
from patchbench.figures import blackout_curves, parts_interaction, shuffle_curves
from patchbench.study import Study
from unit._compared import NETWORK, PATCH, answers, decided
from unit._drawn import STUDIES, drawn, texts
from unit._synthetic_study import make_study

EXPERIMENTS = plugins.available("experiments")
OF_EXPERIMENT = {
    "blackout_curves": "spatial_blackout",
    "shuffle_curves": "shuffle",
    "parts_interaction": "interaction",
}


def study_of(*experiments: str) -> Study:
    return make_study(n_encoders=1, n_fusions=1, controls=False, experiments=experiments)


def words(name: str, kind: str = "parted") -> str:
    return " ".join(text.get_text() for text in texts(drawn(kind, name)))


@pytest.mark.parametrize(("figure", "experiment"), OF_EXPERIMENT.items())
def test_a_figure_is_asked_for_only_where_its_experiment_runs(figure: str, experiment: str) -> None:
    with_it = {name for _, name in plan_figures.figures(study_of(experiment).run["config"])}
    without = {name for _, name in plan_figures.figures(make_study().run["config"])}
    assert with_it & set(OF_EXPERIMENT) == {figure}
    assert not without & set(OF_EXPERIMENT) and "error_consistency" in without


def test_an_entry_under_another_name_is_drawn_as_its_plugin() -> None:
    study = study_of("shuffle")
    study.run["config"]["experiments"] = {"mine": {"type": "shuffle"}}
    study.run["config"]["benchmark"]["experiments"] = ["mine"]
    renamed = replace(study, experiments=study.experiments.assign(experiment="mine"))
    assert len(shuffle_curves.data(renamed, "scenes")) == len(study.experiments)


def test_every_method_is_named_beside_its_line() -> None:
    for name in ("shuffle_curves", "parts_interaction"):
        found = words(name)
        assert "resnet18 (whole image)" in found and "bagnet17" in found


def test_chance_is_drawn_and_named_where_the_scale_goes_that_far() -> None:
    study = study_of("shuffle")
    fallen = study.experiments.assign(value=lambda rows: rows["value"] - 0.5)
    for values, reached in ((study.experiments, False), (fallen, True)):
        figure = shuffle_curves.draw(replace(study, experiments=values), "scenes")
        lines = [
            line for ax in figure.axes for line in ax.lines if list(line.get_ydata()) == [0.5] * 2
        ]
        assert bool(lines) == reached
        assert ("chance" in [text.get_text() for text in texts(figure)]) == reached


def test_methods_that_are_not_drawn_are_named_and_a_cnn_always_is() -> None:
    found = words("blackout_curves")
    assert "not drawn: bagnet33" in found
    assert "(whole image)" in found and "a CNN has no patches to drop" in found


def test_seeds_are_averaged_and_disagreeing_ones_prove_nothing() -> None:
    study = STUDIES["parted"]()
    rows = study.experiments
    first = rows["seed"] == 0
    half = rows.assign(
        difference=np.where(first, 0.1, -0.1), p=0.001, value=np.where(first, 0.6, 0.8)
    )
    found = experiment_results.steps(replace(study, experiments=half), "scenes", "shuffle")
    assert (found["p"] == 1).all() and np.allclose(found["value"], 0.7)
    assert (found["n_seeds"] == 2).all()


def test_the_tables_behind_the_figures_have_every_measure() -> None:
    study = STUDIES["parted"]()
    assert set(shuffle_curves.data(study, "scenes")["measure"]) == {
        "auc_macro", "accuracy", "log_loss",
    }  # fmt: skip
    assert "joint_drop" in set(parts_interaction.data(study, "scenes")["measure"])
    kinds = set(blackout_curves.data(study, "scenes")["experiment"])
    assert kinds == {"spatial_blackout", "channel_blackout"}


def test_a_method_that_masking_does_not_change_is_named_below_the_figure() -> None:
    study = study_of("interaction")
    deaf = (study.experiments["encoder"] == "bagnet17") & (
        study.experiments["measure"] == "pearson_r"
    )
    rows = study.experiments.assign(value=study.experiments["value"].mask(deaf))
    figure = parts_interaction.draw(replace(study, experiments=rows), "scenes")
    found = " ".join(text.get_text() for text in texts(figure))
    assert "changes nothing: bagnet17" in found


def test_every_pair_of_models_is_compared_once_and_controls_never() -> None:
    found = error_consistency.pairs(make_study(), "scenes")
    pairs = [frozenset(pair) for pair in found[["label", "rival"]].itertuples(index=False)]
    n_models = len(set(found["label"]) | set(found["rival"]))
    assert len(pairs) == len(set(pairs)) == n_models * (n_models - 1) // 2
    assert not found["label"].str.contains("control").any()
    assert found["kappa"].between(-1, 1).all()
    known = found[found["low"].notna()]
    assert len(known) and known["kappa"].between(known["low"], known["high"]).all()


def test_kappa_of_images_in_groups_has_the_interval_of_groups() -> None:
    labels, scenes = np.arange(60) % 3, np.arange(60) // 3 % 10
    made = {("scenes", m, 0): answers(labels, 1.5, i) for i, m in enumerate((NETWORK, PATCH))}
    one, some = (decided(made, ("a", "b", "c"), groups) for groups in (None, {"scenes": scenes}))
    alone, grouped = (error_consistency.pairs(s, "scenes").iloc[0] for s in (one, some))
    right = [found.argmax(axis=1) == labels for _, found in made.values()]
    draws = error_consistency.kappa(*right, draw_weights(10, BOOTSTRAP_SEED)[:, scenes])
    assert alone["kappa"] == grouped["kappa"] == pytest.approx(draws[0])
    np.testing.assert_allclose(grouped[["low", "high"]].astype(float), ends_of(draws))
    assert grouped["low"] != alone["low"]


def test_kappa_of_several_seeds_has_the_interval_of_its_mean() -> None:
    labels = np.arange(60) % 3
    made = {
        ("scenes", m, seed): answers(labels, 1.0, 10 * seed + i)
        for i, m in enumerate((NETWORK, PATCH))
        for seed in (0, 1)
    }
    row = error_consistency.pairs(decided(made, ("a", "b", "c")), "scenes").iloc[0]
    right = {key[1:]: found.argmax(axis=1) == labels for key, (_, found) in made.items()}
    weights = draw_weights(60, BOOTSTRAP_SEED)
    draws = [error_consistency.kappa(right[NETWORK, s], right[PATCH, s], weights) for s in (0, 1)]
    mean = np.mean(draws, axis=0)
    assert row["kappa"] == pytest.approx(mean[0]) and row["n_seeds"] == 2
    np.testing.assert_allclose(row[["low", "high"]].astype(float), ends_of(mean))


def ends_of(draws: np.ndarray) -> np.ndarray:
    ends: np.ndarray = np.nanquantile(draws[1:], [0.025, 0.975])
    return ends


def test_two_models_that_are_always_right_have_no_kappa_and_the_figure_says_so() -> None:
    study = make_study()
    right = study.predictions.assign(predicted_label=study.predictions["label"])
    perfect = replace(study, predictions=right)
    assert error_consistency.pairs(perfect, "scenes")["kappa"].isna().all()
    figure = plugins.load("figures", "error_consistency").draw(perfect, "scenes")
    found = " ".join(text.get_text() for text in texts(figure))
    assert "defined where two models" in found


def test_one_model_alone_errs_with_nobody() -> None:
    lone = make_study(n_encoders=1, controls=False, cnns=(), classifiers=("logistic",))
    assert error_consistency.pairs(lone, "scenes").empty
    assert isinstance(error_consistency.pairs(lone, "scenes"), pd.DataFrame)
