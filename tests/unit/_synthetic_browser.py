"""Made-up votes of a few images, as the collect stage leaves them for the patch browser."""

from collections.abc import Sequence

import numpy as np

N_BROWSED = 4
SIDE_PX = 48
_PLACES_PX = (0, 16, 32)


def browsed(
    images: np.ndarray, n_classes: int, runs: Sequence[tuple[str, str, str]], fusions: Sequence[str]
) -> dict[str, np.ndarray]:
    """Nine patches in each of some images; ``runs`` are patches, encoder and classifier."""
    rng = np.random.default_rng(3)
    labels = np.arange(N_BROWSED) % n_classes
    boxes = np.array([(y, x, 16, 16) for y in _PLACES_PX for x in _PLACES_PX])
    shape = N_BROWSED, len(boxes)
    found = {
        "images": images[:N_BROWSED],
        "ids": np.array([f"image-{i:03d}" for i in range(N_BROWSED)]),
        "labels": labels,
        "reasons": np.arange(N_BROWSED) % 3,
        "seed": np.array(0),
        "image_px": np.array(SIDE_PX),
        "shown": np.tile(np.arange(min(n_classes, 8)), (N_BROWSED, 1)),
        "maps/resnet18": rng.integers(0, 256, (N_BROWSED, 3, 4)).astype(np.uint8),
        "mapped/resnet18": labels,
    }
    for patches, encoder, classifier in runs:
        name = f"{patches}/{encoder}/{classifier}"
        found[f"boxes/{patches}"] = boxes
        found[f"votes/{name}"] = rng.integers(0, n_classes, shape).astype(np.int16)
        evidence = rng.integers(0, 256, (*shape, found["shown"].shape[1]))
        found[f"evidence/{name}"] = evidence.astype(np.uint8)
        for fusion in fusions:
            fall = rng.integers(-500, 500, shape).astype(np.int16)
            found[f"influence/{name}/{fusion}"] = fall
    return found
