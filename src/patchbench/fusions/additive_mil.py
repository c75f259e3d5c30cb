"""Additive multiple instance learning: every patch's part in the decision is exact.

Javed et al., "Additive MIL: intrinsically interpretable multiple instance learning for pathology",
NeurIPS 2022, arXiv:2206.01794. Attention weighs embeddings first, then each speaks through the
same small network, and what they say is added up.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from patchbench.fusions._attention import Attention

if TYPE_CHECKING:
    from torch import nn


@dataclass(kw_only=True)
class Fusion(Attention):
    """Additive pooling; settings of :class:`Attention`."""

    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    summary: ClassVar[str] = "sum of what each attended embedding says (additive MIL)"
    source: ClassVar[str] = "Javed et al. 2022"

    def _build(self, dim: int, n_classes: int) -> "nn.Module":
        from patchbench.networks.attention import AdditivePooling

        return AdditivePooling(dim, n_classes, self.width, self.dropout)
