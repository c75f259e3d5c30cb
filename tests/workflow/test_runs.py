"""The real workflow in a temporary folder: whole, idle the second time, the same bytes again."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from harness import copy_project, due, snakemake

STUDY = "results/studies/tiny"
TABLES = ("metrics.parquet", "predictions.parquet", "roc.parquet", "history.parquet")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the tiny study run to the end."""
    folder = copy_project(tmp_path_factory.mktemp("patchbench") / "it's a clone")
    snakemake(folder)
    return folder


@pytest.fixture
def edited(project: Path):
    """Edit a file of the project for one test; the old text comes back afterwards."""
    kept: dict[Path, str] = {}

    def edit(name: str, old: str, new: str) -> None:
        path = project / name
        text = kept.setdefault(path, path.read_text())
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new, 1))

    yield edit
    for path, text in kept.items():
        path.write_text(text)


def table(project: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(project / STUDY / f"{name}.parquet")


def test_everything_promised_is_there(project: Path) -> None:
    names = {p.name for p in (project / STUDY).iterdir()}
    promised = {*TABLES, "costs.parquet", "run.json", "report.html", "figures"}
    assert promised <= names
    figures = list((project / STUDY / "figures/scenes").iterdir())
    assert {p.suffix for p in figures} == {".svg", ".pdf", ".png", ".csv"}
    assert all(p.stat().st_size > 200 for p in figures)


def test_every_run_has_every_metric_in_its_range(project: Path) -> None:
    metrics = table(project, "metrics")
    keys = ["patches", "encoder", "classifier", "fusion", "level", "metric"]
    assert not metrics.duplicated(keys).any()
    assert len(metrics) == 7 * (5 * (1 + 5) + 1)  # 7 metrics x (5 runs x (patch + 5 rules) + CNN)
    highest = metrics["metric"].map({"log_loss": np.inf, "brier": 2.0}).fillna(1.0)
    assert metrics["value"].between(0, highest).all()
    assert (metrics["low"] <= metrics["value"]).all()
    assert (metrics["value"] <= metrics["high"]).all()
    assert (metrics["n_images"] == metrics["n_images"].iloc[0]).all()


def test_the_control_is_at_chance(project: Path) -> None:
    metrics = table(project, "metrics")
    control = metrics[
        (metrics["classifier"] == "majority_class") & (metrics["metric"] == "auc_macro")
    ]
    np.testing.assert_allclose(control["value"], 0.5)


def test_no_image_is_in_two_splits_and_patches_follow_their_image(project: Path) -> None:
    images = pd.read_parquet(project / "results/scenes/images.parquet")
    assert images["image_id"].is_unique
    patches = pd.read_parquet(project / "results/scenes/p32s16/index.parquet")
    assert patches["patch_id"].is_unique
    assert (patches.groupby("image_id")["split"].nunique() == 1).all()
    joined = patches.merge(images, on="image_id", suffixes=("", "_image"))
    assert (joined["split"] == joined["split_image"]).all()
    assert (joined["label"] == joined["label_image"]).all()
    assert (images["image_id"].to_numpy()[patches["image_row"]] == patches["image_id"]).all()


def test_row_i_is_patch_i(project: Path) -> None:
    patches = pd.read_parquet(project / "results/scenes/p32s16/index.parquet")
    images = np.load(project / "results/scenes/images.npy", mmap_mode="r")
    folder = project / "results/scenes/p32s16/pixels"
    shards = [np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))]
    for patch in patches.sample(50, random_state=0).itertuples():
        where = np.s_[patch.y_px : patch.y_px + 32, patch.x_px : patch.x_px + 32]
        np.testing.assert_array_equal(
            shards[patch.shard][patch.offset], images[patch.image_row][where]
        )


def test_every_stage_says_what_it_cost(project: Path) -> None:
    costs = table(project, "costs")
    assert set(costs["stage"]) >= {"prepare", "cut", "index", "fit_encoder", "encode", "cnn"}
    assert (costs["wall_s"] > 0).all()
    assert (costs["work_s"] <= costs["wall_s"] + 1e-6).all()
    assert (costs["peak_rss_mib"] > 10).all()


def test_the_report_stands_alone(project: Path) -> None:
    page = (project / STUDY / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["']?https?://""", page)
    assert "scenes" in page


def test_a_second_run_has_nothing_to_do(project: Path) -> None:
    assert "Nothing to be done" in snakemake(project)


def test_from_scratch_gives_the_same_bytes(project: Path, tmp_path: Path) -> None:
    again = copy_project(tmp_path / "again")
    seed = "results/scenes/{}/seed0/{}"
    files = [
        f"{folder}/{name}.parquet"
        for folder in (
            seed.format("p32s16", "bagnet17/logistic"),
            seed.format("whole-image", "resnet18"),
        )
        for name in ("predictions", "metrics", "roc")
    ]
    snakemake(again, *files)
    for name in files:
        assert (project / name).read_bytes() == (again / name).read_bytes(), name


def test_an_edited_encoder_reruns_itself_and_what_descends_from_it(project: Path, edited) -> None:
    edited(
        "src/patchbench/encoders/sift.py", "import numpy as np", "import numpy as np\n\nEDITED = 1"
    )
    jobs = due(project)
    assert jobs == {
        "fit_encoder": 1,
        "encode": 2,
        "map_embeddings": 1,
        "fit_classifier": 1,
        "classify": 2,
        "fuse": 1,
        "collect": 1,
        "assess": 1,
        "draw": 1,
        "report": 1,
    }


def test_a_comment_or_a_touched_file_reruns_nothing(project: Path, edited) -> None:
    edited("src/patchbench/grid.py", "import numpy as np", "# said\nimport numpy as np")
    for path in (project / "src").rglob("*.py"):
        path.touch()
    assert due(project) == {}


def test_an_edited_fusion_reruns_fusing_only(project: Path, edited) -> None:
    edited("src/patchbench/fusions/mean_logit.py", "np.float64", "np.float32")
    assert set(due(project)) == {"fuse", "collect", "assess", "draw", "report"}


def test_a_changed_stride_reruns_what_descends_from_the_patches(project: Path) -> None:
    jobs = due(project, "--config", "patches={p32s16: {stride_px: 8}}")
    assert "prepare" not in jobs
    assert "cnn" not in jobs
    assert jobs["cut"] == 2
    assert jobs["fit_encoder"] == 3


def test_a_new_encoder_leaves_the_others_alone(project: Path) -> None:
    jobs = due(
        project,
        "--config",
        "encoders={fresh: {type: random_projection, dim: 8}}",
        "benchmark={encoders: [tile2vec, sift, bagnet17, fresh]}",
    )
    assert jobs["fit_encoder"] == 1
    assert jobs["encode"] == 2
    assert "cut" not in jobs


def test_published_weights_are_fetched_before_the_training(project: Path) -> None:
    target = "results/scenes/whole-image/seed0/resnet18/cnn.npz"
    jobs = due(project, target, "--config", "cnns={resnet18: {weights: imagenet, freeze: true}}")
    assert jobs == {"fetch_weights": 1, "cnn": 1}


def test_a_deleted_folder_takes_its_descendants_only(project: Path, tmp_path: Path) -> None:
    folder = project / "results/scenes/p32s16/seed0/sift"
    folder.rename(tmp_path / "sift")
    try:
        jobs = due(project)
    finally:
        (tmp_path / "sift").rename(folder)
    assert jobs["fit_encoder"] == 1
    assert jobs["fuse"] == 1
    assert "cut" not in jobs


def test_a_damaged_shard_is_refused_and_named(project: Path) -> None:
    path = next((project / "results/scenes/p32s16/seed0/sift/embeddings").glob("*.npy"))
    whole, times = path.read_bytes(), path.stat()
    damaged = bytearray(whole)
    damaged[500] ^= 1
    path.write_bytes(damaged)
    try:
        output = _run_stage_on(project, path)
    finally:
        path.write_bytes(whole)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert f"{path.name} is damaged (checksum differs)" in output


def _run_stage_on(project: Path, embeddings: Path) -> str:
    folder = embeddings.parents[1] / "logistic"
    command = [sys.executable, "-m", "patchbench", "classify", "--classifier", "logistic"]
    command += ["--state", str(folder / "classifier.npz"), "--embeddings", str(embeddings)]
    command += ["--out", str(project / "never.npy")]
    done = subprocess.run(
        command,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert not (project / "never.npy").exists()
    return done.stderr
