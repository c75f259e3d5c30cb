"""Norms of feature maps, by the name that a setting gives them."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from patchbench.networks.settings import BATCH, CHANNELS


class ChannelNorm(nn.LayerNorm):
    """Centre and scale the channels of every place by themselves, then scale and shift each.

    Layer norm (Ba, Kiros & Hinton 2016, arXiv:1607.06450) of each place, as in "Positional
    normalization" (Li et al., NeurIPS 2019, arXiv:1907.04312). What a place becomes depends on
    no other place and no other image, so tiles give what the whole image gives, in training as at
    inference. Group norm (Wu & He 2018, arXiv:1803.08494) has no batch either, but its statistics
    are of all places, those of a tile other than those of its image.

    Its price: how strong a place is gets lost, and a narrow network starts slowly from scratch.
    Batch norms that learnt their statistics on batches of patches, and then keep them, stream too.
    """

    def forward(self, features: Tensor) -> Tensor:
        """(n, channels, rows, cols), of the same shape; nothing is copied if channels are last."""
        found = functional.layer_norm(
            features.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps
        )
        return found.permute(0, 3, 1, 2)


Norm = Callable[[int], nn.Module]

NORMS: dict[str, Norm] = {BATCH: nn.BatchNorm2d, CHANNELS: ChannelNorm}
