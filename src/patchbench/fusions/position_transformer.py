"""A small transformer over the patches, each with a code of its place: it sees arrangements.

After Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021, arXiv:2010.11929, on patch
embeddings that somebody else made. Places are mirrored left and right half of the time while it
trains, as images are for the networks here. Without dropout by default: it slows the moment when
the network finds that places matter, before which there is nothing to over-fit.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from patchbench.checks import check_counts
from patchbench.fusions._attention import Attention

if TYPE_CHECKING:
    from torch import nn


@dataclass(kw_only=True)
class Fusion(Attention):
    """Self-attention with a position code; further settings of :class:`Attention`.

    Parameters
    ----------
    n_layers, n_heads : int
        Layers, and heads of attention in each; ``width`` is a multiple of ``n_heads``.
    """

    dropout: float = 0.0
    epochs: int = 60
    n_layers: int = 2
    n_heads: int = 4
    order_agnostic: ClassVar[bool] = False
    uses_position: ClassVar[bool] = True
    flips: ClassVar[bool] = True
    summary: ClassVar[str] = "transformer over embeddings that know their place"
    source: ClassVar[str] = "after Dosovitskiy et al. 2021"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(n_layers=self.n_layers, n_heads=self.n_heads)
        if self.width % self.n_heads:
            raise ValueError(
                f"width is {self.width} and n_heads is {self.n_heads}; give a width that is a "
                "multiple of n_heads"
            )

    def _build(self, dim: int, n_classes: int) -> "nn.Module":
        from patchbench.networks.attention import PositionTransformer

        return PositionTransformer(
            dim, n_classes, self.width, self.dropout, self.n_layers, self.n_heads
        )
