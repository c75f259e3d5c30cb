"""BagNets over images of any size, forward and backward, in the memory of one tile.

    from patchbench.streaming import stream_logits
    from patchbench.windows import open_windows

    with open_windows("slide.tif") as image:
        found = stream_logits(model, image, scale=scale, max_memory_mib=512)

Both are exact: they give what the pass over the whole image gives, up to rounding.
"""

from patchbench.streaming.inference import Streamed, stream_logits
from patchbench.streaming.training import StreamedLoss, stream_gradients

__all__ = ["Streamed", "StreamedLoss", "stream_gradients", "stream_logits"]
