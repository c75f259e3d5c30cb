"""The real workflow in a temporary folder: whole, idle the second time, the same bytes again."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from harness import copy_project, due, planned, snakemake

from patchbench.tables_of_tests import TEST_COLUMNS

STUDY = "results/studies/tiny"
TABLES = {"metrics", "predictions", "roc", "history", "costs", *TEST_COLUMNS}
END = {"collect": 1, "draw": 1, "report": 1}
# all that knows one of the two encoders, SIFT
OF_SIFT = {
    "fit_encoder": 1,
    "encode": 2,
    "map_embeddings": 1,
    "fit_classifier": 2,  # the classifier and the control
    "classify": 4,
    "detect": 1,
    "background": 1,
    "experiment": 1,
    "sweep": 1,
    "fit_pooling": 1,
    "fuse": 2,
    "pool": 1,
} | END

VOTED = {
    f"results/scenes/p16s16/seed0/{run}"
    for run in ("sift/logistic", "sift/majority_class", "bagnet9/logistic", "bagnet9/own_head")
}


@pytest.fixture
def edited(finished: Path):
    """Edit a file of the project for one test; the old text comes back afterwards."""
    kept: dict[Path, str] = {}

    def edit(name: str, old: str, new: str) -> None:
        path = finished / name
        text = kept.setdefault(path, path.read_text())
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new, 1))

    yield edit
    for path, text in kept.items():
        path.write_text(text)


def table(finished: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(finished / STUDY / f"{name}.parquet")


def state(project: Path) -> dict[str, tuple[int, str]]:
    """When each result was written, and what it holds."""
    return {
        str(path.relative_to(project)): (
            path.stat().st_mtime_ns,
            sha256(path.read_bytes()).hexdigest(),
        )
        for path in (project / "results").rglob("*")
        if path.is_file()
    }


def fused(project: Path) -> dict[tuple[str, str], list[list[float]]]:
    """By run and fusion rule the probabilities it gave."""
    return {
        (folder, rule): [list(row) for row in rows["probabilities"]]
        for folder in VOTED
        for rule, rows in pd.read_parquet(project / folder / "predictions.parquet").groupby(
            "fusion"
        )
    }


def test_everything_promised_is_there(finished: Path) -> None:
    names = {p.name for p in (finished / STUDY).iterdir()}
    promised = {f"{name}.parquet" for name in TABLES} | {"run.json", "report.html", "figures"}
    assert promised <= names
    figures = list((finished / STUDY / "figures/scenes").iterdir())
    assert {p.suffix for p in figures} == {".svg", ".pdf", ".png", ".csv"}
    tables = [p for p in figures if p.suffix == ".csv"]
    assert all(len(pd.read_csv(path)) for path in tables)
    assert all(path.stat().st_size > 1000 for path in set(figures) - set(tables))


def test_every_run_has_every_metric_in_its_range(finished: Path) -> None:
    metrics = table(finished, "metrics")
    keys = ["patches", "encoder", "classifier", "fusion", "level", "metric"]
    assert not metrics.duplicated(keys).any()
    # of logistic regression; of own head and control, to which detectors do nothing; on embeddings
    assert len(metrics) == 7 * (2 * (1 + 4) + 2 * (1 + 2) + 2 * 1 + 1)  # and of the CNN
    highest = metrics["metric"].map({"log_loss": np.inf, "brier": 2.0}).fillna(1.0)
    assert metrics["value"].between(0, highest).all()
    known = metrics[metrics["reason"].isna()]
    assert (known["low"] <= known["value"]).all() and (known["value"] <= known["high"]).all()
    assert metrics.loc[metrics["reason"].notna(), ["low", "high"]].isna().all(axis=None)
    assert (metrics["n_images"] == metrics["n_images"].iloc[0]).all()


def test_the_control_is_at_chance(finished: Path) -> None:
    metrics = table(finished, "metrics")
    control = metrics[
        (metrics["classifier"] == "majority_class") & (metrics["metric"] == "auc_macro")
    ]
    np.testing.assert_allclose(control["value"], 0.5)


def test_no_image_is_in_two_splits_and_patches_follow_their_image(finished: Path) -> None:
    images = pd.read_parquet(finished / "results/scenes/images.parquet")
    assert images["image_id"].is_unique
    patches = pd.read_parquet(finished / "results/scenes/p16s16/index.parquet")
    assert patches["patch_id"].is_unique
    assert (patches.groupby("image_id")["split"].nunique() == 1).all()
    joined = patches.merge(images, on="image_id", suffixes=("", "_image"))
    assert (joined["split"] == joined["split_image"]).all()
    assert (joined["label"] == joined["label_image"]).all()
    assert (images["image_id"].to_numpy()[patches["image_row"]] == patches["image_id"]).all()


def test_row_i_is_patch_i(finished: Path) -> None:
    patches = pd.read_parquet(finished / "results/scenes/p16s16/index.parquet")
    images = np.load(finished / "results/scenes/images.npy", mmap_mode="r")
    folder = finished / "results/scenes/p16s16/pixels"
    shards = [np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))]
    for patch in patches.sample(50, random_state=0).itertuples():
        where = np.s_[patch.y_px : patch.y_px + 16, patch.x_px : patch.x_px + 16]
        np.testing.assert_array_equal(
            shards[patch.shard][patch.offset], images[patch.image_row][where]
        )


def test_every_stage_says_what_it_cost(finished: Path) -> None:
    costs = table(finished, "costs")
    assert set(costs["stage"]) >= {"prepare", "cut", "index", "fit_encoder", "encode", "cnn"}
    assert (costs["wall_s"] > 0).all()
    assert (costs["work_s"] <= costs["wall_s"] + 1e-6).all()
    assert (costs["peak_rss_mib"] > 10).all()


def test_the_report_stands_alone(finished: Path) -> None:
    page = (finished / STUDY / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["']?https?://""", page)
    assert "scenes" in page


def test_the_report_of_snakemake_holds_every_figure_with_its_caption(
    finished: Path, tmp_path: Path
) -> None:
    snakemake(finished, "--report", str(tmp_path / "snakemake.html"))
    page = (tmp_path / "snakemake.html").read_text(encoding="utf-8")
    figures = list((finished / STUDY / "figures/scenes").glob("*.svg"))
    assert len(figures) > 10
    for figure in figures:
        assert f"filename={figure.name};base64," in page
        caption = (finished / f"workflow/report/{figure.stem}.rst").read_text()
        assert json.dumps(caption.splitlines()[0])[1:-1] in page, figure.name


def test_from_scratch_gives_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    again = copy_project(tmp_path / "again")
    seed = "results/scenes/{}/seed0/{}"
    files = [
        f"{folder}/{name}.parquet"
        for folder in (
            seed.format("p16s16", "bagnet9/own_head"),
            seed.format("whole-image", "small"),
        )
        for name in ("predictions", "metrics", "roc")
    ]
    snakemake(again, *files)
    for name in files:
        assert (finished / name).read_bytes() == (again / name).read_bytes(), name


def test_an_edited_encoder_reruns_itself_and_what_descends_from_it(finished: Path, edited) -> None:
    edited(
        "src/patchbench/encoders/sift.py", "import numpy as np", "import numpy as np\n\nEDITED = 1"
    )
    assert due(finished) == OF_SIFT


def test_a_second_run_has_nothing_to_do_whatever_was_commented_or_touched(
    finished: Path, edited
) -> None:
    edited("src/patchbench/grid.py", "import numpy as np", "# said\nimport numpy as np")
    for path in (finished / "src").rglob("*.py"):
        path.touch()
    assert "Nothing to be done" in snakemake(finished, "--cores", "3")


def test_an_edited_fusion_reruns_what_fuses_only(finished: Path, edited) -> None:
    edited("src/patchbench/fusions/mean_logit.py", "np.float64", "np.float32")
    fused = {"fuse", "sweep", "pool"}  # rules on embeddings are compared with those on votes
    assert set(due(finished)) == {*fused, "collect", "draw", "report"}


def test_a_changed_rule_and_a_new_one_touch_nothing_but_decisions(
    finished: Path, tmp_path: Path
) -> None:
    project = Path(shutil.copytree(finished, tmp_path / "project", symlinks=True))
    before, rules = state(project), fused(project)
    chosen = "mean_probability, mean_logit, saliency_weight, gradcam_weight, abmil, max_probability"
    changed = "fusions={saliency_weight: {detector: low_variance}}"
    asked = ("--config", changed, f"benchmark={{fusions: [{chosen}]}}")
    decided = {f"{folder}/predictions.parquet" for folder in VOTED}
    snakemake(project, *decided, *asked)

    found = fused(project)
    assert found.keys() == rules.keys() | {(folder, "max_probability") for folder in VOTED}
    # detectors see the votes of all classifiers but the control and BagNet's own head
    judged = {(folder, "saliency_weight") for folder in VOTED if folder.endswith("logistic")}
    assert {rule for rule in rules if found[rule] != rules[rule]} == judged
    touched = {name for name, was in state(project).items() if before.get(name) != was}
    assert decided <= touched
    assert {str(Path(name).parent) for name in touched} == VOTED
    assert not {name for name in touched if Path(name).stem in ("classifier", "sweep")}
    rest = {"sweep": 2, "pool": 2}  # compared with what was decided
    assert due(project, *asked) == rest | END


def test_a_changed_stride_reruns_what_descends_from_the_patches(finished: Path) -> None:
    jobs = due(finished, "--config", "patches={p16s16: {stride_px: 8}}")
    of_bagnet = OF_SIFT | {"fit_encoder": 1, "explain_encoder": 2, "background": 2, "experiment": 2}
    both = Counter(OF_SIFT) + Counter(of_bagnet)
    # neither the images nor anything of the whole-image network
    assert jobs == both | {"cut": 2, "index": 1} | END


def test_a_new_encoder_leaves_the_others_alone(finished: Path) -> None:
    jobs, told = planned(
        finished,
        "--config",
        "encoders={fresh: {type: random_projection, dim: 8}}",
        "benchmark={encoders: [sift, bagnet9, fresh]}",
    )
    without_control = {"fit_classifier": 1, "classify": 2, "fuse": 1}  # SIFT has it already
    assert jobs == OF_SIFT | without_control
    assert sum(jobs.values()) == len(told)
    assert sorted(words for words in told if "fresh" not in words) == [
        "Collecting the tables of study tiny",
        "Drawing the figures of study tiny",
        "Writing the report of study tiny",
    ]


def test_published_weights_are_fetched_before_the_training(finished: Path) -> None:
    target = "results/scenes/whole-image/seed0/tuned/cnn.npz"
    tuned = "{type: resnet18, weights: imagenet, freeze: true}"
    asked = "--config", f"cnns={{tuned: {tuned}}}", "benchmark={cnns: [small, tuned]}"
    jobs = due(finished, target, *asked)
    assert jobs == {"fetch_weights": 1, "cnn": 1}


def test_a_deleted_folder_takes_its_descendants_only(finished: Path, tmp_path: Path) -> None:
    folder = finished / "results/scenes/p16s16/seed0/sift"
    folder.rename(tmp_path / "sift")
    try:
        jobs = due(finished)
    finally:
        (tmp_path / "sift").rename(folder)
    assert jobs == OF_SIFT


def test_a_damaged_shard_is_refused_and_named(finished: Path) -> None:
    path = next((finished / "results/scenes/p16s16/seed0/sift/embeddings").glob("*.npy"))
    whole, times = path.read_bytes(), path.stat()
    damaged = bytearray(whole)
    damaged[500] ^= 1
    path.write_bytes(damaged)
    try:
        output = _run_stage_on(finished, path)
    finally:
        path.write_bytes(whole)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert f"{path.name} is damaged (checksum differs)" in output


def _run_stage_on(finished: Path, embeddings: Path) -> str:
    folder = embeddings.parents[1] / "logistic"
    command = [sys.executable, "-m", "patchbench", "classify", "--classifier", "logistic"]
    command += ["--state", str(folder / "classifier.npz"), "--embeddings", str(embeddings)]
    command += ["--out", str(finished / "never.npy")]
    done = subprocess.run(
        command,
        cwd=finished,
        env={**os.environ, "PYTHONPATH": str(finished / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert not (finished / "never.npy").exists()
    return done.stderr
