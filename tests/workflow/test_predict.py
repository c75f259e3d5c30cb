"""What predict says of an image is what the run itself said of it, and bad input is told."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from harness import stage
from PIL import Image

from patchbench.__main__ import main
from patchbench.bags import softmax
from patchbench.errors import UserError
from patchbench.io import read_array, read_json, read_state, read_table, write_json, write_state
from patchbench.metrics import evaluate
from patchbench.origins import origin
from patchbench.prediction import open_pipeline

FUSIONS = {"mean_probability": {}, "position_weights": {}, "kin": {"type": "center_gaussian"}}
POOLINGS = {"embedding_mean": {}}
WHERE = {"patch_size_px": 32, "stride_px": 16, "edge": "drop"}
RUN = "results/scenes/fine/seed3/control/logistic"
CNN = "results/scenes/whole-image/seed3/small"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with results of a control, and its test images as PNG files."""
    root = tmp_path_factory.mktemp("it's a project")
    with pytest.MonkeyPatch.context() as patched:
        # late imports are made early only for the sake of measured times
        patched.setattr("patchbench.plugins.preload", lambda name: None)
        make_results(root)
    return root


def make_results(root: Path) -> None:
    run = root / RUN
    encoded, patches, dataset = run.parent, run.parents[2], run.parents[3]
    images, index = dataset / "images.npy", patches / "index.parquet"
    shard = "00000-of-00001.npy"
    pixels, embeddings = patches / "pixels" / shard, encoded / "embeddings" / shard
    spec = json.dumps({"type": "random_projection", "dim": 16})
    entry = {"encoder": "control", "spec": spec, "seed": 3}
    votes, seed = run / "patch_logits" / shard, {"seed": 3}
    shape = json.dumps({"image_size_px": 64, "n_images": 48})
    stage("prepare", dataset="scenes", spec=shape, source=dataset, out=dataset)
    stage("cut", images=images, shard=shard.removesuffix(".npy"), out=pixels.parent, **WHERE)
    part = pixels.with_suffix(".parquet")
    stage("index", parts=part, images=images, spec=json.dumps(WHERE), out=index)
    state, own = encoded / "encoder.npz", {"index": index, "images": images}
    stage("fit_encoder", **entry, **own, patch_size_px=32, pixels=pixels, out=state)
    stage("encode", **entry, state=state, images=images, pixels=pixels, out=embeddings)
    fit = {"index": index, "embeddings": embeddings}
    fitted = run / "classifier.npz"
    stage("fit_classifier", **fit, **seed, classifier="logistic", head="null", out=fitted)
    stage("classify", classifier="logistic", state=fitted, embeddings=embeddings, out=votes)
    table = dataset / "images.parquet"
    given = {"index": index, "patch_logits": votes, "calibration": "temperature"}
    stage("fuse", **given, table=table, fusions=json.dumps(FUSIONS), out=run)
    pooled, rules = encoded / "pooled", {"fusions": json.dumps(POOLINGS), "device": "cpu"}
    stage("fit_pooling", **fit, **seed, **rules, out=pooled / "pooling.npz")
    state = pooled / "pooling.npz"
    stage("pool", **fit, **seed, **rules, table=table, state=state, out=pooled)
    prepared = read_table(table, "images")
    for row in np.flatnonzero(prepared["split"] == "test"):
        path = root / f"{prepared['image_id'][row]}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(read_array(images)[row]).save(path)


def decided(run: Path, fusion: str, split: str = "test") -> pd.DataFrame:
    rows = read_table(run / "predictions.parquet", "predictions")
    return rows[(rows["fusion"] == fusion) & (rows["split"] == split)].set_index("image_id")


def ask(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[dict[str, Any]]]:
    status = main(["predict", *map(str, arguments), "--device", "cpu"])
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def the_images(project: Path) -> list[Path]:
    return sorted(path for path in project.glob("*/*.png") if path.parent.name != "out")


@pytest.mark.parametrize("fusion", ["mean_probability", "position_weights", "kin"])
def test_probabilities_are_those_of_the_run(
    project: Path, capsys: pytest.CaptureFixture[str], fusion: str
) -> None:
    run, images = project / RUN, the_images(project)
    status, lines = ask(capsys, run, *images, "--fusion", fusion)
    own, classes = decided(run, fusion), read_json(run.parents[3] / "dataset.json")["classes"]
    assert status == 0 and len(lines) == len(images) == len(own)
    for path, line in zip(images, lines, strict=True):
        expected = own.loc[f"{path.parent.name}/{path.stem}"]
        found = line["probabilities"]
        np.testing.assert_allclose(list(found.values()), expected["probabilities"], atol=1e-6)
        assert list(found) == classes and line["class"] == classes[expected["predicted_label"]]
        assert line["path"] == str(path) and line["n_patches"] == 9 and line["fusion"] == fusion
        assert line["calibration"]["method"] == "temperature"


def test_evidence_is_what_patches_vote(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, path = project / RUN, the_images(project)[0]
    _, [line] = ask(capsys, run, path, "--out", project / "out")
    index = read_table(run.parents[2] / "index.parquet", "patches")
    rows = index.index[index["image_id"] == f"{path.parent.name}/{path.stem}"]
    logits = read_array(run / "patch_logits/00000-of-00001.npy")[rows]
    votes = softmax(logits / line["calibration"]["temperature"])
    evidence = read_array(line["evidence"])
    assert evidence.dtype == np.float32 and evidence.shape == (3, 3, 6)
    np.testing.assert_allclose(evidence.reshape(9, 6), votes, atol=1e-6)
    with Image.open(line["map"]) as picture:
        assert picture.format == "PNG" and picture.width > 600
    assert {p.name for p in (project / "out").iterdir()} == {
        f"{path.name}.evidence.npy",
        f"{path.name}.evidence.png",
    }


def test_rules_on_embeddings_decide_as_in_their_run(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, path = project / RUN / "../pooled", the_images(project)[-1]
    _, [line] = ask(capsys, run, path)
    expected = decided(run, "embedding_mean").loc[f"{path.parent.name}/{path.stem}"]
    found = list(line["probabilities"].values())
    np.testing.assert_allclose(found, expected["probabilities"], atol=1e-6)
    with pytest.raises(UserError, match="leave --full-size out"):
        open_pipeline(run, full_size=True, device="cpu")
    asked = [str(run), str(path), "--out", str(project / "none"), "--device", "cpu"]
    assert main(["predict", *asked]) == 2
    assert "--out is for the votes of patches" in capsys.readouterr().err


@pytest.mark.parametrize("lost", ["write_array", "write_map"])
def test_a_disk_that_is_full_leaves_neither_array_nor_picture(
    project: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    lost: str,
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"patchbench.stages.predict.{lost}", full)
    asked = [str(project / RUN), str(the_images(project)[0]), "--out", str(tmp_path / "out")]
    assert main(["predict", *asked, "--device", "cpu"]) == 1
    assert "cannot be written to" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("taken", ["png", "npy"])
def test_a_folder_in_the_place_of_one_leaves_none_of_the_other(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], taken: str
) -> None:
    path, out = the_images(project)[0], tmp_path / "out"
    folder = out / f"{path.name}.evidence.{taken}"
    folder.mkdir(parents=True)
    asked = [str(project / RUN), str(path), "--out", str(out), "--device", "cpu"]
    assert main(["predict", *asked]) == 1
    told = capsys.readouterr().err
    assert "cannot be written to: Is a directory" in told and "Traceback" not in told
    assert list(out.rglob("*")) == [folder]


class Reddest:
    """A CNN that finds the first class the likelier, the redder the image is."""

    def __init__(self, entry: str, spec: dict[str, Any], **fixed: Any) -> None:
        assert (entry, spec) == ("small", {"width": 2})
        assert fixed == {"seed": 3, "device": "cpu", "threads": 1}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.bias = state["bias"]

    def predict_logits(self, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        found = np.zeros((len(rows), 6), np.float32) + self.bias
        found[:, 0] += images[rows].mean(axis=(1, 2))[:, 0] / 100
        return found


def test_a_cnn_sees_the_prepared_image(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, path = project / CNN, the_images(project)[0]
    told = {"stage": "cnn", "spec": {"width": 2}}
    write_state(run / "cnn.npz", {"bias": np.full(6, 2, np.float32)}, told)
    monkeypatch.setattr("patchbench.prediction.whole.open_cnn", Reddest)
    _, [line] = ask(capsys, run, path)
    with Image.open(path) as image:
        red = np.asarray(image)[..., 0].mean() / 100
    expected = np.exp(red) / (np.exp(red) + 5)
    assert next(iter(line["probabilities"].values())) == pytest.approx(expected, rel=1e-5)
    assert (line["fusion"], line["n_patches"], line["grid"]) == ("none", 0, None)
    # a TIFF above the limit of megapixels is brought to the same size by windows
    large, dataset = project / "large.tif", run.parents[2] / "dataset.json"
    with Image.open(path) as image:
        image.resize((640, 640), Image.Resampling.NEAREST).save(large)
    report = read_json(dataset)
    report["settings"]["max_image_megapixels"] = 0.01
    content = dataset.read_bytes()
    try:
        write_json(dataset, report, origin(dataset))
        _, [found] = ask(capsys, run, large)
    finally:
        dataset.write_bytes(content)
        large.unlink()
    assert found["probabilities"] == pytest.approx(line["probabilities"], abs=1e-3)
    assert (found["height_px"], found["width_px"]) == (64, 64)
    with pytest.raises(UserError, match="leave --fusion out"):
        open_pipeline(run, "mean_logit", device="cpu")
    with pytest.raises(UserError, match="leave --full-size out"):
        open_pipeline(run, full_size=True, device="cpu")


def test_the_rule_is_that_best_on_val_unless_named(project: Path) -> None:
    run = project / RUN
    on_val = {}
    for name in FUSIONS:
        rows = decided(run, name, "val")
        found = np.stack(rows["probabilities"].to_list())
        estimates = evaluate(rows["label"].to_numpy(), found, np.arange(len(rows)), seed=0)
        on_val[name] = estimates["auc_macro"].value
    chosen = open_pipeline(run, device="cpu").fusion
    assert on_val[chosen] == max(on_val.values())


def test_an_image_of_another_size_is_resized_as_the_dataset_was_or_left_alone(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, path = project / RUN, the_images(project)[0]
    large = project / "large.png"
    with Image.open(path) as image:
        image.resize((192, 128), Image.Resampling.NEAREST).save(large)
    _, [small] = ask(capsys, run, large)
    assert (small["height_px"], small["width_px"], small["grid"]) == (64, 64, [3, 3])
    _, [full] = ask(capsys, run, large, "--full-size")
    assert (full["height_px"], full["width_px"], full["grid"]) == (128, 192, [7, 11])
    assert full["n_patches"] == 77


def test_a_bad_image_is_named_and_the_others_are_classified(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, last = the_images(project)[0], the_images(project)[-1]
    no_image, tiny = project / "letter.png", project / "tiny.png"
    no_image.write_text("Dear Sir or Madam", encoding="utf-8")
    Image.new("RGB", (40, 20)).save(tiny)
    asked = [first, no_image, project / "gone.png", tiny, last]
    arguments = [str(project / RUN), *map(str, asked), "--full-size", "--device", "cpu"]
    assert main(["predict", *arguments]) == 1
    told = capsys.readouterr()
    assert [json.loads(line)["path"] for line in told.out.splitlines()] == [str(first), str(last)]
    for sentence in (
        f"{no_image}: not an image",
        f"{project / 'gone.png'}: no such file",
        f"{tiny}: 40 x 20 px is smaller than a patch of 32 px",
    ):
        assert sentence in told.err


def test_images_of_one_name_do_not_overwrite_each_other(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = the_images(project)[0], project / "other" / the_images(project)[0].name
    other.parent.mkdir()
    Image.new("RGB", (64, 64), "red").save(other)
    _, lines = ask(capsys, project / RUN, one, other, "--out", project / "twins")
    first, second = (read_array(line["evidence"]) for line in lines)
    assert not np.array_equal(first, second) and lines[0]["map"] != lines[1]["map"]


@pytest.mark.parametrize(
    ("folder", "fusion", "sentence"),
    [
        ("nowhere", None, "is no folder; give that of a run"),
        ("results", None, "holds no trained run; runs below it are .*fine/seed3/control"),
        ("empty", None, "holds no trained run; give one such as results/"),
        (RUN, "mean_probabilty", "Did you mean 'mean_probability'"),
    ],
)
def test_what_is_no_run_is_refused(
    project: Path, folder: str, fusion: str | None, sentence: str
) -> None:
    (project / "empty").mkdir(exist_ok=True)
    with pytest.raises(UserError, match=sentence):
        open_pipeline(project / folder, fusion, device="cpu")


def test_a_classifier_of_other_embeddings_or_classes_is_refused(project: Path) -> None:
    path = project / RUN / "classifier.npz"
    content, state, came_from = path.read_bytes(), read_state(path), origin(path)
    wrong = {
        "was not fitted on embeddings": {k: state[k][:5] for k in ("mean", "scale", "weights")},
        "tells 4 classes apart": {"weights": state["weights"][:, :4], "bias": state["bias"][:4]},
    }
    try:
        for sentence, arrays in wrong.items():
            write_state(path, state | arrays, came_from)
            with pytest.raises(UserError, match=sentence):
                open_pipeline(project / RUN, device="cpu")
        path.write_bytes(content[:-9])
        with pytest.raises(UserError, match="is damaged"):
            open_pipeline(project / RUN, device="cpu")
    finally:
        path.write_bytes(content)


def test_a_rule_that_asks_detectors_is_refused_and_never_chosen(project: Path) -> None:
    path = project / RUN / "fusions.json"
    content, came_from = path.read_bytes(), origin(path)
    came_from["spec"]["fusions"]["saliency_weight"] = {}
    try:
        write_json(path, read_json(path), came_from)
        assert open_pipeline(project / RUN, device="cpu").fusion in FUSIONS
        with pytest.raises(UserError, match="by what a detector says"):
            open_pipeline(project / RUN, "saliency_weight", device="cpu")
    finally:
        path.write_bytes(content)


def test_a_run_without_its_encoder_names_the_file(project: Path) -> None:
    encoder = project / RUN / "../encoder.npz"
    away = encoder.rename(encoder.with_name("away.npz"))
    try:
        with pytest.raises(UserError, match=r"encoder\.npz is missing"):
            open_pipeline(project / RUN, device="cpu")
    finally:
        away.rename(encoder)


def test_a_run_outside_results_is_refused(project: Path, tmp_path: Path) -> None:
    (tmp_path / "classifier.npz").write_bytes((project / RUN / "classifier.npz").read_bytes())
    with pytest.raises(UserError, match="lies outside a results folder"):
        open_pipeline(tmp_path, device="cpu")
