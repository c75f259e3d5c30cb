"""What was downloaded is not asked for again because something else of its entry changed."""

import json
from pathlib import Path

from harness import ROOT, attempt

COMPLETE = "resources/digits/complete.json"


def told(folder: Path, *arguments: str, **settings: object) -> str:
    """Download the digits, which takes no network; what Snakemake says."""
    config = folder / "mine.yaml"
    entry = {"image_size_px": 32} | settings
    config.write_text(json.dumps({"study": "mine", "datasets": {"digits": entry}}))
    place = ("--directory", str(folder), "--nolock")
    done = attempt(ROOT, *place, COMPLETE, *arguments, overlay=config)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_download_is_due_again_only_if_it_would_bring_something_else(tmp_path: Path) -> None:
    told(tmp_path)
    assert (tmp_path / COMPLETE).is_file()
    other = {"image_size_px": 64, "val_fraction": 0.3, "resize": "pad", "max_bad_images": 0.5}
    assert "Nothing to be done" in told(tmp_path, "--dry-run", **other)
    assert "Downloading digits" in told(tmp_path, "--dry-run", max_download_gib=1)
