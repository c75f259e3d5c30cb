"""Occlusion: what the class's logit loses when a window of the image is covered.

Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014,
arXiv:1311.2901; computed by Captum (Kokhlikyan et al., 2020, arXiv:2009.07896). It needs neither
gradients nor a layer, but one forward pass for each position of the window.
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
    window_px: int = 32,
    stride_px: int = 16,
) -> "Tensor":
    """Mean loss of the class's logit over all windows that cover a cell.

    Parameters
    ----------
    model : Module
        In eval mode; from (n, 3, height, width) to logits (n, n_classes).
    layer : Module or str
        Not used.
    images : float tensor, (n, 3, height, width)
        Scaled, on the device of ``model``; what is covered becomes zero, the mean colour.
    classes : int tensor or array, (n,)
        Class to explain in each image.
    window_px, stride_px : int
        Side of the window, and its step, which is also the side of a cell.

    Returns
    -------
    maps : float32 tensor, (n, ceil(height / stride_px), ceil(width / stride_px))
        Signed, on the CPU.

    Raises
    ------
    UserError
        If the window is larger than the images.
    """
    from captum.attr import Occlusion
    from torch.nn import functional

    from patchbench.errors import UserError
    from patchbench.networks.explained import as_targets

    if window_px > min(images.shape[2:]):
        height_px, width_px = images.shape[2:]
        raise UserError(
            f"explain.occlusion: window_px is {window_px} but the images are {height_px} x "
            f"{width_px} px; take a smaller window"
        )
    n_channels = images.shape[1]
    loss = Occlusion(model).attribute(
        images,
        sliding_window_shapes=(n_channels, window_px, window_px),
        strides=(n_channels, stride_px, stride_px),
        baselines=0,
        target=as_targets(classes, images),
    )
    # a window covers all channels, so that one of them says it all
    return functional.avg_pool2d(loss[:, 0].float(), stride_px, ceil_mode=True).detach().cpu()


@dataclass(kw_only=True)
class Explain:
    """Occlusion by a sliding window.

    Parameters
    ----------
    window_px : int
        Side of the window.
    stride_px : int
        Step of the window, at most ``window_px``; the map has one value per step.
    """

    window_px: int = 32
    stride_px: int = 16

    needs: ClassVar[str] = "nothing"
    of_layer: ClassVar[bool] = False
    control: ClassVar[bool] = False
    summary: ClassVar[str] = "Loss of the class's logit when a window of the image is covered."
    source: ClassVar[str] = "Zeiler & Fergus, ECCV 2014, arXiv:1311.2901"

    def __post_init__(self) -> None:
        if not 1 <= self.stride_px <= self.window_px:
            raise ValueError(
                f"stride_px is {self.stride_px} and window_px is {self.window_px}; give a stride "
                "from 1 to the window, or parts of the image are never covered"
            )

    def raw_maps(
        self, model: "nn.Module", layer: "nn.Module | str", images: "Tensor", classes: "Classes"
    ) -> "Tensor":
        """Maps of the images, float32 (n, rows, cols); see the function `raw_maps`."""
        return raw_maps(model, layer, images, classes, self.window_px, self.stride_px)
