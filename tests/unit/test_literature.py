"""Published values stand beside ours, and claims are judged by paired intervals."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss

from patchbench import literature, plugins
from patchbench.literature import compared, published
from patchbench.literature_claims import _verdict, claims, training_ratio
from patchbench.paired import Difference
from patchbench.plan_figures import figures
from patchbench.report import published as told
from patchbench.study import Study
from unit._drawn import texts
from unit._synthetic_study import make_study

SIZES = "published_patch_sizes"
ENTRIES = {"resnet50": "resnet18", "bagnet33": "bagnet33-whole"}


@pytest.fixture(scope="module")
def study() -> Study:
    made = make_study(
        n_encoders=1, cnns=tuple(ENTRIES.values()), experiments=("channel_blackout",), n_classes=3
    )
    cnns = {"resnet18": {}, "bagnet33-whole": {"weights": "imagenet", "freeze": True}}
    return with_config(made, literature=ENTRIES, cnns=cnns)


def with_config(study: Study, **keys: Any) -> Study:
    return replace(study, run=study.run | {"config": study.run["config"] | keys})


def test_claims_on_images_of_one_group_cannot_be_told(study: Study) -> None:
    images = study.predictions[["dataset", "image_id"]].drop_duplicates()
    together = replace(study, images=images.assign(group="all of one scene"))
    for measure, place in (("accuracy", 0), ("log_loss", 5)):
        alone, grouped = (claims(own, "scenes")[place] for own in (study, together))
        assert alone.measure == grouped.measure == measure
        assert alone.found is not None and grouped.found is not None
        assert grouped.found.value == alone.found.value
        assert np.isnan([grouped.found.low, grouped.found.high]).all()
        assert grouped.verdict == "cannot be told"


def test_every_published_accuracy_and_loss_has_ours_beside_it(study: Study) -> None:
    frame = compared(study, "scenes")
    assert len(frame) == 16
    ours = frame.loc[frame["split"] == "test", ["found", "low", "high"]]
    assert len(ours) == 12 and ours.notna().all(axis=None)
    row = frame[(frame["what"] == "ResNet-50") & (frame["measure"] == "accuracy")].iloc[0]
    metrics = study.metrics[study.metrics["encoder"] == "resnet18"]
    assert row["found"] == metrics.loc[metrics["metric"] == "accuracy", "value"].item()
    assert row["entry"] == "resnet18"


def test_blackout_is_compared_as_the_study_did_it_without_rescaling(study: Study) -> None:
    frame = compared(study, "scenes").set_index(["what", "measure"])["found"]
    rows = study.experiments[
        (study.experiments["encoder"] == "bagnet33-whole")
        & (study.experiments["policy"] == "random")
        & (study.experiments["amount"] == 0.75)
        & (study.experiments["measure"] == "log_loss")
    ]
    plain = rows.loc[~rows["rescaled"].astype(bool), "value"].item()
    assert frame["BagNet-33, 75 % of the channels off", "log_loss"] == plain


def test_published_losses_on_train_stand_beside_those_of_the_kept_epochs(study: Study) -> None:
    frame = compared(study, "scenes")
    frame = frame[frame["split"] == "train"].set_index(["method", "measure"])
    rows = study.history[study.history["kept"] & (study.history["split"] == "train")]
    own = rows.loc[(rows["encoder"] == "resnet18") & (rows["measure"] == "loss"), "value"]
    loss = frame.loc[("resnet50", "log_loss")]
    assert (loss["value"], loss["found"]) == (0.2517, own.item())
    assert loss["n_found"] == sum(study.datasets["scenes"]["n_images"]["train"].values())
    for name in ENTRIES:  # measured nowhere
        assert np.isnan(frame.loc[(name, "accuracy"), "found"])
    assert "Accuracy on train images is not measured here" in words(study)


def test_images_are_counted_by_kind_of_row(study: Study) -> None:
    assert "n = 300 test images, 240 of them where channels are off, 339 train images." in words(
        study
    )
    few = replace(study, experiments=study.experiments.assign(n_images=40))
    assert (
        "Judged were the two networks on 60 test images and channels set to zero on 40 of them, "
        "each claim by its own 95 % interval, not adjusted for their number."
    ) in told.sentences(few, "scenes")
    all_off = replace(study, experiments=study.experiments.assign(n_images=300))
    assert "n = 300 test images, 339 train images." in words(all_off)
    none_off = replace(study, experiments=study.experiments[:0])
    assert "n = 300 test images, 339 train images." in words(none_off)
    assert "not measured in this study" in words(none_off)
    assert "not measured in this study" not in words(study)


def words(study: Study) -> str:
    figure = plugins.load("figures", "published_values").draw(study, "scenes")
    return " ".join(text.get_text() for text in texts(figure))


def test_the_interval_of_a_published_share_is_wilsons(study: Study) -> None:
    row = compared(study, "scenes").iloc[0]
    assert row["value"] == 0.9093
    # 387.4 of 426, by hand: [0.878, 0.933]
    np.testing.assert_allclose(
        row[["published_low", "published_high"]].tolist(), [0.878, 0.933], atol=5e-4
    )


@pytest.mark.parametrize(
    ("ends", "worse", "verdict"),
    [
        ((-0.05, -0.03, -0.01), True, "holds"),
        ((0.03, 0.01, 0.05), True, "does not hold"),
        ((-0.01, -0.03, 0.01), True, "cannot be told"),
        ((0.001, -0.01, 0.012), False, "holds"),
        ((-0.05, -0.08, -0.03), False, "does not hold"),
        ((-0.01, -0.03, 0.01), False, "cannot be told"),
    ],
)
def test_a_claim_is_judged_by_its_interval(
    ends: tuple[float, float, float], worse: bool, verdict: str
) -> None:
    assert _verdict(Difference(*ends, 0.1), "accuracy", worse=worse) == verdict
    if worse:  # a higher log-loss is worse
        turned = Difference(*(-end for end in ends), 0.1)
        turned = Difference(turned.value, turned.high, turned.low, 0.1)
        assert _verdict(turned, "log_loss", worse=True) == verdict


def test_networks_are_compared_on_the_same_images_one_by_one(study: Study) -> None:
    given = study.predictions
    missed = given["image_id"].between("image-003", "image-007")
    wrong = missed & (given["encoder"] == "bagnet33-whole")
    given = given.assign(predicted_label=given["predicted_label"].where(~wrong, -1))
    study = replace(study, predictions=given)
    rows = given[given["encoder"].isin(ENTRIES.values())]
    right = (rows["predicted_label"] == rows["label"]).groupby(rows["encoder"]).mean()
    found = claims(study, "scenes")[0].found
    assert found is not None
    assert found.value == pytest.approx(right["bagnet33-whole"] - right["resnet18"])
    assert found.low < found.value < found.high
    loss = next(claim.found for claim in claims(study, "scenes") if claim.measure == "log_loss")
    mean = {
        name: log_loss(own["label"], np.stack(list(own["probabilities"])), labels=range(3))
        for name, own in rows.groupby("encoder")
    }
    assert loss.value == pytest.approx(mean["bagnet33-whole"] - mean["resnet18"])
    shuffled = replace(study, predictions=study.predictions.sample(frac=1, random_state=0))
    assert claims(shuffled, "scenes")[0].found == found


def test_what_was_not_measured_is_said_to_be_missing(study: Study) -> None:
    bare = replace(
        study,
        experiments=study.experiments[:0],
        predictions=study.predictions[study.predictions["encoder"] != "resnet18"],
    )
    assert {claim.verdict for claim in claims(bare, "scenes")} == {"cannot be told"}
    assert "not measured" in " ".join(told.sentences(bare, "scenes"))
    frame = compared(bare, "scenes")
    assert frame.loc[frame["split"] == "test", "found"].isna().sum() == 8
    assert training_ratio(replace(study, costs=study.costs[:0]), "scenes") is None


def test_a_study_without_published_networks_says_nothing(study: Study) -> None:
    for chosen in ({}, {"resnet50": "resnet18"}):
        assert told.sentences(with_config(study, literature=chosen), "scenes") == []


def test_the_report_names_weights_claims_and_times(study: Study) -> None:
    text = " ".join(told.sentences(study, "scenes"))
    assert "ResNet-50 is resnet18, from scratch" in text
    assert (
        "BagNet-33 is bagnet33-whole, from ImageNet weights, the last layer alone trained" in text
    )
    assert "Without three quarters of its channels, drawn at random, it recognises fewer" in text
    assert "published \N{MINUS SIGN}0.197, here \N{MINUS SIGN}0.090" in text
    assert "4.7 times as long as ResNet-50 there" in text
    assert text.count("published ") == 10
    assert "accuracy of ResNet-50 0.925 on 375, of BagNet-33 0.915 on 375" in text


def test_values_on_imagenet_stand_apart_from_those_of_the_2019_study(study: Study) -> None:
    top5 = literature.published_patch_sizes()
    assert set(top5["method"]) == set(literature.TOP5_NAMES) and len(top5) == 7
    assert top5["value"].between(0.7, 0.95).all() and top5["source"].nunique() == 2
    assert not set(top5.index) & set(published().index)
    asked = with_config(study, literature=ENTRIES | {"patch_sizes": True})
    assert told.sentences(asked, "scenes") == told.sentences(study, "scenes")
    alone = with_config(study, literature={"patch_sizes": True})
    assert not told.sentences(alone, "scenes")
    both = {"published_values", SIZES}
    for made, expected in ((asked, both), (alone, {SIZES}), (study, {"published_values"})):
        assert both & {name for _, name in figures(made.run["config"])} == expected


def test_bagnets_are_placed_by_what_a_feature_sees() -> None:
    made = make_study(encoders=("bagnet9", "bagnet33", "sift"), n_classes=3, n_fusions=2)
    specs = {"bagnet9": {"type": "bagnet", "receptive_field_px": 9}, "bagnet33": {"type": "sift"}}
    frame = plugins.load("figures", SIZES).data(with_config(made, encoders=specs), "scenes")
    ours = frame[frame["where"] == "here"]
    assert ours[["encoder", "field_px"]].dropna().to_numpy().tolist() == [["bagnet9", 9.0]]
    assert set(ours["encoder"]) == {"bagnet9", "resnet18"}
    said = frame[frame["where"] == "published"].set_index("method")["value"]
    assert said["BagNet-9"] == 0.7039 and said["BagNet-33"].tolist() == [0.8699, 0.876]


def test_the_published_table_is_whole() -> None:
    frame = published()
    assert not frame.duplicated(["method", "policy", "amount", "measure"]).any()
    assert frame["source"].notna().all()
    assert set(frame["method"]) == set(literature.NAMES)


def test_networks_held_against_published_ones_all_have_their_confusions(study: Study) -> None:
    confusions = plugins.load("figures", "confusion_matrix")
    named = confusions.data(study, "scenes")
    assert list(named["encoder"].unique()) == ["bagnet17", *ENTRIES.values()]
    for name in ENTRIES.values():
        own = study.predictions[study.predictions["encoder"] == name]
        assert named.loc[named["encoder"] == name, "n"].sum() == len(own)
    assert len(confusions.draw(study, "scenes").axes) == 3
    alone = confusions.data(with_config(study, literature={}), "scenes")
    assert alone.groupby("patches")["encoder"].nunique().tolist() == [1, 1]


def test_learning_curves_show_accuracy_and_the_published_best_on_val(study: Study) -> None:
    curves = plugins.load("figures", "loss_curves")
    rows = curves.data(study, "scenes")
    assert set(rows["measure"]) == {"loss", "accuracy"}
    assert set(rows.loc[rows["measure"] == "accuracy", "split"]) == {"val"}
    for asked, said in ((ENTRIES, [0.9211, 0.9189]), ({}, [])):
        figure = curves.draw(with_config(study, literature=asked), "scenes")
        own = [ax for ax in figure.axes if "2019" in [text.get_text() for text in ax.texts]]
        lines = [line.get_ydata() for ax in own for line in ax.lines]
        assert sorted(y[0] for y in lines if len(y) == 2 and y[0] in said) == sorted(said)
        assert len(own) == len(said)


def test_a_method_without_accuracy_has_its_loss_alone(study: Study) -> None:
    losses = study.history[study.history["measure"] == "loss"]
    curves = plugins.load("figures", "loss_curves")
    both, alone = (curves.draw(own, "scenes") for own in (study, replace(study, history=losses)))
    assert len(both.axes) == 2 * len(alone.axes) == 6
    assert both.get_size_inches()[1] > alone.get_size_inches()[1]
