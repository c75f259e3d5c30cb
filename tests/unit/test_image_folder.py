"""Folders and CSV files of the user: read as they are, or refused with a way out."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from patchbench import limits, plugins
from patchbench.datasets.image_folder import Dataset
from patchbench.errors import UserError
from patchbench.limits import Limits
from patchbench.records import BadImageError


def draw(path: Path, value: int = 100, size_px: int = 16) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size_px, size_px), (value, 0, 0)).save(path)


@pytest.fixture
def root(tmp_path) -> Path:
    for name in ("cat/b.png", "cat/a.png", "dog/deep/c.png"):
        draw(tmp_path / name)
    return tmp_path


def records(root: Path, **settings: object) -> list:
    return Dataset(image_size_px=8, root=str(root), **settings).records(Path("unused"))


def listed(root: Path, text: str) -> list:
    (root / "list.csv").write_text(text, encoding="utf-8")
    return records(root, csv="list.csv")


def test_a_folder_per_class_sorted_by_id(root) -> None:
    found = [(r.image_id, r.class_name, r.split, r.group) for r in records(root)]
    assert found == [
        ("cat/a.png", "cat", None, None),
        ("cat/b.png", "cat", None, None),
        ("dog/deep/c.png", "dog", None, None),
    ]


def test_hidden_files_and_loose_files_do_not_count(root) -> None:
    for name in ("cat/.DS_Store", "cat/.cache/x.png", "dog/Thumbs.db", ".git/x.png", "README.md"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("")
    assert len(records(root)) == 3


def test_train_val_and_test_folders_are_splits_not_classes(tmp_path) -> None:
    for name in ("train/cat/a.png", "valid/cat/b.png", "test/dog/c.png"):
        draw(tmp_path / name)
    found = [(r.class_name, r.split) for r in records(tmp_path)]
    assert found == [("dog", "test"), ("cat", "train"), ("cat", "val")]


def test_a_file_that_is_no_image_is_found_out_on_reading(root) -> None:
    (root / "cat" / "notes.txt").write_text("hello")
    with pytest.raises(BadImageError, match="not an image"):
        records(root)[2].read()


def test_a_tiff_of_counts_is_no_picture_of_brightness(root) -> None:
    counts = np.full((16, 16), 200, np.int32)  # of 65,535: it was nearly black
    tifffile.imwrite(root / "cat" / "0.tif", counts, photometric="minisblack")
    with pytest.raises(BadImageError, match="has pixels of type int32; save it with 8 or 16"):
        records(root)[0].read()


def test_an_image_above_the_limit_is_bad(root) -> None:
    few = limits.hold(Limits(max_image_megapixels=1e-4))
    with few, pytest.raises(BadImageError, match=r"0 megapixels, more than 0\.0001"):
        records(root)[0].read()


def test_a_csv_brings_class_split_and_group(root) -> None:
    found = listed(
        root,
        "\ufefffile,class,split,group\ncat/b.png,Katze,test,\ndog/deep/c.png,Hund,train,s1\n",
    )
    assert [(r.class_name, r.split, r.group) for r in found] == [
        ("Katze", "test", None),
        ("Hund", "train", "s1"),
    ]


def test_a_csv_brings_masks(root) -> None:
    mask = np.zeros((16, 16), np.uint8)
    mask[4:8] = 1
    Image.fromarray(mask).save(root / "mask.png")
    (record,) = listed(root, "file,class,mask\ncat/a.png,cat,mask.png\n")
    pixels, read = record.read()
    assert pixels.shape == (16, 16, 3)
    np.testing.assert_array_equal(read, mask == 1)


def test_a_mask_of_another_size_is_bad(root) -> None:
    draw(root / "mask.png", size_px=9)
    (record,) = listed(root, "file,class,mask\ncat/a.png,cat,mask.png\n")
    with pytest.raises(BadImageError, match=r"mask.png is 9 x 9 px, the image 16 x 16 px"):
        record.read()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\nx,y\n", r"no column file and no column class \(it has: name, label\)"),
        ("file,kind\nx,y\n", r"no column class \(it has: file, kind\)"),
        ("", "no column file"),
        ("file,class\ncat/z.png,cat\n", r"row 2: there is no file .*z.png"),
        ("file,class\n../secret.png,cat\n", "row 2: ../secret.png leads out of"),
        ("file,class\n/etc/passwd,cat\n", "row 2: /etc/passwd leads out of"),
        ("file,class,mask\ncat/a.png,cat,../m.png\n", "row 2: ../m.png leads out of"),
        ("file,class,mask\ncat/a.png,cat,m.png\n", r"there is no file .*m.png"),
        ("file,class\ncat/a.png,\n", "row 2: file or class is empty"),
        ("file,class\ncat/a.png,x\ncat/a.png,y\n", "row 3: cat/a.png is listed twice"),
        ("file,class,split\ncat/a.png,cat,exam\n", "row 2: split 'exam' is unknown"),
    ],
)
def test_a_bad_csv_is_refused_with_file_and_row(root, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        listed(root, text)


def test_a_csv_that_is_not_there_or_no_text_is_refused(root) -> None:
    with pytest.raises(UserError, match=r"list.csv does not exist"):
        records(root, csv="list.csv")
    with pytest.raises(UserError, match="not a CSV file in UTF-8"):
        records(root, csv="cat/a.png")


def test_a_missing_root_is_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="absent does not exist; set root"):
        records(tmp_path / "absent")


def test_a_root_without_class_folders_is_refused(tmp_path) -> None:
    draw(tmp_path / "loose.png")
    with pytest.raises(UserError, match="no class folders"):
        records(tmp_path)


def test_an_empty_class_folder_is_refused(root) -> None:
    (root / "eel").mkdir()
    with pytest.raises(UserError, match="eel has no image"):
        records(root)


@pytest.mark.parametrize("settings", [{"root": ""}, {"root": "x", "max_megapixels": 1}, {}])
def test_settings_without_sense_are_refused(settings: dict) -> None:
    with pytest.raises(UserError, match=r"datasets\.image_folder"):
        plugins.build("datasets", "image_folder", settings, image_size_px=8, seed=0)
