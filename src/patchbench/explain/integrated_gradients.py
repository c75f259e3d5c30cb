"""Integrated gradients: what each pixel adds to the class's logit on the way from plain grey.

Sundararajan, Taly & Yan, "Axiomatic Attribution for Deep Networks", ICML 2017, arXiv:1703.01365;
computed by Captum (Kokhlikyan et al., 2020, arXiv:2009.07896).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor, nn

    from patchbench.networks.explained import Classes


def raw_maps(
    model: "nn.Module",
    layer: "nn.Module | str",
    images: "Tensor",
    classes: "Classes",
    n_steps: int = 32,
    cell_px: int = 8,
) -> "Tensor":
    """What the pixels of each cell add to the class's logit.

    Parameters
    ----------
    model : Module
        In eval mode; from (n, 3, height, width) to logits (n, n_classes).
    layer : Module or str
        Not used; gradients are taken at the pixels.
    images : float tensor, (n, 3, height, width)
        Scaled, on the device of ``model``; the way starts at zero, the mean colour.
    classes : int tensor or array, (n,)
        Class to explain in each image.
    n_steps : int
        Gradients on the way, each a forward and a backward pass.
    cell_px : int
        Pixels are summed over squares of this side: single ones are mostly noise.

    Returns
    -------
    maps : float32 tensor, (n, ceil(height / cell_px), ceil(width / cell_px))
        Signed, on the CPU; a map sums to the logit of the image less that of plain mean colour,
        the closer the more steps.
    """
    from captum.attr import IntegratedGradients
    from torch.nn import functional

    from patchbench.networks.explained import as_targets

    gained = IntegratedGradients(model).attribute(
        images.detach().clone(),
        baselines=0,
        target=as_targets(classes, images),
        n_steps=n_steps,
        internal_batch_size=len(images),
    )
    per_pixel = gained.sum(dim=1).float()
    height_px, width_px = per_pixel.shape[1:]
    whole = functional.pad(per_pixel, (0, -width_px % cell_px, 0, -height_px % cell_px))
    return (functional.avg_pool2d(whole, cell_px) * cell_px**2).detach().cpu()


@dataclass(kw_only=True)
class Explain:
    """Integrated gradients, summed over cells.

    Parameters
    ----------
    n_steps : int
        Gradients on the way from mean colour to the image.
    cell_px : int
        Side of a cell; the map has one value per cell.
    """

    n_steps: int = 32
    cell_px: int = 8

    needs: ClassVar[str] = "gradients"
    of_layer: ClassVar[bool] = False
    control: ClassVar[bool] = False
    summary: ClassVar[str] = (
        "Gradients at the pixels, integrated from mean colour to the image and summed over cells."
    )
    source: ClassVar[str] = "Sundararajan et al., ICML 2017, arXiv:1703.01365"

    def __post_init__(self) -> None:
        for name in ("n_steps", "cell_px"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; give at least 1")

    def raw_maps(
        self, model: "nn.Module", layer: "nn.Module | str", images: "Tensor", classes: "Classes"
    ) -> "Tensor":
        """Maps of the images, float32 (n, rows, cols); see the function `raw_maps`."""
        return raw_maps(model, layer, images, classes, self.n_steps, self.cell_px)
