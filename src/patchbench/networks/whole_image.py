"""The whole-image CNN that patch methods are measured against, from scratch or from ImageNet.

Networks by torchvision: ResNet (He et al., CVPR 2016, arXiv:1512.03385) and VGG with batch
norm (Simonyan & Zisserman, ICLR 2015, arXiv:1409.1556). Ours: BagNet (Brendel & Bethge, ICLR
2019, arXiv:1904.00760), which sees all places of an image but each through a small square.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from patchbench.checks import check_choice, check_counts
from patchbench.networks.settings import (
    BAGNET_LAYERS,
    BAGNET_TYPES,
    BAGNET_WIDTH,
    CNN_TYPES,
    SCRATCH,
    Trained,
    check_bagnet,
    check_bagnet_crop,
    check_freeze,
)
from patchbench.plugins import construct
from patchbench.seeds import derive

if TYPE_CHECKING:
    from torch import nn

    from patchbench.networks.course import Checkpoint
    from patchbench.networks.published import Published

_RESNET = "residual network of {} layers", "He et al., CVPR 2016, arXiv:1512.03385"
_BAGNET = (
    "BagNet that sees the whole image, each place through {0} x {0} px",
    "Brendel & Bethge, ICLR 2019, arXiv:1904.00760",
)
# what each type of network is, and its paper
ABOUT = {
    "resnet18": (_RESNET[0].format(18), _RESNET[1]),
    "resnet50": (_RESNET[0].format(50), _RESNET[1]),
    "vgg16_bn": (
        "VGG network of 16 layers with batch normalisation",
        "Simonyan & Zisserman, ICLR 2015, arXiv:1409.1556",
    ),
} | {name: (_BAGNET[0].format(px), _BAGNET[1]) for name, px in BAGNET_TYPES.items()}

# the last layer, which tells the classes
_HEADS = {"vgg16_bn": "classifier.6."}
_HEAD = "fc."


def open_cnn(entry: str, spec: Mapping[str, Any], **fixed: Any) -> "WholeImageCnn":
    """The network that an entry of the config's ``cnns`` describes.

    Parameters
    ----------
    entry : str
        Name of the entry; also its type unless ``spec`` has one.
    spec : mapping
        Settings of the entry.
    **fixed
        ``seed``, ``device`` and ``threads``.
    """
    cnn: WholeImageCnn = construct(WholeImageCnn, f"cnns.{entry}", {"type": entry, **spec}, **fixed)
    return cnn


@dataclass(kw_only=True)
class WholeImageCnn(Trained):
    """A CNN that sees the whole image at once.

    Parameters
    ----------
    type : str
        ``resnet18``, ``resnet50``, ``vgg16_bn``, ``bagnet9``, ``bagnet17`` or ``bagnet33``.
    width, layers : int, list of 4 ints
        Of a BagNet: channels of the stem, and blocks per stage; as published unless given.
    weights : str
        ``scratch``, ``imagenet`` (torchvision's first published set; of a BagNet the authors')
        or the path of a checkpoint, whose last layer is replaced where the number of classes
        differs.
    freeze : bool
        Train the last layer only; the features stay as the weights have them.
    epochs, batch_size, lr, crop, ...
        How to train; see :class:`~patchbench.networks.settings.Trained`.
    """

    type: str = "resnet18"
    width: int | None = None
    layers: tuple[int, ...] | None = None
    weights: str = SCRATCH
    freeze: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("type", self.type, CNN_TYPES)
        check_counts(epochs=self.epochs)
        check_freeze(self.freeze, self.weights)
        if self.is_bagnet:
            check_bagnet(BAGNET_TYPES[self.type], *self._size, self.weights)
        elif self.width is not None or self.layers is not None:
            raise ValueError(
                f"width and layers are settings of BagNets, and type is {self.type!r}; leave them "
                f"out, or choose one of {', '.join(BAGNET_TYPES)}"
            )

    @property
    def is_bagnet(self) -> bool:
        """Whether its logits are means of those of small squares."""
        return self.type in BAGNET_TYPES

    @property
    def _size(self) -> tuple[int, tuple[int, ...]]:
        return self.width or BAGNET_WIDTH, self.layers or BAGNET_LAYERS

    def published(self) -> "Published":
        """Where the published weights are."""
        from patchbench.networks import published

        if self.is_bagnet:
            return published.bagnet(BAGNET_TYPES[self.type])
        return published.cnn(self.type)

    def fit(
        self,
        images: np.ndarray,
        train_rows: np.ndarray,
        train_labels: np.ndarray,
        val_rows: np.ndarray,
        val_labels: np.ndarray,
        n_classes: int,
        *,
        weights: Path | None = None,
        checkpoint: "Checkpoint | None" = None,
    ) -> pd.DataFrame:
        """Train on the train rows, keep the epoch that is best on val.

        Parameters
        ----------
        images : uint8 array, (n_images, height, width, 3)
            All images, RGB; may be memory-mapped.
        train_rows, val_rows : int array
            Rows of ``images``.
        train_labels, val_labels : int array
            Labels of those rows.
        n_classes : int
            Length of the logits.
        weights : Path or None
            File of weights to start from; needed unless ``weights`` is ``scratch``.
        checkpoint : Checkpoint or None
            Where to keep how far the training is, and to go on from after a kill.

        Returns
        -------
        history : DataFrame
            Table "history".
        """
        from patchbench.networks.checkpoints import start_from
        from patchbench.networks.image_classification import LabelledImages, train_classifier
        from patchbench.networks.pixels import Scale
        from patchbench.networks.reproducible import reproducible

        if self.is_bagnet:
            field_px, sides = BAGNET_TYPES[self.type], images.shape[1:3]
            check_bagnet_crop(f"cnn {self.type}", self.recipe.augmentation, field_px, *sides)
        seed = derive(self.seed, "cnn", self.type)
        self._n_classes = n_classes
        with reproducible(seed, self.threads):
            from_scratch = self.weights == SCRATCH
            self._scale = Scale.of(images, train_rows) if from_scratch else Scale.imagenet()
            self._network = self._build(n_classes)
            if not from_scratch:
                head = _HEADS.get(self.type, _HEAD)
                start_from(self._network, weights, head, freeze=self.freeze)
            return train_classifier(
                self._network,
                LabelledImages(images, train_rows, train_labels),
                LabelledImages(images, val_rows, val_labels),
                self._scale,
                self.recipe,
                seed,
                self.type,
                checkpoint,
            )

    def _build(self, n_classes: int) -> "nn.Module":
        from patchbench.networks.weights import placed

        if self.is_bagnet:
            from patchbench.networks.bagnet import SHORT_TRAINING_MOMENTUM, BagNet

            shape = (BAGNET_TYPES[self.type], n_classes, *self._size)
            return placed(BagNet(*shape, SHORT_TRAINING_MOMENTUM), self.device)
        from patchbench.networks.torchvision_models import build

        return placed(build(self.type, n_classes), self.device)

    def predict_logits(self, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Logits of the chosen rows of ``images``: float32 array, (n_rows, n_classes)."""
        from patchbench.networks.image_classification import predict_logits
        from patchbench.networks.reproducible import reproducible

        with reproducible(self.seed, self.threads):
            return predict_logits(self._network, images, rows, self._scale, self.device)

    def state(self) -> dict[str, np.ndarray]:
        """Everything learned, as named arrays."""
        from patchbench.networks.weights import to_arrays

        n_classes = np.array(self._n_classes)
        return to_arrays(self._network) | self._scale.state() | {"n_classes": n_classes}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take back what :meth:`state` gave."""
        from patchbench.networks.pixels import Scale
        from patchbench.networks.weights import from_arrays

        self._scale = Scale.restored(state)
        self._n_classes = int(state["n_classes"])
        self._network = self._build(self._n_classes)
        from_arrays(self._network, state)
        self._network.eval()
