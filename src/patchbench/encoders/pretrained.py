"""Features of a network that others have trained on ImageNet, applied to each patch.

Any classification network of torchvision that ends in a linear layer; its features are what
that layer reads. Transfer of such features: Sharif Razavian et al., "CNN features off-the-shelf",
CVPR Workshops 2014, arXiv:1403.6382.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from patchbench import tables
from patchbench.checks import check_choice, check_counts
from patchbench.devices import resolve
from patchbench.errors import UserError
from patchbench.networks.settings import (
    IMAGENET,
    PRECISIONS,
    SCRATCH,
)
from patchbench.patchset import checked
from patchbench.seeds import derive

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from patchbench.networks.published import Published
    from patchbench.patchset import TrainingData

_BATCH_PATCHES = 32


@dataclass(kw_only=True)
class Encoder:
    """Features of a torchvision network.

    Parameters
    ----------
    patch_size_px : int
        Side of the patches.
    backbone : str
        Name of the network in torchvision, for example ``resnet50`` or ``convnext_tiny``.
    weights : str
        ``imagenet``: torchvision's first published set; ``scratch``: random ones, to show what
        the training was worth; or the path of a checkpoint.
    resize_px : int or None
        Side that patches are enlarged to first; None shows them as they are.
    inference : str
        ``float32``, ``bfloat16``, or ``auto``: the latter where the processor has it.
    """

    patch_size_px: int
    backbone: str = "resnet18"
    weights: str = IMAGENET
    resize_px: int | None = None
    inference: str = "float32"
    seed: int = 0
    device: str = "cpu"
    threads: int = 1

    supervised: ClassVar[bool] = False
    trained: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True
    control: ClassVar[bool] = False
    summary: ClassVar[str] = "Features of any torchvision network, trained by others on ImageNet."
    source: ClassVar[str] = "Sharif Razavian et al., CVPR Workshops 2014, arXiv:1403.6382"

    def __post_init__(self) -> None:
        self.device = resolve(self.device)
        check_counts(patch_size_px=self.patch_size_px)
        check_choice("inference", self.inference, PRECISIONS)
        if self.resize_px is not None:
            check_counts(resize_px=self.resize_px)

    @property
    def receptive_field_px(self) -> int:
        """Side of what an embedding sees: the whole patch."""
        return self.patch_size_px

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        from patchbench.networks.torchvision_models import features

        return features(self.backbone, "meta").dim

    def published(self) -> "Published":
        """Where the published weights are."""
        from patchbench.networks.torchvision_models import published

        return published(self.backbone)

    def fit(self, data: "TrainingData") -> "pd.DataFrame":
        """Load the weights; nothing is learned from the data, the history is empty."""
        from patchbench.networks.checkpoints import start_from
        from patchbench.networks.reproducible import reproducible
        from patchbench.networks.torchvision_models import features

        with reproducible(derive(self.seed, "encoder", "pretrained"), self.threads):
            found = features(self.backbone)
            self._network = found.network
            if self.weights != SCRATCH:
                start_from(self._network, data.weights, replaceable=f"{found.head}.")
        self._prepare()
        self._try()
        return tables.empty("history")

    def _try(self) -> None:
        """Encode one patch, so that a side which the network cannot take is told at once."""
        try:
            self.encode(np.zeros((1, self.patch_size_px, self.patch_size_px, 3), np.uint8))
        except (RuntimeError, AssertionError, ValueError) as error:
            reason = (str(error).splitlines() or ["no reason given"])[0]
            raise UserError(
                f"encoder pretrained: {self.backbone} cannot work on "
                f"{self.resize_px or self.patch_size_px} px ({reason}); set resize_px, for most "
                "networks to 224"
            ) from error

    def _prepare(self) -> None:
        from copy import deepcopy

        from patchbench.networks.pixels import Scale
        from patchbench.networks.precision import dtype_of
        from patchbench.networks.weights import placed

        self._scale = Scale.imagenet()
        self._dtype = dtype_of(self.inference, self.device)
        self._placed = placed(deepcopy(self._network).eval(), self.device).to(self._dtype)

    def _ask(self, patches: "Tensor") -> "Tensor":
        from torch.nn import functional

        if self.resize_px is not None:
            patches = functional.interpolate(patches, (self.resize_px,) * 2, mode="bilinear")
        asked: Tensor = self._placed(patches.to(self._dtype))
        return asked

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Uint8 (n, patch_size_px, patch_size_px, 3) to float32 (n, dim)."""
        from patchbench.networks.inference import in_batches
        from patchbench.networks.reproducible import reproducible

        pixels = checked(pixels, self.patch_size_px)
        with reproducible(self.seed, self.threads):
            return in_batches(
                self._ask,
                pixels,
                np.arange(len(pixels)),
                self._scale,
                self.device,
                _BATCH_PATCHES,
            )

    def state(self) -> dict[str, np.ndarray]:
        """Weights under their state-dict names after ``network.``."""
        from patchbench.networks.weights import to_arrays

        return to_arrays(self._network)

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take back what :meth:`state` gave."""
        from patchbench.networks.torchvision_models import features
        from patchbench.networks.weights import from_arrays

        self._network = features(self.backbone).network
        from_arrays(self._network, state)
        self._prepare()
