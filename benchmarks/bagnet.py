"""BagNet as it is computed here against the published network computed as published.

    .venv/bin/python benchmarks/bagnet.py

Prints how many times faster ours is, and how far its logits are away. The published network is
that of pytorchcv, whose weights, and so whose function, are the authors'; tests hold ours to it.
"""

import torch
from _in_turn import ratio
from pytorchcv.models import bagnet as published_bagnets
from torch import Tensor, nn

from patchbench.networks.bagnet import FEATURE_STRIDE_PX, BagNet
from patchbench.networks.folding import folded
from patchbench.networks.weights import placed

# the authors' own function hands 1,000 patches to the network at a time
SIDE_PX, N_IMAGES, BATCH_PATCHES = 224, 8, 1000


def pair(receptive_field_px: int) -> tuple[nn.Module, BagNet]:
    """The published network and ours with the same random weights, batch norms warmed up."""
    torch.manual_seed(0)
    published = getattr(published_bagnets, f"bagnet{receptive_field_px}")()
    for module in published.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.5)
    ours = BagNet(receptive_field_px)
    values = published.state_dict().values()
    ours.load_state_dict(dict(zip(ours.state_dict(), values, strict=True)))
    return published.eval(), placed(folded(ours), "cpu")


def whole_images(receptive_field_px: int, dtype: torch.dtype, batch_images: int) -> None:
    """Logits of whole images: ours one after the other, as the encoder does it."""
    published, ours = pair(receptive_field_px)
    ours.to(dtype)
    images = torch.randn(N_IMAGES, 3, SIDE_PX, SIDE_PX)
    last = images.to(dtype).contiguous(memory_format=torch.channels_last)
    published.features.final_pool = nn.AdaptiveAvgPool2d(1)

    def as_published() -> Tensor:
        return torch.cat([published(batch) for batch in images.split(batch_images)])

    def as_here() -> Tensor:
        return torch.cat([ours(image) for image in last.split(1)])

    what = f"whole images, published in batches of {batch_images}"
    told(receptive_field_px, what, dtype, ratio(as_published, as_here), as_published(), as_here())


def patch_by_patch(receptive_field_px: int, dtype: torch.dtype) -> None:
    """Logits of every patch of an image, 8 px apart: one after the other, and in one pass."""
    published, ours = pair(receptive_field_px)
    ours.to(dtype)
    published.features.final_pool = nn.Identity()
    image = torch.randn(1, 3, SIDE_PX, SIDE_PX)
    windows = image[0].unfold(1, receptive_field_px, FEATURE_STRIDE_PX)
    windows = windows.unfold(2, receptive_field_px, FEATURE_STRIDE_PX)
    patches = windows.permute(1, 2, 0, 3, 4).flatten(0, 1).contiguous()
    last = image.to(dtype).contiguous(memory_format=torch.channels_last)

    def one_by_one() -> Tensor:
        return torch.cat([published(batch) for batch in patches.split(BATCH_PATCHES)])

    def dense() -> Tensor:
        return ours.patch_logits(last).flatten(0, 2)

    times = ratio(one_by_one, dense)
    told(receptive_field_px, "patch by patch, 8 px apart", dtype, times, one_by_one(), dense())


def told(
    receptive_field_px: int,
    what: str,
    dtype: torch.dtype,
    times: float,
    wanted: Tensor,
    found: Tensor,
) -> None:
    """Print one line."""
    error = ((found.float() - wanted).norm() / wanted.norm()).item()
    name = f"BagNet-{receptive_field_px}, {what}, {str(dtype).removeprefix('torch.')}"
    print(f"{name:66s} {times:5.1f} times as fast, relative error {error:.1e}", flush=True)


if __name__ == "__main__":
    with torch.inference_mode():
        for receptive_field_px in (9, 17, 33):
            for dtype in (torch.float32, torch.bfloat16):
                whole_images(receptive_field_px, dtype, batch_images=N_IMAGES)
                whole_images(receptive_field_px, dtype, batch_images=1)
        patch_by_patch(33, torch.float32)
        patch_by_patch(33, torch.bfloat16)
