"""Gated attention-based multiple instance learning: ABMIL with a gate on what is scored.

Ilse, Tomczak & Welling, "Attention-based deep multiple instance learning", ICML 2018,
arXiv:1802.04712, the gated form: the scoring layer is multiplied by a sigmoid, since the
hyperbolic tangent is nearly linear around 0.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from patchbench.fusions._attention import Attention

if TYPE_CHECKING:
    from torch import nn


@dataclass(kw_only=True)
class Fusion(Attention):
    """Gated attention pooling; settings of :class:`Attention`."""

    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    summary: ClassVar[str] = "gated attention pooling of the embeddings"
    source: ClassVar[str] = "Ilse, Tomczak & Welling 2018"

    def _build(self, dim: int, n_classes: int) -> "nn.Module":
        from patchbench.networks.attention import AttentionPooling

        return AttentionPooling(dim, n_classes, self.width, self.dropout, gated=True)
