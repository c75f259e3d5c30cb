"""Attention-based multiple instance learning (ABMIL): a learned weighted mean of the patches.

Ilse, Tomczak & Welling, "Attention-based deep multiple instance learning", ICML 2018,
arXiv:1802.04712. A small network scores each patch; a softmax of the scores over the image weighs
the patches' embeddings, and the weighted mean is classified. It is trained on whole images.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from patchbench.fusions._attention import Attention

if TYPE_CHECKING:
    from torch import nn


@dataclass(kw_only=True)
class Fusion(Attention):
    """Attention pooling; settings of :class:`Attention`."""

    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    summary: ClassVar[str] = "attention pooling of the embeddings (ABMIL)"
    source: ClassVar[str] = "Ilse, Tomczak & Welling 2018"

    def _build(self, dim: int, n_classes: int) -> "nn.Module":
        from patchbench.networks.attention import AttentionPooling

        return AttentionPooling(dim, n_classes, self.width, self.dropout, gated=False)
