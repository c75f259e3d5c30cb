"""Which patches decided on an image: what its decision loses when a patch is left out.

The same question can be put to every fusion rule, whatever it computes: occlusion (Zeiler & Fergus,
"Visualizing and understanding convolutional networks", ECCV 2014) with patches for pixels, or
leaving one feature out (Robnik-Sikonja & Kononenko, "Explaining classifications for individual
instances", IEEE TKDE 20(5), 2008). It says what the rule did, not what would be right.
"""

from collections.abc import Callable

import numpy as np

from patchbench.bags import Bags

Fuse = Callable[[Bags], np.ndarray]
"""From bags to probabilities, (n_images, n_classes)."""


def influence(fuse: Fuse, bags: Bags) -> np.ndarray:
    """How far the probability of the class decided on falls when a patch is left out.

    Parameters
    ----------
    fuse : callable
        A fitted fusion rule.
    bags : Bags
        Votes of some images. Memory grows with the square of an image's patches.

    Returns
    -------
    fall : float64 array, (n_patches,)
        From -1 to 1; below 0 where the patch spoke against the class. NaN for the only patch of
        an image, without which there is no decision.

    Examples
    --------
    >>> logits = np.log([[0.9, 0.1], [0.5, 0.5]])
    >>> bags = Bags(logits, np.array([2]), np.zeros((2, 2)))
    >>> influence(lambda bags: bags.mean(bags.probabilities), bags).round(2)
    array([ 0.2, -0.2])
    """
    decided = fuse(bags)
    found = np.full(len(bags.patch_logits), np.nan)
    for image, (start, size) in enumerate(zip(bags.starts, bags.bag_sizes, strict=True)):
        if size < 2:
            continue
        label = int(decided[image].argmax())
        without = fuse(_each_without_one(bags, start, size))
        found[start : start + size] = decided[image, label] - without[:, label]
    return found


def _each_without_one(bags: Bags, start: int, size: int) -> Bags:
    """An image's patches as often as it has patches, each time without another one of them."""
    rows = start + np.tile(np.arange(size), (size, 1))[~np.eye(size, dtype=bool)]
    noise = {name: scores[rows] for name, scores in bags.noise.items()}
    sizes = np.full(size, size - 1)
    return Bags(bags.patch_logits[rows], sizes, bags.centers[rows], noise)
