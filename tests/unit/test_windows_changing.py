"""A file that is not what it was when it was opened is told of, however it was changed."""

import os
from time import sleep

import pytest
import tifffile
from PIL import Image

from patchbench.errors import UserError
from patchbench.windows import open_windows
from patchbench.windows.tiff import TiffWindows
from unit._windowed import HEIGHT_PX, WIDTH_PX, pixels


@pytest.mark.parametrize("name", ["it.tif", "it.png"])
@pytest.mark.parametrize("how", ["changed", "removed"])
def test_a_file_that_changes_while_it_is_read_is_told(tmp_path, name, how):
    path = tmp_path / name
    Image.fromarray(pixels(3)).save(path)
    with open_windows(path) as image:
        image.read(0, 0, 5, 5)
        path.unlink()
        if how == "changed":
            Image.fromarray(pixels(3)[:40]).save(path)
        with pytest.raises(UserError, match=f"{name} was changed or removed while"):
            image.read(0, 0, 5, 5)


def rewritten(path, content: bytes) -> None:
    """Change a file in place, and set the time of that back."""
    times = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("name", ["it.tif", "it.png"])
def test_a_file_rewritten_in_place_under_its_old_time_is_told(tmp_path, name):
    path = tmp_path / name
    Image.fromarray(pixels(3)).save(path)
    with open_windows(path) as image:
        image.read(0, 0, 5, 5)
        sleep(0.02)  # the clock of a file system ticks a few times in that
        rewritten(path, path.read_bytes())
        with pytest.raises(UserError, match=f"{name} was changed or removed while"):
            image.read(0, 0, 5, 5)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_file_that_changes_during_the_last_window_is_told(tmp_path, monkeypatch, compression):
    path, read = tmp_path / "it.tif", TiffWindows._raw
    tifffile.imwrite(path, pixels(3), photometric="rgb", compression=compression)

    def changing(self, *box):
        found = read(self, *box)
        sleep(0.02)
        rewritten(path, path.read_bytes())
        return found

    monkeypatch.setattr(TiffWindows, "_raw", changing)
    with (
        open_windows(path) as image,
        pytest.raises(UserError, match=r"it\.tif was changed or removed while"),
    ):
        image.read(0, 0, HEIGHT_PX, WIDTH_PX)
