"""Evidence: the logits of every place of a BagNet, whose mean is the logit of the image.

Brendel & Bethge, "Approximating CNNs with Bag-of-local-Features models works surprisingly well
on ImageNet", ICLR 2019, arXiv:1904.00760. Nothing is estimated: the places add up to the answer.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from torch import Tensor, nn

    from patchbench.networks.explained import Classes


def raw_maps(
    model: "nn.Module", layer: "nn.Module | str", images: "Tensor", classes: "Classes"
) -> "Tensor":
    """Logit of the class at every place of each image.

    Parameters
    ----------
    model : Module
        With a method ``patch_logits``, from images to (n, rows, cols, n_classes).
    layer : Module or str
        Not used; the evidence stands at the output.
    images : float tensor, (n, 3, height, width)
        Scaled, on the device of ``model``.
    classes : int tensor or array, (n,)
        Class to explain in each image.

    Returns
    -------
    maps : float32 tensor, (n, rows, cols)
        Signed, on the CPU; their mean is the logit of the image.

    Raises
    ------
    UserError
        If the model has no ``patch_logits``.
    """
    import torch

    from patchbench.errors import UserError
    from patchbench.networks.explained import as_targets

    # nn.Module types every unknown name as a tensor or a module
    patch_logits: Any = getattr(model, "patch_logits", None)
    if patch_logits is None:
        raise UserError(
            f"explain.evidence: {type(model).__name__} gives no logits of places, as BagNet "
            "does; explain it by gradcam or occlusion"
        )
    targets = as_targets(classes, images)
    with torch.no_grad():
        logits: Tensor = patch_logits(images)
        each = torch.arange(len(images), device=images.device)
        return logits.permute(0, 3, 1, 2)[each, targets].float().cpu()


@dataclass(kw_only=True)
class Explain:
    """Evidence of places; it has no settings."""

    needs: ClassVar[str] = "patch_logits"
    of_layer: ClassVar[bool] = True
    control: ClassVar[bool] = False
    summary: ClassVar[str] = "The class's logit at every place of a BagNet, positive or negative."
    source: ClassVar[str] = "Brendel & Bethge, ICLR 2019, arXiv:1904.00760"

    def raw_maps(
        self, model: "nn.Module", layer: "nn.Module | str", images: "Tensor", classes: "Classes"
    ) -> "Tensor":
        """Maps of the images, float32 (n, rows, cols); see the function `raw_maps`."""
        return raw_maps(model, layer, images, classes)
