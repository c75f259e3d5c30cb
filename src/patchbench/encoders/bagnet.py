"""BagNet features, trained from scratch on the classes of whole train images.

Brendel & Bethge, "Approximating CNNs with Bag-of-local-Features models works surprisingly well
on ImageNet", ICLR 2019, arXiv:1904.00760. The network never sees more than a small square at
once and averages what it finds; trained on images, it is an encoder of patches.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from patchbench.errors import UserError
from patchbench.networks.settings import Augmentation, Computation, Plan, Recipe, check_bagnet
from patchbench.seeds import derive

if TYPE_CHECKING:
    import pandas as pd

    from patchbench.networks.bagnet import BagNet
    from patchbench.patchset import TrainingData

_BATCH_PATCHES = 64
# Training here takes hundreds to thousands of steps; at the published 0.001 the statistics of
# the stem would still be near their initial values at the end.
_STEM_MOMENTUM = 0.1


def __getattr__(name: str) -> Any:
    """``BagNet``, the network itself, imported only when it is asked for."""
    if name == "BagNet":
        from patchbench.networks.bagnet import BagNet

        return BagNet
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@dataclass(kw_only=True)
class Encoder:
    """Mean BagNet feature of a patch.

    Parameters
    ----------
    patch_size_px : int
        Side of the patches, at least the receptive field.
    receptive_field_px : int
        9, 17 or 33.
    width : int
        Channels of the stem, 64 as published; an embedding has 32 times as many.
    layers : list of 4 ints
        Blocks per stage, [3, 4, 6, 3] as published.
    epochs, batch_size, lr, weight_decay
        See :class:`~patchbench.networks.settings.Plan`.
    crop, jitter
        See :class:`~patchbench.networks.settings.Augmentation`.
    precision : str
        Of training; see :class:`~patchbench.networks.settings.Computation`.
    """

    patch_size_px: int
    receptive_field_px: int = 17
    width: int = 16
    layers: tuple[int, ...] = (1, 1, 1, 1)
    epochs: int = 12
    batch_size: int = 16
    lr: float = 0.004
    weight_decay: float = 0.05
    crop: float = 0.75
    jitter: float = 0.0
    precision: str = "auto"
    seed: int = 0
    device: str = "cpu"
    threads: int = 1

    supervised: ClassVar[bool] = True
    trained: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    control: ClassVar[bool] = False
    summary: ClassVar[str] = (
        "Features of a residual network that sees only a small square at a time (BagNet), "
        "trained on the classes of whole images."
    )
    source: ClassVar[str] = "Brendel & Bethge, ICLR 2019, arXiv:1904.00760"

    def __post_init__(self) -> None:
        check_bagnet(self.receptive_field_px, self.width, self.layers)
        if self.patch_size_px < self.receptive_field_px:
            raise ValueError(
                f"patch_size_px is {self.patch_size_px}, less than receptive_field_px "
                f"{self.receptive_field_px}; take larger patches or another BagNet"
            )
        self._recipe = Recipe(
            Plan(
                epochs=self.epochs,
                batch_size=self.batch_size,
                lr=self.lr,
                weight_decay=self.weight_decay,
            ),
            Augmentation(crop=self.crop, jitter=self.jitter),
            Computation(self.device, self.precision),
        )

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return 32 * self.width

    def fit(self, data: "TrainingData") -> "pd.DataFrame":
        """Train on whole train images, keep the epoch that is best on val.

        Parameters
        ----------
        data : TrainingData
            With labels; its patches are not used.

        Returns
        -------
        history : DataFrame
            Table "history": loss (nats) on train and val, accuracy on val.
        """
        from patchbench.networks.image_classification import LabelledImages, train_classifier
        from patchbench.networks.pixels import Scale
        from patchbench.networks.reproducible import reproducible

        if data.train_labels is None or data.val_labels is None:
            raise ValueError("BagNet learns from labels of images, but none were handed over")
        self._check_crop(*data.images.shape[1:3])
        seed = derive(self.seed, "encoder", "bagnet")
        with reproducible(seed, self.threads):
            self._scale = Scale.of(data.images, data.train_rows)
            self._network = self._build(data.n_classes)
            history = train_classifier(
                self._network,
                LabelledImages(data.images, data.train_rows, data.train_labels),
                LabelledImages(data.images, data.val_rows, data.val_labels),
                self._scale,
                self._recipe,
                seed,
                "bagnet",
            )
        self._prepare()
        return history

    def _check_crop(self, height_px: int, width_px: int) -> None:
        sides = self._recipe.augmentation.crop_sides(height_px, width_px)
        if min(sides) < self.receptive_field_px:
            raise UserError(
                f"encoder bagnet: crop {self.crop} of {height_px} x {width_px} px images is less "
                f"than receptive_field_px {self.receptive_field_px}; raise crop or the image size"
            )

    def _build(self, n_classes: int) -> "BagNet":
        from patchbench.networks.bagnet import BagNet
        from patchbench.networks.weights import placed

        network = BagNet(
            self.receptive_field_px, n_classes, self.width, self.layers, _STEM_MOMENTUM
        )
        return placed(network, self.device)

    def _prepare(self) -> None:
        from patchbench.networks.folding import folded

        self._folded = folded(self._network)

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Uint8 (n, patch_size_px, patch_size_px, 3) to float32 (n, dim)."""
        from patchbench.networks.inference import in_batches
        from patchbench.networks.reproducible import reproducible

        with reproducible(self.seed, self.threads):
            return in_batches(
                lambda images: self._folded.embed(images).mean(dim=(1, 2)),
                pixels,
                np.arange(len(pixels)),
                self._scale,
                self.device,
                _BATCH_PATCHES,
            )

    def state(self) -> dict[str, np.ndarray]:
        """Weights under their state-dict names after ``network.``, and the scale of the pixels."""
        from patchbench.networks.weights import to_arrays

        return to_arrays(self._network) | self._scale.state()

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take back what :meth:`state` gave."""
        from patchbench.networks.pixels import Scale
        from patchbench.networks.weights import from_arrays

        self._scale = Scale.restored(state)
        self._network = self._build(len(state["network.fc.bias"]))
        from_arrays(self._network, state)
        self._network.eval()
        self._prepare()
