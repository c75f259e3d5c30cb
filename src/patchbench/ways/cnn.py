"""A network of torchvision sees the whole image at once."""

from dataclasses import dataclass
from typing import ClassVar

from patchbench.ways._looks import N_CLASSES, Looking, whole


@dataclass(kw_only=True)
class Way:
    """A classification network of torchvision, with random weights.

    Parameters
    ----------
    network : str
        Its name there, for example ``resnet50`` or ``vgg16``.
    """

    network: str
    seed: int = 0
    device: str = "cpu"

    least_px: ClassVar[int] = 32  # what the deepest of them halves five times
    summary: ClassVar[str] = "a network of torchvision in one pass over the whole image"
    source: ClassVar[str] = (
        "He et al., CVPR 2016, arXiv:1512.03385; Simonyan & Zisserman, ICLR 2015, arXiv:1409.1556"
    )

    def ready(self, task: str) -> Looking:
        """Build the network; what is given looks at an image.

        Raises
        ------
        UserError
            If torchvision has no such network.
        """
        import torch

        from patchbench.networks.torchvision_models import features
        from patchbench.networks.weights import placed

        torch.manual_seed(self.seed)
        found = features(self.network)
        found.network.set_submodule(found.head, torch.nn.Linear(found.dim, N_CLASSES))
        return whole(placed(found.network, self.device).eval(), task, self.device)
