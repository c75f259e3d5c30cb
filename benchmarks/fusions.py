"""All fixed fusion rules over many ragged bags: vectorised, and image by image.

    .venv/bin/python benchmarks/fusions.py

Prints the seconds of both for each rule and for all of them together, 10 classes, on one core: for
10,000 images of 100 to 300 patches, and for as many patches in 80,000 images of 13 to 37.
"""

import time

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from patchbench import plugins
from patchbench.bags import Bags

N_CLASSES = 10
DETECTORS = ("spectral_residual", "gradcam", "background_clusters")  # whose scores rules weigh by
SHAPES = ((10_000, 100, 300), (80_000, 13, 37))  # images, fewest and most patches of one


def made_up(n_images: int, fewest: int, most: int) -> Bags:
    """Bags of random votes."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(fewest, most + 1, n_images)
    logits = rng.normal(scale=2, size=(sizes.sum(), N_CLASSES)).astype(np.float32)
    noise = {name: rng.normal(size=len(logits)) for name in DETECTORS}
    return Bags(logits, sizes, rng.uniform(-1, 1, (len(logits), 2)), noise)


def one_by_one(bags: Bags) -> list[Bags]:
    """The same bags, each alone."""
    found = []
    for end, size in zip(np.cumsum(bags.bag_sizes), bags.bag_sizes, strict=True):
        rows = slice(end - size, end)
        noise = {name: scores[rows] for name, scores in bags.noise.items()}
        logits, centers = bags.patch_logits[rows], bags.centers[rows]
        found.append(Bags(logits, np.array([size]), centers, noise))
    return found


def compare(bags: Bags) -> None:
    """Time each rule both ways in turn."""
    alone = one_by_one(bags)
    names = [
        n for n in plugins.available("fusions") if not plugins.load("fusions", n).Fusion.fitted
    ]
    together = []
    for name in tqdm(names, "rules"):
        rule = plugins.build("fusions", name, {})
        watch = time.perf_counter()
        fused = rule.fuse(bags)
        vectorised_s = time.perf_counter() - watch
        watch = time.perf_counter()
        loop = np.concatenate([rule.fuse(bag) for bag in alone])
        together.append((vectorised_s, time.perf_counter() - watch))
        np.testing.assert_allclose(fused, loop, atol=1e-9)
    for name, (vectorised_s, loop_s) in zip(names, together, strict=True):
        print(f"{name:20} {vectorised_s:6.2f} s, image by image {loop_s:6.2f} s")
    vectorised_s, loop_s = np.sum(together, axis=0)
    longer = loop_s / vectorised_s
    print(
        f"{len(names)} rules, {len(bags.bag_sizes):,} images, {len(bags.patch_logits):,} patches: "
        f"{vectorised_s:.1f} s; image by image {loop_s:.1f} s, {longer:.1f} times as long"
    )


if __name__ == "__main__":
    with threadpool_limits(1):
        for shape in SHAPES:
            compare(made_up(*shape))
