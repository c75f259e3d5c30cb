"""Large scenes that few places tell the class of: a streamed BagNet against a shrunk image.

    .venv/bin/python benchmarks/highres.py                          # 1,024 px: minutes
    .venv/bin/python benchmarks/highres.py --side 16384 --train 24  # hours on two cores

A small BagNet is trained on those patches of an image that have most contrast: first in batches, so
that its batch norms learn their statistics, then streamed, a few patches of one image at a time. It
decides by the mean of its logits, or of the highest, or by attention. A ResNet-18 is trained on the
same images shrunk to 224 px. Both start from scratch and are scored on the same test images by AUC,
with intervals from draws of images. Then the BagNet is asked about other shares of the patches,
guided and at random: what becomes of AUC and time?
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise, product
from typing import Any

import cv2
import numpy as np
import torch
from scipy.special import softmax
from torch.nn import functional

from patchbench.auc import macro_auc
from patchbench.bootstrap import Estimate, draw_weights, estimate
from patchbench.datasets.scenes_highres import Dataset
from patchbench.networks.bagnet import SHORT_TRAINING_MOMENTUM, BagNet
from patchbench.networks.pixels import Scale
from patchbench.networks.settings import Plan
from patchbench.networks.weights import placed
from patchbench.networks.whole_image import WholeImageCnn
from patchbench.streaming import (
    LargeImages,
    Streaming,
    choose_patches,
    local_contrast,
    patch_boxes,
    predict_streamed,
    stream_fit,
)
from patchbench.streaming.pools import Pool, attention, log_mean_exp, top_places
from patchbench.windows import ArrayWindows, Windows

SHRUNK_PX, FIELD_PX, PATCH_PX = 224, 17, 33
POOLS: dict[str, Pool | None] = {
    "mean": None,
    "top": top_places(100),
    "exp": log_mean_exp(1.0),
    "attention": attention,
}
BAND_PX, MOST_KEPT_BYTES = 256, 4 << 30


def main() -> None:
    """Draw, train both, ask both, print."""
    args = asked()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    n_images = args.train + args.val + args.test
    told = {"seed": args.seed, "n_images": n_images, "n_telling": args.telling}
    scenes = Dataset(image_size_px=args.side, **told)
    labels = np.array([scenes.label(i) for i in range(n_images)])
    rows = np.split(np.arange(n_images), [args.train, args.train + args.val])
    print(f"{n_images} scenes of {args.side:,} px, {args.test} for the test", flush=True)
    opened = timed("drawing", lambda: kept(scenes))
    shrunk = timed("shrinking", lambda: np.stack([small(opened(i)) for i in range(n_images)]))

    weights = draw_weights(args.test, args.seed)
    scored = partial(macro_auc, labels[rows[2]], weights=weights)
    by_cnn = scored(of_cnn(args, shrunk, labels, rows))
    print(f"ResNet-18, {SHRUNK_PX} px: AUC {said(by_cnn)}", flush=True)
    scale = Scale.of(shrunk, rows[0])
    for name, probabilities in of_bagnet(args, opened, labels, rows, scale):
        drawn = scored(probabilities)
        above = said(drawn - by_cnn)
        print(f"BagNet, {name}: AUC {said(drawn)}, above ResNet-18 by {above}", flush=True)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak of the process {peak_mib:,.0f} MiB, PyTorch, ResNet and kept scenes included")


def asked() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=1024, help="px")
    parser.add_argument("--telling", type=int, default=8, help="bodies that tell the class")
    parser.add_argument("--train", type=int, default=64, help="images")
    parser.add_argument("--val", type=int, default=16, help="images")
    parser.add_argument("--test", type=int, default=48, help="images")
    parser.add_argument("--share", type=float, default=0.012, help="of the patches, in training")
    parser.add_argument("--look", type=int, default=12, help="patches of an image in a step")
    parser.add_argument("--shares", type=float, nargs="*", default=(0.25,), help="asked at the end")
    parser.add_argument("--width", type=int, default=8, help="channels of the BagNet's stem")
    parser.add_argument("--steps", type=int, default=300, help="of the first training")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--lr", type=float, default=0.003)
    parser.add_argument("--batch", type=int, default=4, help="images a step")
    parser.add_argument("--pool", choices=POOLS, default="mean", help="of the logits of places")
    parser.add_argument("--cnn-epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def of_cnn(
    args: argparse.Namespace, shrunk: np.ndarray, labels: np.ndarray, rows: list[np.ndarray]
) -> np.ndarray:
    """Probabilities of test by a CNN that is trained on shrunk images."""
    train, val, test = rows
    cnn = WholeImageCnn(epochs=args.cnn_epochs, seed=args.seed, threads=args.threads)
    fit = partial(cnn.fit, shrunk, train, labels[train], val, labels[val], 2)
    timed("training ResNet-18 on shrunk images", fit)
    return softmax(timed("asking ResNet-18", lambda: cnn.predict_logits(shrunk, test)), axis=1)


def of_bagnet(
    args: argparse.Namespace,
    opened: Callable[[int], Windows],
    labels: np.ndarray,
    rows: list[np.ndarray],
    scale: Scale,
) -> Iterator[tuple[str, np.ndarray]]:
    """Name and probabilities of test for each way to ask a BagNet that is trained on a share."""
    torch.set_num_threads(args.threads)
    n_outputs = 3 if args.pool == "attention" else 2
    model = BagNet(FIELD_PX, n_outputs, args.width, (1, 1, 1, 1), SHORT_TRAINING_MOMENTUM)
    model = placed(model, "cpu")
    images = map(opened, range(len(labels)))
    ask = partial(local_contrast, model, patch_px=PATCH_PX, scale=scale)
    guide = timed("contrast of patches", lambda: list(map(ask, images)))
    rng = np.random.default_rng(args.seed)

    def of(chosen: np.ndarray, share: float | None, guided: bool = True) -> LargeImages:
        def patches(i: int) -> np.ndarray:
            scores = guide[chosen[i]]
            guiding = scores if guided else None
            return choose_patches(len(scores), share or 1.0, args.seed + i, guiding)

        return LargeImages(lambda i: opened(chosen[i]), labels[chosen], patches if share else None)

    train, val, test = rows
    how = Streaming(scale, POOLS[args.pool], PATCH_PX)
    learnt = of(train, args.share)
    # few patches a look, others each time: many more steps in the same time
    taken = lambda i: np.sort(rng.permutation(learnt.patches(i))[: args.look])  # noqa: E731
    seen = LargeImages(lambda i: Recoloured(opened(train[i]), rng), labels[train], taken)
    warming = partial(warm_up, model, seen, scale, args, rng)
    timed("first training on batches of patches", warming)
    plan = Plan(epochs=args.epochs, batch_size=args.batch, lr=args.lr / 10)
    fitting = partial(stream_fit, model, seen, of(val, args.share), how, plan, args.seed)
    history = timed("streamed training on", fitting)
    losses = history[history["measure"] == "loss"].pivot(index="epoch", columns="split")["value"]
    print(losses.round(3).to_string(), flush=True)
    whole = replace(how, tile_px=None, max_memory_mib=256)
    for share, guided in [(args.share, True), *product(args.shares, (True, False)), (None, True)]:
        name = f"{share:.0%} of the patches, {'guided' if guided else 'random'}" if share else "all"
        asking = partial(predict_streamed, model, of(test, share, guided), how if share else whole)
        logits = timed(f"asking BagNet, {name}", asking)
        yield name, softmax(logits.numpy(), axis=1)


def warm_up(
    model: BagNet,
    images: LargeImages,
    scale: Scale,
    args: argparse.Namespace,
    rng: np.random.Generator,
) -> None:
    """Train on batches of patches, so that batch norms learn the statistics they stream with."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, total_steps=args.steps)
    model.train()
    for _ in range(args.steps):
        rows = rng.choice(len(images.labels), args.batch, replace=False)
        pixels, counts = [], []
        for row in rows:
            image = images.open(row)
            boxes = patch_boxes(model, args.side, args.side, PATCH_PX, images.patches(row))
            whole = [box for box in boxes if min(box[2:]) == PATCH_PX]
            pixels += [image.read(*box) for box in whole]
            counts.append(len(whole))
        found = model(scale.tensor(np.stack(pixels), "cpu")).split(counts)
        pool = POOLS[args.pool] if args.pool == "attention" else None
        logits = torch.stack([pool(part) if pool else part.mean(dim=0) for part in found])
        loss = functional.cross_entropy(logits, torch.from_numpy(images.labels[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def timed(what: str, work: Callable[[], Any]) -> Any:
    """Do it, and print the time that this process worked."""
    start = time.process_time()
    found = work()
    print(f"  {what}: {time.process_time() - start:,.0f} CPU s", flush=True)
    return found


def small(image: Windows) -> np.ndarray:
    """The image at 224 px, each pixel the mean of what it covers; read a band at a time."""
    sides = image.height_px, image.width_px
    edges = np.linspace(0, sides[0], SHRUNK_PX + 1).round().astype(int)
    rows = [
        cv2.resize(
            image.read(top, 0, bottom - top, sides[1]).mean(axis=0, dtype=np.float32)[None],
            (SHRUNK_PX, 1),
            interpolation=cv2.INTER_AREA,
        )
        for top, bottom in pairwise(edges)
    ]
    return np.concatenate(rows).round().astype(np.uint8)


def kept(scenes: Dataset) -> Callable[[int], Windows]:
    """Open the scenes: drawn once into a file without a name, or anew each time if it were huge."""
    side_px = scenes.image_size_px
    shape = scenes.n_images, side_px, side_px, 3
    if np.prod(shape) > MOST_KEPT_BYTES:
        return scenes.windows
    with tempfile.TemporaryFile() as file:
        drawn = np.memmap(file, np.uint8, "w+", shape=shape)
    for i in range(scenes.n_images):
        with scenes.windows(i) as image:
            for top in range(0, side_px, BAND_PX):
                height_px = min(BAND_PX, side_px - top)
                drawn[i, top : top + height_px] = image.read(top, 0, height_px, side_px)
    return lambda i: ArrayWindows(drawn[i])


class Recoloured(Windows):
    """An image with its channels in another order, and perhaps as a negative.

    Colours tell nothing here, but a network that sees few images learns them by heart.
    """

    def __init__(self, image: Windows, rng: np.random.Generator) -> None:
        self.height_px, self.width_px, self.n_channels = image.height_px, image.width_px, 3
        self._image, self._order, self._negative = image, rng.permutation(3), rng.random() < 0.5

    def read(self, *window: int) -> np.ndarray:
        """Pixels of a window, uint8 (height_px, width_px, 3)."""
        pixels = self._image.read(*window)[..., self._order]
        return 255 - pixels if self._negative else pixels

    def close(self) -> None:
        """Close the image."""
        self._image.close()


def said(draws: np.ndarray) -> str:
    """A value and its interval."""
    found: Estimate = estimate(draws)
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


if __name__ == "__main__":
    main()
