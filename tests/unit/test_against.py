"""Any method of a study can be the one that the others are compared with."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from patchbench import method_tests
from patchbench.decisions import decisions, drawn
from patchbench.delong import delong_test
from patchbench.errors import UserError
from patchbench.stages import against
from unit._compared import OTHER, PATCH, answers, decided, several


@pytest.mark.parametrize("reference", [0, 1, 2])
def test_the_difference_of_two_methods_turns_with_them(reference: int) -> None:
    found = decisions(several(), "scenes")
    draws = [drawn(found, method) for method in found.methods]
    one, other = found.methods[reference], found.methods[reference - 1]
    forth, back = (
        method_tests.joint(rows[rows["measure"] == "auc_macro"]).set_index("encoder")
        for rows in (method_tests.tested(found, draws, each) for each in (one, other))
    )
    told, turned = (
        forth.loc[other.method["encoder"]],
        back.loc[one.method["encoder"]],
    )
    ends = [told["difference"], told["low"], told["high"], told["p"]]
    assert ends == pytest.approx(
        [-turned["difference"], -turned["high"], -turned["low"], turned["p"]], abs=1e-9
    )


def test_a_method_is_named_by_words_of_its_name() -> None:
    found = decisions(several(), "scenes")
    for method in found.methods:
        words = str(method.method["label"]).split()
        assert against.named(found, words) is method
    with pytest.raises(UserError, match="names 0 methods on scenes; give words of one of: "):
        against.named(found, ["no", "such"])


def test_all_others_stand_in_the_table_and_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = several()
    monkeypatch.setattr(against, "open_study", lambda folder: study)
    found = decisions(study, "scenes")
    name, path = str(found.methods[0].method["label"]), tmp_path / "tests.csv"
    arguments = against.argparse.Namespace(
        study=tmp_path, method=name.split(), csv=path, every_rule=False
    )
    assert against.answer(arguments) == 0
    printed = capsys.readouterr().out
    assert f"methods less {name}" in printed
    for method in found.methods[1:]:
        assert f"| {method.method['label']}" in printed
    written = pd.read_csv(path)
    assert set(written["reference_encoder"]) == {found.methods[0].method["encoder"]}


def test_any_two_rules_of_any_two_methods_can_be_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, rules = np.arange(60) % 2, ("mean_probability", "majority_vote")
    made = {
        ("scenes", (*method[:3], rule), 0): answers(labels, 1.5 - 0.3 * rank, 5 * rank + place)
        for place, method in enumerate((PATCH, OTHER))
        for rank, rule in enumerate(rules)
    }
    monkeypatch.setattr(against, "open_study", lambda folder: decided(made, ("a", "b")))
    words = [str(PATCH[1]), "majority_vote"]
    given = {"study": tmp_path, "method": words, "csv": tmp_path / "all.csv", "every_rule": True}
    assert against.answer(against.argparse.Namespace(**given)) == 0
    printed = capsys.readouterr().out
    assert "methods less sift, majority_vote" in printed
    assert "p of AUC: DeLong; of accuracy: McNemar" in printed
    rows = pd.read_csv(tmp_path / "all.csv")
    rows = rows[rows["measure"] == "auc_macro"].set_index(["encoder", "fusion"])
    own = made["scenes", (*PATCH[:3], "majority_vote"), 0][1][:, 1]
    for method in (PATCH, OTHER):
        for rule in rules:
            if (method, rule) != (PATCH, "majority_vote"):
                other = made["scenes", (*method[:3], rule), 0][1][:, 1]
                p = delong_test(labels, other, own).p
                assert rows.loc[(method[1], rule), "second_p"] == pytest.approx(p)
