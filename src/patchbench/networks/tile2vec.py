"""The network of Tile2Vec, its triplets of tiles and its loss.

Jean, Wang, Samar, Azzari, Lobell & Ermon, "Tile2Vec: Unsupervised representation learning for
spatially distributed data", AAAI 2019, arXiv:1805.02855: a tile's neighbour is probably alike,
a distant tile probably not, so embeddings that keep neighbours near and distant tiles far
learn what a place looks like without any label.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from patchbench.errors import UserError

N_STAGES = 5
BLOCKS_PER_STAGE = 2


class Block(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    norm_after: ClassVar[dict[str, str]] = {"conv1": "bn1", "conv2": "bn2"}

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)
            )

    def forward(self, features: Tensor) -> Tensor:
        """(n, n_in, rows, cols) to (n, n_out, rows / stride, cols / stride)."""
        out = functional.relu(self.bn1(self.conv1(features)), inplace=True)
        out = self.bn2(self.conv2(out)).add_(self.shortcut(features))
        return functional.relu(out, inplace=True)


class Tile2Vec(nn.Module):
    """The published change of ResNet-18: five stages of two blocks, 3x3 stem of stride 1.

    Parameters
    ----------
    dim : int
        Channels of the last stage, which are the embedding; 512 as published.
    width : int
        Channels of the first stage, doubled in each of the next three; 64 as published.
    """

    norm_after: ClassVar[dict[str, str]] = {"conv1": "bn1"}

    def __init__(self, dim: int = 512, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        n_in = width
        blocks = []
        for stage in range(N_STAGES):
            n_out = width << stage if stage < N_STAGES - 1 else dim
            for block in range(BLOCKS_PER_STAGE):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(Block(n_in, n_out, stride))
                n_in = n_out
        self.blocks = nn.Sequential(*blocks)

    def forward(self, tiles: Tensor) -> Tensor:
        """(n, 3, height, width) to embeddings (n, dim)."""
        out = functional.relu(self.bn1(self.conv1(tiles)), inplace=True)
        embeddings: Tensor = self.blocks(out).mean(dim=(2, 3))
        return embeddings


@dataclass(frozen=True)
class Triplets:
    """Draws anchor, neighbour and distant tiles from images.

    Attributes
    ----------
    images : uint8 array, (n_images, height, width, 3)
        All images; may be memory-mapped.
    rows : int array
        Images to draw from, at least 2.
    tile_px : int
        Side of a tile.
    radius_px : int
        The neighbour lies at most this far from the anchor along each axis; the distant tile
        lies anywhere in another image.
    """

    images: np.ndarray
    rows: np.ndarray
    tile_px: int
    radius_px: int

    def __post_init__(self) -> None:
        if len(self.rows) < 2:
            raise UserError(
                f"triplets need tiles from at least 2 images, but a split has {len(self.rows)}"
            )

    def draw(self, n_triplets: int, rng: np.random.Generator) -> np.ndarray:
        """Places of tiles: int array, (n_triplets, 3, 3).

        Along the second axis anchor, neighbour and distant tile; along the last, the row of
        the image, y and x of the tile's corner in px.
        """
        room = np.array(self.images.shape[1:3]) - self.tile_px
        first = rng.integers(0, len(self.rows), n_triplets)
        other = (first + rng.integers(1, len(self.rows), n_triplets)) % len(self.rows)
        anchor = rng.integers(0, room + 1, (n_triplets, 2))
        lowest = np.maximum(anchor - self.radius_px, 0)
        highest = np.minimum(anchor + self.radius_px, room)
        neighbour = rng.integers(lowest, highest + 1)
        distant = rng.integers(0, room + 1, (n_triplets, 2))
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
    """Mean over triplets of the hinge on distances, and ``l2`` times the length of embeddings.

    Parameters
    ----------
    embeddings : float tensor, (3 * n_triplets, dim)
        In the order of :meth:`Triplets.cut`.
    margin : float
        How much farther than the neighbour the distant tile shall be.
    l2 : float
        Weight of the mean Euclidean norm, summed over the three tiles.
    """
    anchor, neighbour, distant = embeddings.chunk(3)
    near = torch.linalg.vector_norm(anchor - neighbour, dim=1)
    far = torch.linalg.vector_norm(anchor - distant, dim=1)
    lengths = torch.linalg.vector_norm(embeddings, dim=1)
    return functional.relu(near - far + margin).mean() + l2 * 3 * lengths.mean()
