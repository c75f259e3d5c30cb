"""Large scenes that few places tell the class of: a streamed BagNet against a shrunk image.

    .venv/bin/python benchmarks/highres.py               # 2,048 px
    .venv/bin/python benchmarks/highres.py --side 4096   # 16 minutes of one core, 6 GB on disk

A small BagNet is trained on those patches of an image that have most contrast: first
in batches, so that its batch norms learn their statistics, then streamed, a few patches of one
image at a time. It decides by the mean of its logits, or of the highest, or by attention. A
ResNet-18 is trained on the same images shrunk to 224 px. Both start from scratch, see the images
recoloured, turned and mirrored, end with their last step, and are asked about the same test images:
AUC and accuracy, with intervals from draws of images, processor time, and the memory that it takes.

The BagNet is asked about all of an image, streamed, and about shares of the patches, guided and at
random. Time and memory of a guided share are with the pass that measures contrast, those of the
ResNet with shrinking.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from _asking import Answers, Asking, Clock, learnt, timed
from _large_scenes import Varied, copies_of, kept, shrunk
from torch import Tensor
from torch.nn import functional

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
    count_patches,
    local_contrast,
    patch_boxes,
    predict_streamed,
    stream_fit,
)
from patchbench.streaming.pools import Pool, attention, log_mean_exp, top_places, top_share
from patchbench.windows import Windows

FIELD_PX, PATCH_PX, TILE_MIB, ATTENTION = 17, 33, 256, "attention"
POOLS: dict[str, Pool] = {
    "mean": top_share(1.0),
    "top": top_places(100),
    "exp": log_mean_exp(1.0),
    ATTENTION: attention,
}


@dataclass(frozen=True)
class Case:
    """What both networks learn from and are asked about.

    Attributes
    ----------
    args : Namespace
    opened : callable
        Opens an image.
    labels : int array
        Of all images.
    train, val, test : int array
        Which images.
    """

    args: argparse.Namespace
    opened: Callable[[int], Windows]
    labels: np.ndarray
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray

    def shrunk(self, rows: np.ndarray) -> np.ndarray:
        """Images at 224 px."""
        return np.stack([shrunk(self.opened(row)) for row in rows])


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
    case = Case(args, timed("drawing", lambda: kept(scenes)), labels, *rows)
    small = timed("shrinking train and val", lambda: case.shrunk(np.concatenate(rows[:2])))

    asking = Asking(labels[case.test], args.seed)
    cnn = trained_cnn(case, small)
    numbers = np.arange(args.test)
    ask_cnn = lambda: {"224 px": cnn.predict_logits(case.shrunk(case.test), numbers)}  # noqa: E731
    asking.about("ResNet-18", ask_cnn)
    model = placed(bagnet_of(args), "cpu")
    scale = Scale.of(small, np.arange(args.train))
    train_bagnet(case, model, scale)
    ask_bagnet(case, model, scale, asking)


def asked() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=2048, help="px")
    parser.add_argument("--telling", type=int, default=8, help="bodies that tell the class")
    parser.add_argument("--train", type=int, default=64, help="images")
    parser.add_argument("--val", type=int, default=16, help="images")
    parser.add_argument("--test", type=int, default=48, help="images")
    parser.add_argument("--share", type=float, default=0.012, help="of the patches, in training")
    parser.add_argument("--look", type=int, default=20, help="patches of an image in a step")
    parser.add_argument("--anywhere", type=int, default=0, help="of these, from the whole image")
    parser.add_argument("--shares", type=float, nargs="*", default=(0.25,), help="asked at the end")
    parser.add_argument("--width", type=int, default=8, help="channels of the BagNet's stem")
    parser.add_argument("--steps", type=int, default=900, help="of the BagNet's first training")
    parser.add_argument("--epochs", type=int, default=1, help="of its streamed training")
    parser.add_argument("--lr", type=float, default=0.004)
    parser.add_argument("--batch", type=int, default=10, help="images a step")
    parser.add_argument("--pool", choices=POOLS, default="top", help="of the logits of places")
    parser.add_argument("--cnn-copies", type=int, default=4, help="of a train image, recoloured")
    parser.add_argument("--cnn-epochs", type=int, default=15, help="over these copies")
    parser.add_argument("--cnn-batch", type=int, default=8, help="images a step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def trained_cnn(case: Case, small: np.ndarray) -> WholeImageCnn:
    """A CNN trained on recoloured copies of shrunk images, train first in ``small``, then val."""
    args, n_train = case.args, len(case.train)
    copies = copies_of(small[:n_train], args.cnn_copies, np.random.default_rng(args.seed))
    labels = np.repeat(case.labels[case.train], args.cnn_copies)
    cnn = WholeImageCnn(
        epochs=args.cnn_epochs,
        batch_size=args.cnn_batch,
        quarter_turns=True,
        seed=args.seed,
        threads=args.threads,
    )
    none = np.arange(0)
    fit = partial(cnn.fit, copies, np.arange(len(copies)), labels, none, none, 2)
    timed("training ResNet-18 on shrunk images", fit)
    steps = args.cnn_epochs * max(1, len(copies) // args.cnn_batch), args.cnn_epochs * len(copies)
    learnt("ResNet-18, train", *steps, cnn.predict_logits(copies, np.arange(len(copies))), labels)
    held = cnn.predict_logits(small, np.arange(n_train, len(small)))
    learnt("ResNet-18, val", *steps, held, case.labels[case.val])
    return cnn


def bagnet_of(args: argparse.Namespace) -> BagNet:
    """The BagNet, one output more where places say how much they count."""
    n_outputs = 3 if args.pool == ATTENTION else 2
    return BagNet(FIELD_PX, n_outputs, args.width, (1, 1, 1, 1), SHORT_TRAINING_MOMENTUM)


def train_bagnet(case: Case, model: BagNet, scale: Scale) -> None:
    """Train it in place, in batches of patches and then streamed."""
    args, rng = case.args, np.random.default_rng(case.args.seed)
    rows = np.concatenate([case.train, case.val])
    measure = lambda: [contrast(case, model, scale, row) for row in rows]  # noqa: E731
    guide = timed("contrast of the patches of train and val", measure)
    best = [choose_patches(len(of), args.share, args.seed, of) for of in guide]
    n_all = len(guide[0])

    def some(i: int) -> np.ndarray:
        """A few patches of most contrast and a few from anywhere, others each time."""
        few = rng.permutation(best[i])[: args.look - args.anywhere]
        return np.unique(np.concatenate([few, rng.choice(n_all, args.anywhere, replace=False)]))

    how = Streaming(scale, POOLS[args.pool], PATCH_PX)
    opened = lambda i: Varied(case.opened(rows[i]), rng)  # noqa: E731
    seen = LargeImages(opened, case.labels[case.train], some)
    timed("first training on batches", partial(warm_up, model, seen, scale, args, rng))
    plan = Plan(epochs=args.epochs, batch_size=args.batch, lr=args.lr / 10)
    timed("streamed training", partial(stream_fit, model, seen, None, how, plan, args.seed))
    n_steps = args.steps + args.epochs * (args.train // args.batch)
    n_looks = args.steps * args.batch + args.epochs * args.train
    guided = LargeImages(lambda i: case.opened(rows[i]), case.labels[rows], lambda i: best[i])
    logits = predict_streamed(model, guided, how).numpy()
    for name, part in (("train", np.s_[: args.train]), ("val", np.s_[args.train :])):
        learnt(f"BagNet, {name}", n_steps, n_looks, logits[part], case.labels[rows[part]])


def contrast(case: Case, model: BagNet, scale: Scale, row: int) -> np.ndarray:
    """Contrast of every patch of an image."""
    with case.opened(row) as image:
        return local_contrast(model, image, PATCH_PX, scale)


def warm_up(
    model: BagNet,
    images: LargeImages,
    scale: Scale,
    args: argparse.Namespace,
    rng: np.random.Generator,
) -> None:
    """Train on batches of patches, so that batch norms learn the statistics they stream with."""
    assert images.patches is not None
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, total_steps=args.steps)
    # rules that let the highest places speak learn more slowly: the mean begins
    pool = POOLS[args.pool if args.pool == ATTENTION else "mean"]
    model.train()
    for _ in range(args.steps):
        rows = rng.choice(len(images.labels), args.batch, replace=False)
        pixels, counts = [], []
        for row in rows:
            image: Any = images.open(row)
            boxes = patch_boxes(model, args.side, args.side, PATCH_PX, images.patches(row))
            whole = [box for box in boxes if min(box[2:]) == PATCH_PX]
            pixels += [image.read(*box) for box in whole]
            counts.append(len(whole))
        found = model(scale.tensor(np.stack(pixels), "cpu")).split(counts)
        logits = torch.stack([pool(part) for part in found])
        loss = functional.cross_entropy(logits, torch.from_numpy(images.labels[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def ask_bagnet(case: Case, model: BagNet, scale: Scale, asking: Asking) -> None:
    """Ask about all of an image and about shares of it, each by every rule that joins places."""
    args, labels = case.args, case.labels[case.test]
    rules = list(dict.fromkeys([args.pool, *(name for name in POOLS if name != ATTENTION)]))
    n_all = count_patches(model, args.side, args.side, PATCH_PX)

    def by_all_rules(evidence: Tensor) -> Tensor:
        of = [evidence if name == ATTENTION else evidence[..., :2] for name in rules]
        return torch.cat([POOLS[name](part) for name, part in zip(rules, of, strict=True)])

    def answers(how: Streaming, patches: Callable[[int], np.ndarray] | None) -> Answers:
        images = LargeImages(lambda i: case.opened(case.test[i]), labels, patches)
        columns = predict_streamed(model, images, how).numpy()
        return dict(zip(rules, np.split(columns, len(rules), axis=1), strict=True))

    whole = Streaming(scale, by_all_rules, max_memory_mib=TILE_MIB)
    asking.about("BagNet, all, streamed", lambda: answers(whole, None))
    how = Streaming(scale, by_all_rules, PATCH_PX)
    ways = [(share, guided) for share in args.shares for guided in (True, False)]
    for share, guided in [*ways, (args.share, True)]:
        clock = Clock()

        def patches(i: int, share: float = share, guided: bool = guided) -> np.ndarray:
            scores = contrast(case, model, scale, case.test[i]) if guided else None
            return choose_patches(n_all, share, args.seed + i, scores)

        name = f"BagNet, {100 * share:g} % of the patches, {'guided' if guided else 'random'}"
        choose = clock.timing(patches)
        asking.about(name, lambda choose=choose: answers(how, choose), clock)


if __name__ == "__main__":
    main()
