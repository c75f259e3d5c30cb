"""BagNets over images of any size, forward and backward, in the memory of one tile.

    from patchbench.streaming import stream_logits
    from patchbench.windows import open_windows

    with open_windows("slide.tif") as image:
        found = stream_logits(model, image, scale=scale, max_memory_mib=512)

`stream_logits` and `stream_gradients` are exact: they give what the pass over the whole image
gives, up to rounding. `stream_fit` trains on many such images; `ask_patches` asks patches one
by one, all or a share.
"""

from patchbench.streaming.choosing import (
    choose_patches,
    count_patches,
    local_contrast,
    patch_boxes,
)
from patchbench.streaming.fitting import (
    LargeImages,
    Streaming,
    predict_streamed,
    stream_batch,
    stream_fit,
)
from patchbench.streaming.inference import Streamed, stream_logits
from patchbench.streaming.patches import PatchLogits, ask_patches, patch_gradients
from patchbench.streaming.training import StreamedLoss, stream_gradients

__all__ = [
    "LargeImages",
    "PatchLogits",
    "Streamed",
    "StreamedLoss",
    "Streaming",
    "ask_patches",
    "choose_patches",
    "count_patches",
    "local_contrast",
    "patch_boxes",
    "patch_gradients",
    "predict_streamed",
    "stream_batch",
    "stream_fit",
    "stream_gradients",
    "stream_logits",
]
