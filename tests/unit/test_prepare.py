"""Preparing a dataset: whole and in order, with an account of what was left out."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from patchbench import io
from patchbench.errors import UserError
from patchbench.stages import download, prepare
from patchbench.tables import SPLITS


def draw(path: Path, value: int, size_px: tuple[int, int] = (20, 16)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size_px, (value, 0, 0)).save(path)


@pytest.fixture
def root(tmp_path) -> Path:
    """Two classes of eight images each; the red value tells which image it is."""
    for k in range(8):
        draw(tmp_path / "data" / "cat" / f"{k}.png", k)
        draw(tmp_path / "data" / "dog" / f"{k}.png", 100 + k)
    return tmp_path / "data"


def run(root: Path, code: str = "", threads: int = 1, **settings: object) -> dict:
    spec = {"type": "image_folder", "root": str(root), "image_size_px": 12} | settings
    return prepare.prepare("mine", spec, root, root.parent / "out", code, threads)


def results(root: Path) -> tuple:
    out = root.parent / "out"
    table = io.read_table(out / "images.parquet", "images")
    return io.read_array(out / "images.npy"), io.read_array(out / "masks.npy"), table


def test_row_i_of_the_table_is_image_i(root) -> None:
    run(root)
    pixels, masks, table = results(root)
    assert pixels.shape == (16, 12, 12, 3)
    assert masks.shape == (0, 12, 12)
    expected = [int(Path(i).stem) + 100 * i.startswith("dog") for i in table["image_id"]]
    np.testing.assert_array_equal(pixels[:, 0, 0, 0], expected)
    assert (table["label"] == (table["class_name"] == "dog")).all()
    assert (table["source_width_px"] == 20).all()
    assert (table["group"] == table["image_id"]).all()


def test_the_report_counts_what_the_table_holds(root) -> None:
    report = run(root, image_size_px=18)
    _, _, table = results(root)
    assert report["n_images"] == {
        split: {
            name: int(((table["split"] == split) & (table["class_name"] == name)).sum())
            for name in ("cat", "dog")
        }
        for split in ("train", "val", "test")
    }
    assert report["n_enlarged"] == 16
    assert report["classes"] == ["cat", "dog"]
    assert report["left_out"] == []
    assert report["masks"] is False
    assert report["settings"]["val_fraction"] == 0.15
    assert io.read_json(root.parent / "out" / "dataset.json") == json.loads(json.dumps(report))


def test_same_settings_same_bytes_whatever_the_threads(root) -> None:
    names = ("images.npy", "masks.npy", "images.parquet", "dataset.json")
    run(root)
    first = [(root.parent / "out" / name).read_bytes() for name in names]
    run(root, threads=2)
    assert first == [(root.parent / "out" / name).read_bytes() for name in names]
    assert sorted(p.name for p in (root.parent / "out").iterdir()) == sorted(names)


def test_more_images_than_a_batch_stay_in_order(root, monkeypatch) -> None:
    monkeypatch.setattr(prepare, "_BATCH", 3)
    test_row_i_of_the_table_is_image_i(root)


def test_masks_follow_their_images(root) -> None:
    lines = ["file,class,mask"]
    for k in range(4):
        mask = np.zeros((16, 20), np.uint8)
        mask[:, : 5 * k] = 255
        Image.fromarray(mask).save(root / f"mask{k}.png")
        lines += [f"{name}/{k}.png,{name},mask{k}.png" for name in ("cat", "dog")]
    (root / "list.csv").write_text("\n".join(lines))
    report = run(root, csv="list.csv", resize="squash")
    _, masks, _ = results(root)
    assert report["masks"]
    assert masks.dtype == np.uint8
    np.testing.assert_array_equal(masks.mean(axis=(1, 2)), [0, 0.25, 0.5, 0.75] * 2)


def test_masks_of_some_images_only_are_refused(root) -> None:
    (root / "list.csv").write_text("file,class,mask\ncat/0.png,cat,cat/0.png\ndog/0.png,dog,\n")
    with pytest.raises(UserError, match="a mask for 1 of 2 images"):
        run(root, csv="list.csv")


def test_bad_images_are_left_out_and_reported(root) -> None:
    (root / "cat" / "2.png").write_bytes((root / "cat" / "1.png").read_bytes()[:40])
    (root / "dog" / "3.png").write_text("hello")
    draw(root / "dog" / "4.png", 104, (200, 5))
    report = run(root, max_bad_images=0.2)
    _, _, table = results(root)
    assert len(table) == 13
    assert [bad["image_id"] for bad in report["left_out"]] == [
        "cat/2.png",
        "dog/3.png",
        "dog/4.png",
    ]
    assert report["left_out"][1]["reason"] == "not an image"
    assert "200 x 5 px is smaller than min_source_px 8" in report["left_out"][2]["reason"]


def test_too_many_bad_images_stop_with_names_and_the_setting(root) -> None:
    for k in range(3):
        (root / "cat" / f"{k}.png").write_text("hello")
    with pytest.raises(
        UserError, match=r"at least 3 of 16 .*cat/0.png: not an image; cat/1.*max_bad_images 0.15"
    ):
        run(root, max_bad_images=0.15)
    assert list((root.parent / "out").iterdir()) == []


def test_a_failed_run_leaves_no_finished_mark_of_an_earlier_one(root) -> None:
    run(root)
    (root / "cat" / "0.png").write_text("hello")
    with pytest.raises(UserError, match="max_bad_images"):
        run(root)
    assert not (root.parent / "out" / "dataset.json").exists()


def test_identical_pictures_are_dealt_to_one_side(root) -> None:
    for k in range(8):
        draw(root / "cat" / f"{k}.png", 7)
    draw(root / "cat" / "other.png", 9)
    report = run(root, test_fraction=0.3)
    _, _, table = results(root)
    same = table[(table["class_name"] == "cat") & (table["image_id"] != "cat/other.png")]
    assert same["split"].nunique() == same["group"].nunique() == 1
    assert (report["n_duplicates"], report["n_duplicates_across_splits"]) == (7, 0)


def test_identical_pictures_across_a_given_split_are_counted(root) -> None:
    draw(root / "cat" / "1.png", 0)
    lines = [f"{c}/{k}.png,{c},{s}" for c in ("cat", "dog") for k, s in enumerate(SPLITS)]
    (root / "list.csv").write_text("\n".join(["file,class,split", *lines, "cat/5.png,cat,drop"]))
    report = run(root, csv="list.csv")
    assert report["n_duplicates_across_splits"] == 1
    assert report["left_out"] == [
        {"image_id": "cat/5.png", "reason": "set aside by the dataset's split"}
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat/0.png,cat,,\ncat/1.png,cat,,", "found 1 class"),
        (
            "cat/0.png,cat,train,\ndog/0.png,dog,test,",
            "'dog' is in the test split but not in train",
        ),
        ("cat/0.png,cat,train,\ndog/0.png,dog,,", "a split for 1 of 2 images"),
        (
            "cat/0.png,cat,train,a\ncat/1.png,cat,test,a\ndog/0.png,dog,train,\ndog/1.png,dog,test,",
            "group 'a' has images in test and train",
        ),
    ],
)
def test_splits_that_prove_nothing_are_refused(root, text: str, message: str) -> None:
    (root / "list.csv").write_text(f"file,class,split,group\n{text}\n")
    with pytest.raises(UserError, match=f"dataset 'mine'.*{message}"):
        run(root, csv="list.csv")


def test_a_class_whose_images_are_all_bad_is_told(root) -> None:
    draw(root / "eel" / "0.png", 0, (2, 2))
    with pytest.raises(UserError, match="class 'eel' has no usable image"):
        run(root, max_bad_images=0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size_px": 0}, "image_size_px is 0"),
        ({"image_size_px": "12"}, "image_size_px is '12'"),
        ({"resize": "stretch"}, "crop, squash, pad"),
        ({"max_bad_images": 2}, "max_bad_images is 2"),
        ({"val_fraction": 0.5, "test_fraction": 0.6}, "smaller than 1"),
        ({"sise": 3}, "no setting 'sise'"),
    ],
)
def test_settings_without_sense_are_refused(root, settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(root, **settings)


def test_a_download_that_is_not_complete_is_told(tmp_path) -> None:
    with pytest.raises(UserError, match="download it first: python -m patchbench download"):
        prepare.prepare("flowers5", {"image_size_px": 8}, tmp_path, tmp_path / "out")


def test_both_stages_run_from_their_arguments_on_the_bundled_digits(tmp_path) -> None:
    parser = argparse.ArgumentParser()
    download.add_arguments(parser)
    spec = json.dumps({"image_size_px": 16})
    folder = str(tmp_path / "digits")
    common = {"code": "abc", "threads": 1}
    args = parser.parse_args(["--dataset", "digits", "--spec", spec, "--out", folder])
    assert download.run(argparse.Namespace(**vars(args), **common)).n_items == 0
    assert io.read_json(tmp_path / "digits" / "complete.json")["dataset"] == "digits"
    parser = argparse.ArgumentParser()
    prepare.add_arguments(parser)
    out = str(tmp_path / "out")
    args = parser.parse_args(
        ["--dataset", "digits", "--spec", spec, "--source", folder, "--out", out]
    )
    work = prepare.run(argparse.Namespace(**vars(args), **common))
    assert (work.n_items, work.item) == (1797, "image")
    report = io.read_json(tmp_path / "out" / "dataset.json")
    assert report["classes"] == [str(k) for k in range(10)]
    assert report["n_enlarged"] == 1797
    assert sum(report["n_images"]["test"].values()) == pytest.approx(0.25 * 1797, abs=5)


def test_val_is_dealt_from_train_where_a_set_brings_train_and_test_alone(root) -> None:
    draw(root / "cat" / "7.png", 6)  # now the same picture as 6, so both stay on one side
    rows = [
        f"{n}/{k}.png,{n},{'test' if k < 2 else 'train'}" for n in ("cat", "dog") for k in range(8)
    ]
    (root / "list.csv").write_text("\n".join(["file,class,split", *rows]) + "\n")
    found = run(root, csv="list.csv", val_fraction=0.34)["n_images"]
    assert found["test"] == {"cat": 2, "dog": 2}
    assert found["val"] == {"cat": 2, "dog": 2}
    split = results(root)[2].set_index("image_id")["split"]
    assert split["cat/6.png"] == split["cat/7.png"]
    run(root, csv="list.csv", val_fraction=0.34)
    assert split.equals(results(root)[2].set_index("image_id")["split"])
