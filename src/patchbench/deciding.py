"""Let fusion rules decide a few images at a time, and time each few.

Images do not influence each other, so nothing changes but what is known of the time.
"""

import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from patchbench.bags import Bags, weightless
from patchbench.cost import Stopwatch
from patchbench.embedded import EmbeddedBags

PIECE_IMAGES = 32


def decide_timed(
    rules: Mapping[str, Any], bags: Bags | EmbeddedBags, watch: Stopwatch
) -> dict[str, np.ndarray]:
    """What each fitted rule decides: float64 arrays, (n_images, n_classes).

    A lap of ``watch`` is all rules on the same few images, its items are decisions. Rules share
    what they need of the votes, so the time of one is known as the mean over rules only. A rule
    that gave no patch of an image a weight is told of on standard error.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in rules}
    fallen_back = Counter[str]()
    for piece in bags.pieces(PIECE_IMAGES):
        with watch.lap(len(piece.bag_sizes) * len(rules)):
            for name, rule in rules.items():
                with weightless() as counts:
                    found[name].append(rule.fuse(piece))
                fallen_back[name] += sum(counts)
    for name, n_images in fallen_back.items():
        if n_images:
            print(
                f"fusions.{name}: in {n_images} of {len(bags.bag_sizes)} images no patch has a "
                "weight above 0, so all count alike there",
                file=sys.stderr,
            )
    return {name: np.concatenate(parts) for name, parts in found.items()}
