"""Tile2Vec: embeddings learned without labels from which tiles lie near each other.

Jean, Wang, Samar, Azzari, Lobell & Ermon, "Tile2Vec: Unsupervised representation learning for
spatially distributed data", AAAI 2019, arXiv:1805.02855. Published with tiles of aerial
pictures hundreds of tiles wide; in photographs a few tiles wide, a neighbour is rather a tile at
most one tile away, and a distant tile one of another image.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from patchbench.checks import check_choice, check_counts
from patchbench.errors import UserError
from patchbench.networks.settings import (
    DISTANT,
    Trained,
)
from patchbench.patchset import checked
from patchbench.seeds import derive

if TYPE_CHECKING:
    import pandas as pd

    from patchbench.networks.tile2vec import Tile2Vec
    from patchbench.networks.triplets import Triplets
    from patchbench.patchset import TrainingData

_BATCH_PATCHES = 64


@dataclass(kw_only=True)
class Encoder(Trained):
    """Tile2Vec embedding of a patch; the defaults are the published recipe.

    Parameters
    ----------
    patch_size_px : int
        Side of the patches, and of the tiles trained on.
    dim : int
        Length of an embedding.
    width : int
        Channels of the first stage.
    n_triplets : int
        Triplets drawn in an epoch; fresh ones each time, where the paper has 100,000 fixed.
    margin : float
        How much farther than the neighbour the distant tile shall be.
    l2 : float
        Weight of the norm of the embeddings in the loss.
    neighbour_radius_px : int or None
        The neighbour is at most this far from the anchor along each axis: 100 px as published,
        for aerial pictures; None is one patch, for photographs.
    distant : str
        Where the distant tile comes from: ``anywhere`` as published (another image or, farther
        than the radius along both axes, the same), or ``other-image``.
    epochs, batch_size, lr, betas, schedule, ...
        How to train; see :class:`~patchbench.networks.settings.Trained`. A batch is that many
        triplets; 0 epochs leave the network untrained, to show what training buys.
    """

    patch_size_px: int
    dim: int = 512
    width: int = 64
    n_triplets: int = 100_000
    margin: float = 10.0
    l2: float = 0.01
    neighbour_radius_px: int | None = None
    distant: str = "anywhere"
    epochs: int = 50
    batch_size: int = 50
    lr: float = 0.001
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.5, 0.999)
    schedule: str = "constant"
    quarter_turns: bool = True

    supervised: ClassVar[bool] = False
    trained: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    control: ClassVar[bool] = False
    summary: ClassVar[str] = (
        "Embeddings that hold neighbouring tiles together and distant ones apart (Tile2Vec), "
        "trained without labels."
    )
    source: ClassVar[str] = "Jean et al., AAAI 2019, arXiv:1805.02855"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(
            patch_size_px=self.patch_size_px,
            dim=self.dim,
            width=self.width,
            n_triplets=self.n_triplets,
        )
        if self.neighbour_radius_px is None:
            self.neighbour_radius_px = self.patch_size_px
        check_counts(neighbour_radius_px=self.neighbour_radius_px)
        check_choice("distant", self.distant, DISTANT)
        if not self.margin > 0:
            raise ValueError(f"margin is {self.margin}; give a number above 0")
        if not self.l2 >= 0:
            raise ValueError(f"l2 is {self.l2}; give 0 or more")

    @property
    def receptive_field_px(self) -> int:
        """Side of what an embedding sees: the whole patch."""
        return self.patch_size_px

    def fit(self, data: "TrainingData") -> "pd.DataFrame":
        """Train on triplets of train tiles, keep the epoch that is best on fixed val triplets.

        Parameters
        ----------
        data : TrainingData
            Only its images and the rows of its splits are used.

        Returns
        -------
        history : DataFrame
            Table "history": triplet loss on train and val; on val also ``ordered``, the share
            of triplets whose distant tile is farther than the neighbour.
        """
        from patchbench.networks.pixels import Scale
        from patchbench.networks.reproducible import reproducible
        from patchbench.networks.triplets import train_on_triplets

        self._check_tiles(*data.images.shape[1:3])
        seed = derive(self.seed, "encoder", "tile2vec")
        with reproducible(seed, self.threads):
            self._scale = Scale.of(data.images, data.train_rows)
            self._network = self._build()
            history = train_on_triplets(
                self._network,
                self._triplets(data.images, data.train_rows),
                self._triplets(data.images, data.val_rows),
                self.n_triplets,
                (self.margin, self.l2),
                self._scale,
                self.recipe,
                seed,
            )
        self._prepare()
        return history

    def _triplets(self, images: np.ndarray, rows: np.ndarray) -> "Triplets":
        from patchbench.networks.triplets import Triplets

        radius_px = self.neighbour_radius_px or self.patch_size_px
        return Triplets(images, rows, self.patch_size_px, radius_px, self.distant)

    def _check_tiles(self, height_px: int, width_px: int) -> None:
        if min(height_px, width_px) < self.patch_size_px:
            raise UserError(
                f"encoder tile2vec: images of {height_px} x {width_px} px hold no tile of "
                f"{self.patch_size_px} px; take smaller patches"
            )

    def _build(self) -> "Tile2Vec":
        from patchbench.networks.tile2vec import Tile2Vec
        from patchbench.networks.weights import placed

        network = Tile2Vec(self.dim, self.width)
        return placed(network, self.device)

    def _prepare(self) -> None:
        from patchbench.networks.folding import folded

        self._folded = folded(self._network)

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Uint8 (n, patch_size_px, patch_size_px, 3) to float32 (n, dim)."""
        from patchbench.networks.inference import in_batches
        from patchbench.networks.reproducible import reproducible

        pixels = checked(pixels, self.patch_size_px)
        rows = np.arange(len(pixels))
        with reproducible(self.seed, self.threads):
            return in_batches(self._folded, pixels, rows, self._scale, self.device, _BATCH_PATCHES)

    def state(self) -> dict[str, np.ndarray]:
        """Weights under their state-dict names after ``network.``, and the scale of the pixels."""
        from patchbench.networks.weights import to_arrays

        return to_arrays(self._network) | self._scale.state()

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take back what :meth:`state` gave."""
        from patchbench.networks.pixels import Scale
        from patchbench.networks.weights import from_arrays

        self._scale = Scale.restored(state)
        self._network = self._build()
        from_arrays(self._network, state)
        self._network.eval()
        self._prepare()
