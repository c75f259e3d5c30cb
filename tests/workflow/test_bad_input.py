"""What a user gets wrong ends in one sentence that says what, where and the way out."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from harness import ROOT, attempt
from PIL import Image

ABSENT = "mps" if torch.cuda.is_available() else "cuda"
ROOT_NAME = 'it\'s "mine"; $(touch hacked)\n`touch hacked` -rf ü'
CLASSES = (
    "cat's",
    "-dog <b>\n$(touch hacked)",
    "汉字 🦊 e\N{COMBINING ACUTE ACCENT} \N{RIGHT-TO-LEFT OVERRIDE}שלום",
    "漢" * 85,  # 255 bytes, as many as a file system takes
)
FILES = ("-{} $(touch hacked)\n.png", "{} 汉字 🦊 e\N{COMBINING ACUTE ACCENT} שלום.png")
TOLERANT = ("--config", "max_bad_images=0.05")


def file_name(number: int) -> str:
    """Names of both kinds, and one as long as a file system takes."""
    name = FILES[number % 2].format(number)
    return name if number else f"{'ß' * ((255 - len(name.encode())) // 2)}{name}"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes of ten small photographs, and one that is none."""
    root, rng = tmp_path_factory.mktemp("photos") / ROOT_NAME, np.random.default_rng(0)
    for name in CLASSES:
        (root / name).mkdir(parents=True)
        for i in range(10):
            pixels = rng.integers(0, 256, (48, 56, 3), np.uint8)
            Image.fromarray(pixels).save(root / name / file_name(i))
    (root / "cat's" / "broken.jpg").write_text("<html>not an image</html>")
    return root


def run(
    folder: Path, root: Path | str, *settings: str, target: str = "results/mine/dataset.json"
) -> tuple[int, str]:
    """Run a study of a folder of images in a working directory; exit status and output."""
    config = folder / "mine.yaml"
    config.write_text(
        "study: mine\n"
        "datasets: {mine: {type: image_folder, image_size_px: 48, "
        f"root: {json.dumps(str(root))}}}}}\n"
        "benchmark: {datasets: [mine], encoders: [random_projection], cnns: []}\n"
    )
    done = attempt(
        ROOT,
        "--directory",
        str(folder),
        "--nolock",
        target,
        *settings,
        overlay=config,
    )
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def prepared(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory in which the photographs were prepared."""
    folder = tmp_path_factory.mktemp("prepared")
    status, output = run(folder, photos, *TOLERANT)
    assert status == 0, output
    return folder


def test_names_with_quotes_spaces_and_shell_signs_are_only_names(prepared: Path) -> None:
    images = pd.read_parquet(prepared / "results/mine/images.parquet")
    assert set(images["class_name"]) == set(CLASSES)
    assert set(images["image_id"]) == {f"{n}/{file_name(i)}" for n in CLASSES for i in range(10)}
    assert max(len(file_name(i).encode()) for i in range(10)) in (254, 255)
    assert not list(prepared.rglob("hacked"))


def test_a_study_of_such_names_runs_to_its_page(prepared: Path, photos: Path) -> None:
    target = "results/studies/mine/report.html"
    status, output = run(prepared, photos, *TOLERANT, target=target)
    assert status == 0, output
    page = (prepared / target).read_text(encoding="utf-8")
    assert "cat&#39;s" in page and "-dog <b>" not in page
    assert all(name in page for name in CLASSES[2:])
    told = (prepared / "results/studies/mine/figures/draw.log").read_text(encoding="utf-8")
    assert "missing from font" not in told and "findfont" not in told
    assert told.count("no font here has") <= 1  # none where there are such fonts
    metrics = pd.read_parquet(prepared / "results/studies/mine/class_metrics.parquet")
    assert set(metrics["class_name"]) == set(CLASSES)
    assert not list(prepared.rglob("hacked"))


def test_one_bad_image_among_many_is_reported_not_hidden(
    photos: Path, prepared: Path, tmp_path: Path
) -> None:
    assert "broken.jpg" in (prepared / "results/mine/dataset.json").read_text()
    status, output = run(tmp_path, photos)
    assert status == 1
    assert "broken.jpg" in output
    assert "max_bad_images" in output
    assert "Traceback" not in output
    assert f"{sys.executable} -m patchbench unfinished --configfile " in output


def test_a_new_photograph_is_noticed(photos: Path, prepared: Path) -> None:
    added = photos / "cat's" / "new.png"
    Image.new("RGB", (50, 50)).save(added)
    try:
        again = run(prepared, photos, *TOLERANT)
    finally:
        added.unlink()
    assert "Nothing to be done" not in again[1]
    assert "new.png" in "".join(
        pd.read_parquet(prepared / "results/mine/images.parquet")["image_id"]
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([f"device={ABSENT}"], f"device {ABSENT!r} was asked for but PyTorch finds none"),
        (
            [
                "datasets={mine: {type: image_folder, image_size_px: 48, root: /no/such folder}}",
                "benchmark={datasets: [mine]}",
            ],
            "/no/such folder",
        ),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    tmp_path: Path, settings: list[str], message: str
) -> None:
    project = ("--directory", str(tmp_path), "--nolock")
    done = attempt(ROOT, *project, "--config", *settings, overlay=None)
    assert done.returncode == 1
    assert message in done.stdout
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x: !!python/object/apply:os.system ['touch hacked']", "not valid JSON or YAML"),
        ("x: !!python/name:os.system", "of type builtin_function_or_method; give text"),
        (f"x: {60 * '['}{60 * ']'}", "or 50 within each other"),
        (
            "\n".join(
                ["a0: &a0 [x]", *(f"a{i}: &a{i} [{9 * f'*a{i - 1},'}]" for i in range(1, 12))]
            ),
            "more than 100,000 values",
        ),
    ],
    ids=["a call", "a function", "lists within lists", "references that multiply"],
)
def test_configs_that_would_do_more_than_set_something_are_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    config = tmp_path / "hostile.yaml"
    config.write_text(f"study: mine\n{text}\n")
    project = ("--directory", str(tmp_path), "--nolock", "--dry-run")
    done = attempt(ROOT, *project, overlay=config)
    assert done.returncode == 1
    assert message in done.stdout
    assert "Traceback" not in done.stdout
    assert not [path for path in tmp_path.iterdir() if path.name in ("hacked", "results")]
