"""Let fusion rules decide a few images at a time, and time each few.

Images do not influence each other, so nothing changes but what is known of the time.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from patchbench.bags import Bags
from patchbench.cost import Stopwatch
from patchbench.embedded import EmbeddedBags

PIECE_IMAGES = 32


def decide_timed(
    rules: Mapping[str, Any], bags: Bags | EmbeddedBags, watch: Stopwatch
) -> dict[str, np.ndarray]:
    """What each fitted rule decides: float64 arrays, (n_images, n_classes).

    A lap of ``watch`` is all rules on the same few images, its items are decisions. Rules share
    what they need of the votes, so the time of one is known as the mean over rules only.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in rules}
    for piece in bags.pieces(PIECE_IMAGES):
        with watch.lap(len(piece.bag_sizes) * len(rules)):
            for name, rule in rules.items():
                found[name].append(rule.fuse(piece))
    return {name: np.concatenate(parts) for name, parts in found.items()}
