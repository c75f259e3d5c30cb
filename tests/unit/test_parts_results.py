"""What taking images apart did, as a table and a sentence."""

import numpy as np

from patchbench import parts_results
from unit._synthetic_study import make_study

EXPERIMENTS = ("spatial_blackout", "channel_blackout", "shuffle", "interaction")


def test_every_method_has_a_row_and_its_differences_come_from_the_table() -> None:
    study = make_study(n_encoders=2, experiments=EXPERIMENTS)
    rows = parts_results.table(study, "scenes")
    labels = [row["method"] for row in rows]
    assert len(labels) == len(set(labels))
    assert "resnet18 (whole image)" in labels
    source = study.experiments
    shuffled = source[
        (source["encoder"] == "resnet18")
        & (source["policy"] == "shuffled")
        & (source["amount"] == 2)
        & (source["measure"] == "auc_macro")
    ]
    own = rows[labels.index("resnet18 (whole image)")]
    ends = ("difference", "difference_low", "difference_high")
    np.testing.assert_allclose(own["changes"][0], [shuffled[end].iloc[0] for end in ends])
    assert np.isnan(own["changes"][2]).all(), "a CNN has no patches to drop"
    assert not np.isnan(own["auc"]).any()
    for row in rows:
        assert len(parts_results.cells(row)) == 1 + len(parts_results.HEAD)


def test_the_sentence_names_every_method_or_is_not_there() -> None:
    study = make_study(n_encoders=2, experiments=EXPERIMENTS)
    (sentence,) = parts_results.sentences(study, "scenes")
    assert sentence.startswith("With the four quarters of ")
    for row in parts_results.table(study, "scenes"):
        assert row["method"] in sentence
    assert parts_results.sentences(make_study(n_encoders=1), "scenes") == []
