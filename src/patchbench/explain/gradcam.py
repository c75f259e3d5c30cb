"""Grad-CAM: where those channels of a layer are active that speak for a class.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017, arXiv:1610.02391; computed by Captum (Kokhlikyan et al., 2020,
arXiv:2009.07896). For a network that ends in a mean over places and a linear layer, such as
BagNet, it is the positive part of the class's own evidence.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor, nn

    from patchbench.networks.explained import Classes


def raw_maps(
    model: "nn.Module", layer: "nn.Module | str", images: "Tensor", classes: "Classes"
) -> "Tensor":
    """Grad-CAM of each image for its class.

    The channels of the layer are summed, each weighted by the mean over places of the gradient
    of the class's logit; what is negative is cut off.

    Parameters
    ----------
    model : Module
        In eval mode; from (n, 3, height, width) to logits (n, n_classes). Its parameters may be
        frozen; they and their gradients stay as they are.
    layer : Module or str
        A layer of ``model``, or its name.
    images : float tensor, (n, 3, height, width)
        Scaled, on the device of ``model``.
    classes : int tensor or array, (n,)
        Class to explain in each image.

    Returns
    -------
    maps : float32 tensor, (n, rows, cols)
        Not negative, at the resolution of the layer, on the CPU.

    Raises
    ------
    UserError
        If there is no such layer, the model does not use it, or its output is not a map.
    """
    from captum.attr import LayerGradCam

    from patchbench.networks.explained import as_targets, checked_use, find_layer

    chosen = find_layer(model, layer)
    targets = as_targets(classes, images)
    with checked_use(model, chosen) as forward:
        found = LayerGradCam(forward, chosen).attribute(images, targets, relu_attributions=True)
    maps: Tensor = found[:, 0].detach().float().cpu()
    return maps


@dataclass(kw_only=True)
class Explain:
    """Grad-CAM.

    Parameters
    ----------
    layer : str, mapping or None
        Name of the layer to look at, or several joined by ``+``; a mapping names one for each
        entry of cnns or encoders. None, or an entry that is not named: the network's default.
    """

    layer: str | Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        each = self.layer.values() if isinstance(self.layer, Mapping) else [self.layer or ""]
        if not all(isinstance(name, str) for name in each):
            raise ValueError(
                f"layer is {self.layer!r}; give the name of a layer, or one for each network"
            )

    needs: ClassVar[str] = "gradients"
    of_layer: ClassVar[bool] = True
    control: ClassVar[bool] = False
    summary: ClassVar[str] = (
        "Channels of a layer, weighted by what the class's logit gains from them and summed; "
        "the positive part."
    )
    source: ClassVar[str] = "Selvaraju et al., ICCV 2017, arXiv:1610.02391"

    def raw_maps(
        self, model: "nn.Module", layer: "nn.Module | str", images: "Tensor", classes: "Classes"
    ) -> "Tensor":
        """Maps of the images, float32 (n, rows, cols); see the function `raw_maps`."""
        return raw_maps(model, layer, images, classes)
