"""Random map: a smooth map that knows neither network nor object; what others must beat.

The idea of a check by something that cannot know is that of Adebayo et al., "Sanity Checks for
Saliency Maps", NeurIPS 2018, arXiv:1810.03292.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor, nn

    from patchbench.networks.explained import Classes

# as fine as Grad-CAM is on small images
_DRAWS_PER_SIDE = 4


def raw_maps(
    model: "nn.Module",
    layer: "nn.Module | str",
    images: "Tensor",
    classes: "Classes",
    rows: int = 6,
    seed: int = 0,
) -> "Tensor":
    """A smooth random map of each image, drawn from its content.

    Drawn from the pixels and the seed, so that it depends neither on the other images of a
    batch nor on their order.

    Parameters
    ----------
    model, layer, classes
        Not used.
    images : float tensor, (n, 3, height, width)
        Scaled.
    rows : int
        Rows and columns of a map.
    seed : int
        Another seed gives other maps.

    Returns
    -------
    maps : float32 tensor, (n, rows, rows)
        From 0 to 1, on the CPU: means of a few draws, neighbours alike.
    """
    import numpy as np
    import torch

    from patchbench.faithfulness import between
    from patchbench.seeds import derive

    # draws also beyond the borders, or the highest place would mostly be at one
    n_draws = _DRAWS_PER_SIDE + 2
    weights = between((np.arange(rows) + 0.5) * _DRAWS_PER_SIDE / rows + 0.5, n_draws)
    maps = np.empty((len(images), rows, rows), np.float32)
    for place, image in enumerate(images.detach().float().cpu().contiguous()):
        content = sha256(image.numpy().tobytes()).hexdigest()
        rng = np.random.default_rng(derive(seed, "random_map", content))
        maps[place] = weights @ rng.random((n_draws, n_draws)) @ weights.T
    return torch.from_numpy(maps)


@dataclass(kw_only=True)
class Explain:
    """A random map of each image.

    Parameters
    ----------
    rows : int
        Rows and columns of a map.
    seed : int
        Source of all randomness.
    """

    rows: int = 6
    seed: int = 0

    needs: ClassVar[str] = "nothing"
    of_layer: ClassVar[bool] = False
    control: ClassVar[bool] = True
    summary: ClassVar[str] = "A smooth random map per image, blind to network and class."
    source: ClassVar[str] = "control, after Adebayo et al., NeurIPS 2018, arXiv:1810.03292"

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise ValueError(f"rows is {self.rows}; give at least 1")

    def raw_maps(
        self, model: "nn.Module", layer: "nn.Module | str", images: "Tensor", classes: "Classes"
    ) -> "Tensor":
        """Maps of the images, float32 (n, rows, rows); see the function `raw_maps`."""
        return raw_maps(model, layer, images, classes, self.rows, self.seed)
