"""The report tells the finding, holds everything, asks for nothing, and runs nothing."""

import re
from argparse import Namespace
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from patchbench import results_table as results
from patchbench import tables
from patchbench.auc import macro_auc
from patchbench.decisions import PLACE
from patchbench.errors import UserError
from patchbench.report import finding
from patchbench.report.browser import browser_data
from patchbench.report.page import data_uri, render, result_rows
from patchbench.seed_means import SeedMeans
from patchbench.stages import report
from patchbench.study import Study
from unit._synthetic_study import make_study

NASTY = """<img src=x onerror=alert(1)> "q" & 'q' {{ 7*7 }} 🌷"""


class Page(HTMLParser):
    """Tags and attributes of a page, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page(study: Study, folder: Path) -> str:
    return render(study, folder)


def test_page_is_well_formed_and_refers_to_nothing_outside(tmp_path: Path) -> None:
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes" / "roc_curves.svg").write_text("<svg/>", encoding="utf-8")
    text = page(make_study(ways=("resnet50", "bagnet33-patches")), tmp_path)
    parsed = Page(text)
    assert parsed.open == []
    assert 'id="scaling"' in text and "longer than 600 s" in text
    for tag, attributes in parsed.tags:
        for name in ("src", "href"):
            target = attributes.get(name) or "#"
            assert target.startswith(("#", "data:")), f"{tag} {name}={target}"
    assert not re.search(r"https?://|@import|url\(", text)
    assert "default-src 'none'" in text
    assert "script-src 'sha256-" in text  # and so no other script


def test_names_that_look_like_code_are_shown_not_run(tmp_path: Path) -> None:
    study = make_study(
        n_classes=2, classes=(NASTY, "</script><script>alert(1)</script>"), browse=True
    )
    study.datasets["scenes"]["left_out"] = [{"image_id": NASTY, "reason": NASTY}]
    study.run["command"] = NASTY
    study.run["config"]["datasets"] = {NASTY: "</pre><script>alert(1)</script>"}
    study.methods["encoders"]["sift"]["summary"] = NASTY
    text = page(replace(study, name=NASTY), tmp_path)
    parsed = Page(text)
    assert all("onerror" not in attributes for _, attributes in parsed.tags)
    scripts = [attributes.get("type") for tag, attributes in parsed.tags if tag == "script"]
    assert scripts == ["application/json", None, None]
    assert "{{ 7*7 }} 🌷" in text


def test_browser_is_given_every_method_that_looks_at_patches_and_the_network() -> None:
    study = make_study(browse=True, n_seeds=2)
    data = browser_data(study)
    assert data is not None
    (scenes,) = data["datasets"]
    assert [image["id"] for image in scenes["images"]] == list(study.browser["scenes/ids"])
    labels = [method["label"] for method in scenes["methods"]]
    assert "resnet18 (whole image)" in labels and not any("majority" in text for text in labels)
    for method in scenes["methods"]:
        whole = method["patches"] is None
        assert (method["map"] is not None, method["votes"] is None) == (whole, whole)
        for rule in method["rules"]:
            assert len(rule["decided"]) == len(scenes["images"])
            assert rule["about"].startswith("" if whole else "A rule.")
            assert (rule["influence"] is None) == whole
            assert all(p >= q for p, q in zip(rule["probability"], rule["of_true"], strict=True))
    told = [rule["about"] for method in scenes["methods"] for rule in method["rules"]]
    assert any(" (from val)" in text for text in told)
    assert browser_data(make_study(n_encoders=1)) is None


def test_result_table_has_a_row_per_result_and_blanks_for_unknowns() -> None:
    study = make_study(n_seeds=2)
    metrics = study.metrics.copy()
    metrics.loc[metrics["encoder"] == "sift", ["value", "low", "high"]] = np.nan
    heads, rows = result_rows(replace(study, metrics=metrics))
    assert len(rows) == len(results.wide(study))
    names = [head["key"] for head in heads]
    assert "detector" not in names
    sift = next(r for r in rows if r["cells"][names.index("encoder")]["text"] == "sift")
    for key in ("image_auc", "interval", "accuracy"):
        assert sift["cells"][names.index(key)] == {"text": "", "sort": ""}
    assert "nan" not in {cell["text"] for row in rows for cell in row["cells"]}


def test_finding_names_best_method_network_chance_and_ratio() -> None:
    found = finding.findings(make_study())[0]
    text = " ".join(found.sentences)
    best = results.scores(make_study(), "scenes", "image").query("kind == 'patch'").iloc[0]
    assert f"{best['encoder']} with {best['classifier']}" in text
    assert f"{best['value']:.3f} (95 % interval {best['low']:.3f}" in text
    assert "resnet18 reaches AUC-ROC" in text
    assert "times the network's" in text
    assert re.search(r"jobs held at most [\d,]+ MiB, [\d.]+ times the network's [\d,]+ MiB", text)
    assert "Chance is 0.5; the best control, random_projection" in text
    assert "best of 15 combinations" in text


def test_finding_says_what_is_missing() -> None:
    study = make_study(n_encoders=1, cnns=(), controls=False, classifiers=("logistic",))
    text = " ".join(finding.findings(study)[0].sentences)
    assert "No whole-image network was run" in text
    assert "no control was run" in text
    empty = replace(study, metrics=tables.empty("metrics"))
    assert "No patch method has a result" in finding.findings(empty)[0].sentences[0]
    assert "scenes: no results" in finding.gaps(empty)


def test_the_interval_of_a_difference_of_means_excludes_zero_when_it_is_large() -> None:
    study = make_study(n_seeds=2)
    frame = results.scores(study, "scenes", "image").to_dict("records")
    network = next(row for row in frame if row["kind"] == "cnn")
    control = next(row for row in frame if row["encoder"] == "random_projection")
    means = SeedMeans(study, "scenes")
    found = means.difference(control, network)
    assert found is not None
    rows, auc, once = study.predictions[study.predictions["split"] == "test"], [], np.ones((1, 60))
    for method in (control, network):
        own = rows[(rows[PLACE] == [method[name] for name in PLACE]).all(axis=1)]
        one = [
            macro_auc(part["label"].to_numpy(), np.stack(list(part["probabilities"])), once)
            for _, part in own.groupby("seed")
        ]
        auc.append(np.mean(one))
    assert found.value == pytest.approx(auc[0] - auc[1])
    assert found.low < found.value < found.high < 0
    same = means.difference(network, network)
    assert same is not None and (same.value, same.p) == (0, 1) and np.isnan(same.low)
    assert means.difference(network, {**network, "encoder": "not there"}) is None


def test_without_common_predictions_no_interval_is_made_up() -> None:
    study = make_study()
    study = replace(study, predictions=tables.empty("all_predictions"))
    assert "no test can be made" in " ".join(finding.findings(study)[0].sentences)


def test_a_class_without_test_images_is_named_among_the_gaps() -> None:
    study = make_study()
    dataset, report = next(iter(study.datasets.items()))
    counts = report["n_images"] | {"test": dict.fromkeys(report["n_images"]["test"], 3)}
    counts["test"] |= {next(iter(counts["test"])): 0}
    changed = replace(study, datasets={dataset: report | {"n_images": counts}})
    assert f"{dataset}: no test image of {next(iter(counts['test']))}" in finding.gaps(changed)


def test_undefined_metrics_are_listed_among_the_gaps() -> None:
    study = make_study()
    metrics = study.metrics.assign(value=np.nan)
    assert any(
        "auc_macro is not defined" in gap for gap in finding.gaps(replace(study, metrics=metrics))
    )


def test_smaller_of_svg_and_png_is_embedded(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_bytes(b"s" * 10)
    (tmp_path / "a.png").write_bytes(b"p" * 5)
    assert (data_uri(tmp_path, "a") or "").startswith("data:image/png;base64,")
    assert data_uri(tmp_path, "b") is None


def test_a_figure_that_was_not_drawn_is_said_to_be_missing(tmp_path: Path) -> None:
    assert "This figure was not drawn." in page(make_study(n_encoders=1), tmp_path)


def test_stage_writes_the_same_page_twice_and_refuses_a_missing_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "open_study", lambda folder: make_study(n_encoders=1))
    out = tmp_path / "report.html"
    args = Namespace(study=tmp_path, figures=tmp_path, out=out)
    report.run(args)
    first = out.read_bytes()
    report.run(args)
    assert out.read_bytes() == first
    with pytest.raises(UserError, match="run the draw stage first"):
        report.run(Namespace(study=tmp_path, figures=tmp_path / "none", out=out))
