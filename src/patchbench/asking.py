"""A fitted method as a function of images, whatever it is made of."""

from typing import Any

import numpy as np

from patchbench import grid
from patchbench.subject import Ask

# patches encoded at once: bounds memory
CHUNK_PATCHES = 2048


def patch_method(
    encoder: Any, classifier: Any, ys: np.ndarray, xs: np.ndarray, patch_size_px: int
) -> Ask:
    """Ask an encoder and a patch classifier, both fitted, about new images.

    Parameters
    ----------
    encoder, classifier
        Plug-in objects.
    ys, xs : int array
        Top and left edges of the patches.
    patch_size_px : int
        Side of a patch.
    """
    n_patches = len(ys) * len(xs)
    n_each = max(1, CHUNK_PATCHES // n_patches)

    def embedded(images: np.ndarray) -> np.ndarray:
        if hasattr(encoder, "takes_grid") and encoder.takes_grid(ys, xs, *images.shape[1:3]):
            whole: np.ndarray = encoder.encode_grid(images, ys, xs)
            return whole
        patches = [grid.cut(image, ys, xs, patch_size_px) for image in images]
        found: np.ndarray = encoder.encode(np.concatenate(patches))
        return found

    def ask(images: np.ndarray) -> np.ndarray:
        parts = [images[start : start + n_each] for start in range(0, len(images), n_each)]
        logits = [classifier.logits(embedded(part)) for part in parts]
        return np.concatenate([rows.reshape(-1, n_patches, rows.shape[1]) for rows in logits])

    return ask


def whole_image_cnn(cnn: Any) -> Ask:
    """Ask a trained `WholeImageCnn` about new images; its decision counts as one vote."""

    def ask(images: np.ndarray) -> np.ndarray:
        logits: np.ndarray = cnn.predict_logits(images, np.arange(len(images)))
        return logits[:, None]

    return ask
