"""BagNet features: a network that never sees more than a small square at once.

Brendel & Bethge, "Approximating CNNs with Bag-of-local-Features models works surprisingly well
on ImageNet", ICLR 2019, arXiv:1904.00760. It averages what it finds over an image; trained on
the classes of whole images, from scratch or from published weights, it is an encoder of patches.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from patchbench.checks import check_choice
from patchbench.networks.settings import (
    BAGNET_LAYERS,
    BAGNET_WIDTH,
    BATCH,
    PRECISIONS,
    SCRATCH,
    Trained,
    check_bagnet,
    check_bagnet_crop,
    check_freeze,
)
from patchbench.patchset import checked
from patchbench.seeds import derive

if TYPE_CHECKING:
    import pandas as pd

    from patchbench.networks.bagnet import BagNet
    from patchbench.networks.published import Published
    from patchbench.patchset import TrainingData

_BATCH_PATCHES = 64
# the feature maps of one image are large already; more would only leave the processor's caches
_BATCH_IMAGES = 1


def __getattr__(name: str) -> Any:
    """``BagNet``, the network itself, imported only when it is asked for."""
    if name == "BagNet":
        from patchbench.networks.bagnet import BagNet

        return BagNet
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@dataclass(kw_only=True)
class Encoder(Trained):
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
    weights : str
        ``scratch``, ``imagenet`` (the published ones; width and layers as published) or the
        path of a checkpoint, whose last layer is replaced where the number of classes differs.
    norm : str
        ``batch`` as published, or ``channels``: each place of a feature map by itself, so that
        the network can be trained tile by tile.
    freeze : bool
        Train the last layer only; the features stay as the weights have them.
    dense : bool
        Compute the patches of an image in one pass where their grid fits the network's stride
        of 8 px: the same embeddings in a fraction of the time.
    inference : str
        Precision of embeddings: ``float32``, ``bfloat16``, or ``auto`` (the latter where the
        processor has instructions for it); of training, ``precision``.
    epochs, batch_size, lr, crop, ...
        How to train; see :class:`~patchbench.networks.settings.Trained`.
    """

    patch_size_px: int
    receptive_field_px: int = 17
    width: int = BAGNET_WIDTH
    layers: tuple[int, ...] = BAGNET_LAYERS
    weights: str = SCRATCH
    norm: str = BATCH
    freeze: bool = False
    dense: bool = True
    inference: str = "float32"
    crop: float = 0.75

    supervised: ClassVar[bool] = True
    trained: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    control: ClassVar[bool] = False
    head: ClassVar[tuple[str, str]] = ("network.fc.weight", "network.fc.bias")
    summary: ClassVar[str] = (
        "Features of a residual network that sees only a small square at a time (BagNet), "
        "trained on the classes of whole images."
    )
    source: ClassVar[str] = "Brendel & Bethge, ICLR 2019, arXiv:1904.00760"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bagnet(self.receptive_field_px, self.width, self.layers, self.weights, self.norm)
        check_choice("inference", self.inference, PRECISIONS)
        if self.patch_size_px < self.receptive_field_px:
            raise ValueError(
                f"patch_size_px is {self.patch_size_px}, less than receptive_field_px "
                f"{self.receptive_field_px}; take larger patches or another BagNet"
            )
        check_freeze(self.freeze, self.weights)

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return 32 * self.width

    def published(self) -> "Published":
        """Where the published weights are."""
        from patchbench.networks.published import bagnet

        return bagnet(self.receptive_field_px)

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
        from patchbench.networks.checkpoints import start_from
        from patchbench.networks.image_classification import LabelledImages, train_classifier
        from patchbench.networks.pixels import Scale
        from patchbench.networks.reproducible import reproducible

        if data.train_labels is None or data.val_labels is None:
            raise ValueError("BagNet learns from labels of images, but none were handed over")
        crop, (height_px, width_px) = self.recipe.augmentation, data.images.shape[1:3]
        check_bagnet_crop("encoder bagnet", crop, self.receptive_field_px, height_px, width_px)
        seed = derive(self.seed, "encoder", "bagnet")
        with reproducible(seed, self.threads):
            self._network = self._build(data.n_classes)
            if self.weights == SCRATCH:
                self._scale = Scale.of(data.images, data.train_rows)
            else:
                self._scale = Scale.imagenet()
                start_from(self._network, data.weights, "fc.", freeze=self.freeze)
            history = train_classifier(
                self._network,
                LabelledImages(data.images, data.train_rows, data.train_labels),
                LabelledImages(data.images, data.val_rows, data.val_labels),
                self._scale,
                self.recipe,
                seed,
                "bagnet",
            )
        self._prepare()
        return history

    def _build(self, n_classes: int) -> "BagNet":
        from patchbench.networks.bagnet import SHORT_TRAINING_MOMENTUM, BagNet
        from patchbench.networks.weights import placed

        shape = (self.receptive_field_px, n_classes, self.width, self.layers)
        return placed(BagNet(*shape, SHORT_TRAINING_MOMENTUM, self.norm), self.device)

    def _prepare(self) -> None:
        from patchbench.networks.folding import folded
        from patchbench.networks.precision import dtype_of

        self._dtype = dtype_of(self.inference, self.device)
        self._folded = folded(self._network).to(self._dtype)

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Uint8 (n, patch_size_px, patch_size_px, 3) to float32 (n, dim)."""
        from patchbench.networks.inference import in_batches
        from patchbench.networks.reproducible import reproducible

        pixels = checked(pixels, self.patch_size_px)
        with reproducible(self.seed, self.threads):
            return in_batches(
                lambda images: self._folded.embed(images.to(self._dtype)).float().mean(dim=(1, 2)),
                pixels,
                np.arange(len(pixels)),
                self._scale,
                self.device,
                _BATCH_PATCHES,
            )

    def takes_grid(self, ys: np.ndarray, xs: np.ndarray, height_px: int, width_px: int) -> bool:
        """Whether :meth:`encode_grid` works for patches at these top and left edges."""
        from patchbench.networks.dense import fits

        sides = ((ys, height_px), (xs, width_px))
        return self.dense and all(fits(at, self.patch_size_px, side) for at, side in sides)

    def encode_grid(self, images: np.ndarray, ys: np.ndarray, xs: np.ndarray) -> np.ndarray:
        """Embeddings of every patch of a grid, in one pass over each image.

        Parameters
        ----------
        images : uint8 array, (n, height_px, width_px, 3)
            Whole images.
        ys, xs : int array
            Top and left edges of the patches, such that :meth:`takes_grid`.

        Returns
        -------
        embeddings : float32 array, (n * len(ys) * len(xs), dim)
            Image by image, row by row; equal to those of :meth:`encode` up to rounding.
        """
        from patchbench.networks.dense import patch_means
        from patchbench.networks.inference import in_batches
        from patchbench.networks.reproducible import reproducible

        with reproducible(self.seed, self.threads):
            return in_batches(
                lambda batch: patch_means(
                    lambda part: self._folded.embed(part.to(self._dtype)).float(),
                    batch,
                    (ys, xs),
                    self.patch_size_px,
                    self.receptive_field_px,
                ),
                images,
                np.arange(len(images)),
                self._scale,
                self.device,
                _BATCH_IMAGES,
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
