"""Peak memory and overhead of streaming, each point in a process of its own.

    .venv/bin/python benchmarks/streaming.py                       # all: hours on two cores
    .venv/bin/python benchmarks/streaming.py --only memory --sides 2048 --width 8 --layers 1 1 1 1
    .venv/bin/python benchmarks/streaming.py --only overhead --task forward

`memory` streams a tiled TIFF of each side and prints what the process took at most, PyTorch
and the network included. `overhead` times streaming and the pass over the whole image in turn and
prints how many times longer streaming takes. Networks have random weights, which change neither.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

SIDES_PX = (2048, 10_000)
WHOLE_PX = 1024
TILE_OF_FILE_PX = 256
TASKS = ("forward", "train")
N_CLASSES = 1000


def main() -> None:
    """Run every point asked for, or be one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=("memory", "overhead"))
    parser.add_argument("--task", choices=TASKS, help="default: both")
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES_PX, help="px")
    parser.add_argument("--field", type=int, default=33, help="receptive field, px")
    parser.add_argument("--width", type=int, default=64, help="channels of the stem")
    parser.add_argument("--layers", type=int, nargs=4, default=(3, 4, 6, 3))
    parser.add_argument("--budget", type=float, default=512.0, help="max_memory_mib")
    parser.add_argument("--tile", type=int, help="px; default: what the budget allows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--point", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point:
        of_point(args)
        return
    print(f"BagNet-{args.field}, {args.width} channels, layers {tuple(args.layers)}", flush=True)
    tasks = [args.task] if args.task else TASKS
    if args.only != "overhead":
        for side_px in args.sides:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "image.tif"
                write(path, side_px)
                for task in tasks:
                    apart(["--task", task, "--point", str(path)])
    if args.only != "memory":
        for task in tasks:
            apart(["--task", task, "--point", "overhead"])


def apart(options: list[str]) -> None:
    """One point, in a process of its own."""
    subprocess.run([sys.executable, __file__, *sys.argv[1:], *options], check=True)


def write(path: Path, side_px: int) -> None:
    """Write a compressed picture of waves, tile by tile, so that it is never in memory whole."""

    def tiles() -> Iterator[np.ndarray]:
        at = np.arange(TILE_OF_FILE_PX)
        n = -(-side_px // TILE_OF_FILE_PX)
        for row, col in np.ndindex(n, n):
            y, x = at[:, None] + row * TILE_OF_FILE_PX, at + col * TILE_OF_FILE_PX
            waves = [np.sin(y / (5 + c)) * np.cos(x / (9 + c)) for c in range(3)]
            yield (127 + 120 * np.stack(waves, axis=-1)).astype(np.uint8)

    tile = (TILE_OF_FILE_PX, TILE_OF_FILE_PX)
    options = {"tile": tile, "photometric": "rgb", "compression": "zlib"}
    tifffile.imwrite(path, tiles(), shape=(side_px, side_px, 3), dtype=np.uint8, **options)


def of_point(args: argparse.Namespace) -> None:
    """Measure and print one line."""
    import torch
    from _in_turn import ratio

    from patchbench.networks.bagnet import BagNet
    from patchbench.networks.pixels import Scale
    from patchbench.networks.weights import placed
    from patchbench.streaming import stream_gradients, stream_logits
    from patchbench.windows import open_windows

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = placed(BagNet(args.field, N_CLASSES, args.width, args.layers), "cpu").eval()
    budget = {"max_memory_mib": args.budget, "tile_px": args.tile}

    def streamed(image, **options):
        if args.task == "forward":
            return stream_logits(model, image, **budget, **options)
        model.zero_grad()
        loss = lambda logits: logits.logsumexp(1).sum()  # noqa: E731
        return stream_gradients(model, image, loss, **budget, **options)

    def whole(image):
        with torch.set_grad_enabled(args.task == "train"):
            logits = model(image)
        if args.task == "train":
            model.zero_grad()
            logits.logsumexp(1).sum().backward()

    if args.point != "overhead":
        start = time.perf_counter()
        with open_windows(args.point) as image:
            size = f"{image.height_px:,} x {image.width_px:,} px"
            found = streamed(image, scale=Scale.imagenet())
        took = f"peak {peak_mib():,.0f} MiB, {time.perf_counter() - start:,.0f} s"
    else:
        image = torch.randn(3, WHOLE_PX, WHOLE_PX)
        last = image[None].contiguous(memory_format=torch.channels_last)
        size = f"{WHOLE_PX:,} x {WHOLE_PX:,} px"
        found = streamed(image)
        times = ratio(lambda: streamed(image), lambda: whole(last), args.rounds)
        took = f"{times:.2f} times as long as the whole image in one pass"
    tiles = f"{found.n_tiles} tiles of {found.tile_px} px, {found.redundant_work:.1%} done twice"
    print(f"  {args.task:8s} {size}: {took}; {tiles}", flush=True)


def peak_mib() -> float:
    """Largest resident set of this process so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main()
