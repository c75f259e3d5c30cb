"""A memory budget is what streaming takes, measured in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from patchbench.networks.bagnet import BagNet
from patchbench.streaming import footprint
from patchbench.streaming.tiles import within

PEAK = Path("/proc/self/clear_refs")
# the second run of each is measured: what is made on the first, gradients too, is made
MEASURE = """
import ctypes, gc, json, sys, torch
from functools import partial
from patchbench.networks.bagnet import BagNet
from patchbench.networks.weights import placed
from patchbench.streaming import stream_gradients, stream_logits
from patchbench.streaming.tiles import within

torch.set_num_threads(1)

def memory_mib(of):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(of)) / 1024

def growth_mib(work):
    work()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    open("/proc/self/clear_refs", "w").write("5")
    before = memory_mib("VmRSS")
    work()
    return memory_mib("VmHWM") - before

found = []
for field_px, width, budget_mib, training in json.loads(sys.argv[1]):
    model = placed(BagNet(field_px, 4, width, (2, 1, 1, 1)), "cpu").eval()
    side_px = within(model, 2_000, 2_000, budget_mib, training)
    # two tiles side by side, as large as the budget allows
    image = torch.zeros(3, side_px, 2 * side_px - field_px + 8)
    ask = partial(stream_gradients, loss=torch.sum) if training else stream_logits
    told = []
    work = lambda: told.append(ask(model, image, max_memory_mib=budget_mib))
    found.append(growth_mib(work))
    assert {(one.tile_px, one.n_tiles) for one in told} == {(side_px, 2)}
print(json.dumps(found))
"""


# the peak of a whole process, PyTorch included
STREAM = """
import json, sys, torch
from patchbench.networks.bagnet import BagNet
from patchbench.networks.pixels import Scale
from patchbench.networks.weights import placed
from patchbench.streaming import stream_gradients, stream_logits
from patchbench.windows import open_windows

torch.set_num_threads(1)
path, training = json.loads(sys.argv[1])
model = placed(BagNet(17, 4, 4, (1, 1, 1, 1), norm="channels"), "cpu").eval()
with open_windows(path) as image:
    options = {"tile_px": 161, "scale": Scale.imagenet()}
    if training:
        stream_gradients(model, image, torch.sum, **options)
    else:
        stream_logits(model, image, **options)
lines = open("/proc/self/status").read().splitlines()
print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024)
"""


def in_a_process(program: str, asked: object) -> Any:
    """What a program prints, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(asked)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": "src", "PATH": "/usr/bin:/bin"},
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(not PEAK.exists(), reason="only Linux tells the peak since a moment")
@pytest.mark.parametrize("training", [False, True])
def test_sixteen_times_the_pixels_take_the_image_s_own_bytes_and_less_than_a_tenth_more(
    tmp_path, training
):
    peaks_mib, path, sides_px = [], tmp_path / "it.tif", (512, 2048)
    for side_px in sides_px:
        pixels = np.random.default_rng(0).integers(0, 256, (side_px, side_px, 3), np.uint8)
        options = {"photometric": "rgb", "compression": "zlib", "tile": (256, 256)}
        tifffile.imwrite(path, pixels, **options)
        peaks_mib.append(in_a_process(STREAM, [str(path), training]))
    own_mib = 3 * (sides_px[1] ** 2 - sides_px[0] ** 2) / 2**20
    assert peaks_mib[1] < 1.1 * peaks_mib[0] + own_mib, peaks_mib


@pytest.mark.skipif(not PEAK.exists(), reason="only Linux tells the peak since a moment")
def test_streaming_takes_the_budget_and_no_more():
    asked = [(33, 16, 30, False), (17, 16, 30, True)]
    found = in_a_process(MEASURE, asked)
    for (*network, budget_mib, training), peak_mib in zip(asked, found, strict=True):
        assert 0.4 * budget_mib < peak_mib <= budget_mib, (network, training, peak_mib)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("budget_mib", [20, 60, 333, 2000])
def test_the_tile_is_the_largest_within_the_budget(training, budget_mib):
    model = BagNet(17, 4, 8, (1, 2, 1, 1))
    needed = footprint.training_mib if training else footprint.inference_mib
    side_px = within(model, 20_000, 30_000, budget_mib, training)
    assert needed(model, side_px, side_px) <= budget_mib < needed(model, side_px + 8, side_px + 8)


def test_a_tile_is_no_larger_than_the_image():
    model = BagNet(17, 4, 8, (1, 1, 1, 1))
    assert within(model, 100, 60, 10_000, training=False) == 97
    # a long, narrow image takes longer tiles than a square one from the same memory
    assert within(model, 5_000, 60, 40, False) > within(model, 5_000, 5_000, 40, False)
