"""Learn from triplets of tiles: hold neighbours together, keep distant tiles apart.

The training of Tile2Vec (Jean et al., AAAI 2019, arXiv:1805.02855): a tile's neighbour is
probably alike, a tile from elsewhere probably not, so no label is needed.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from patchbench.errors import UserError
from patchbench.networks.augment import augmented
from patchbench.networks.pixels import Scale
from patchbench.networks.precision import autocast
from patchbench.networks.settings import ANYWHERE, OTHER_IMAGE, Recipe
from patchbench.networks.training import train

MAX_VAL_TRIPLETS = 512


@dataclass(frozen=True)
class Triplets:
    """Draws anchor, neighbour and distant tiles from images.

    Attributes
    ----------
    images : uint8 array, (n_images, height, width, 3)
        All images; may be memory-mapped.
    rows : int array
        Images to draw from; drawing takes at least 2.
    tile_px : int
        Side of a tile.
    radius_px : int
        The neighbour lies at most this far from the anchor along each axis.
    distant : str
        ``other-image``: the distant tile lies anywhere in another image; ``anywhere``: in any
        image, in the anchor's own farther than the radius along both axes (always in another image
        where there is no room for that).
    """

    images: np.ndarray
    rows: np.ndarray
    tile_px: int
    radius_px: int
    distant: str = OTHER_IMAGE

    def draw(self, n_triplets: int, rng: np.random.Generator) -> np.ndarray:
        """Places of tiles: int array, (n_triplets, 3, 3).

        Along the second axis anchor, neighbour and distant tile; along the last, the row of
        the image, y and x of the tile's corner in px.

        Raises
        ------
        UserError
            If the distant tile has nowhere to come from.
        """
        n_images, room = len(self.rows), np.array(self.images.shape[1:3]) - self.tile_px
        far_within = self.distant == ANYWHERE and room.min() > 2 * self.radius_px
        if n_images < (1 if far_within else 2):
            raise UserError(
                f"triplets need tiles from at least 2 images, but there are {n_images}; "
                "give the train split more images"
            )
        first = rng.integers(0, n_images, n_triplets)
        anchor = rng.integers(0, room + 1, (n_triplets, 2))
        lowest = np.maximum(anchor - self.radius_px, 0)
        highest = np.minimum(anchor + self.radius_px, room)
        neighbour = rng.integers(lowest, highest + 1)
        distant = rng.integers(0, room + 1, (n_triplets, 2))
        other = (first + rng.integers(min(1, n_images - 1), n_images, n_triplets)) % n_images
        if far_within:
            other = rng.integers(0, n_images, n_triplets)
            # along each axis, skip the places from lowest to highest
            place = rng.integers(0, room - (highest - lowest))
            far = place + np.where(place < lowest, 0, highest - lowest + 1)
            distant = np.where((other == first)[:, None], far, distant)
        images = self.rows[np.stack([first, first, other], axis=1)]
        corners = np.stack([anchor, neighbour, distant], axis=1)
        return np.concatenate([images[..., None], corners], axis=2)

    def cut(self, places: np.ndarray) -> np.ndarray:
        """Tiles at ``places``: uint8 array, (3 * n_triplets, tile_px, tile_px, 3).

        All anchors first, then all neighbours, then all distant tiles.
        """
        side = self.tile_px
        ordered = places.transpose(1, 0, 2).reshape(-1, 3)
        return np.stack([self.images[i, y : y + side, x : x + side] for i, y, x in ordered])


def triplet_loss(embeddings: Tensor, margin: float, l2: float) -> Tensor:
    """Mean over triplets of the hinge on distances, and ``l2`` times the norm of embeddings.

    Parameters
    ----------
    embeddings : float tensor, (3 * n_triplets, dim)
        In the order of :meth:`Triplets.cut`.
    margin : float
        How much farther than the neighbour the distant tile shall be.
    l2 : float
        Weight of the norms of the three batches of embeddings, each taken as one long vector,
        as in the published code.
    """
    batches = anchor, neighbour, distant = embeddings.chunk(3)
    near = torch.linalg.vector_norm(anchor - neighbour, dim=1)
    far = torch.linalg.vector_norm(anchor - distant, dim=1)
    length = torch.stack([torch.linalg.vector_norm(batch) for batch in batches]).sum()
    loss: Tensor = functional.relu(near - far + margin).mean() + l2 * length
    return loss


def train_on_triplets(
    network: nn.Module,
    train_tiles: Triplets,
    val_tiles: Triplets,
    n_triplets: int,
    distance: tuple[float, float],
    scale: Scale,
    recipe: Recipe,
    seed: int,
) -> pd.DataFrame:
    """Train by :func:`triplet_loss` on fresh triplets each epoch; see :func:`training.train`.

    ``distance`` is ``margin`` and ``l2`` of the loss. Val triplets are drawn once.

    Returns
    -------
    history : DataFrame
        Table "history": loss on train and val; on val also ``ordered``, the share of triplets
        whose distant tile is farther away than the neighbour.
    """
    device = recipe.computation.device
    rng = np.random.default_rng(seed)
    places = np.empty((0, 3, 3), int)
    if len(val_tiles.rows) > 1:
        places = val_tiles.draw(min(n_triplets, MAX_VAL_TRIPLETS), rng)

    def batch_loss(rows: np.ndarray, rng: np.random.Generator) -> Tensor:
        tiles = train_tiles.cut(train_tiles.draw(len(rows), rng))
        images = augmented(tiles, recipe.augmentation, rng)
        with autocast(recipe.computation):
            embeddings = network(scale.apply(images, device))
        return triplet_loss(embeddings.float(), *distance)

    def validation() -> dict[str, float]:
        if not len(places):
            return {}
        parts = np.array_split(places, max(1, len(places) // recipe.plan.batch_size))
        losses, ordered = [], 0
        for part in parts:
            with autocast(recipe.computation):
                embeddings = network(scale.tensor(val_tiles.cut(part), device)).float()
            anchor, neighbour, distant = embeddings.chunk(3)
            near, far = (torch.linalg.vector_norm(anchor - o, dim=1) for o in (neighbour, distant))
            losses.append(len(part) * triplet_loss(embeddings, *distance).item())
            ordered += int((far > near).sum())
        return {"loss": sum(losses) / len(places), "ordered": ordered / len(places)}

    return train(network, batch_loss, n_triplets, validation, recipe.plan, seed, "tile2vec")
