"""A BagNet is asked about patches by themselves: all of them, or a share, random or guided."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patchbench.measuring import INFERENCE
from patchbench.ways._looks import Look, Looking, OfBagNet, loss
from patchbench.windows import Windows

CONTRAST = "contrast"


@dataclass(kw_only=True)
class Way(OfBagNet):
    """A BagNet and patches, a few at work at once; its other settings are of :class:`OfBagNet`.

    In memory stay the logits of every patch that was asked about, in training of every place, and
    the numbers of all patches while some are drawn: they grow with the image, though slowly.

    Parameters
    ----------
    patch_px : int or null
        Side of a patch; by default the receptive field, so that a patch is one place. Neighbouring
        patches overlap by what a feature sees beyond its step of 8 px.
    share : float
        Of the patches, above 0 to 1.
    guide : str or null
        ``contrast`` takes the patches with most contrast, for which every pixel is read once
        before the first patch is asked about; by default a share is drawn at random.
    """

    patch_px: int | None = None
    share: float = 1.0
    guide: str | None = None

    summary: ClassVar[str] = "a BagNet asked about patches by themselves, all or a share of them"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share <= 1:
            raise ValueError(f"share is {self.share:g}; give a share above 0, at most 1")
        if self.patch_px is not None and self.patch_px < self.receptive_field_px:
            raise ValueError(
                f"patch_px is {self.patch_px}, less than the {self.receptive_field_px} px that one "
                "feature sees; give at least as many, or null"
            )
        if self.guide not in (None, CONTRAST):
            raise ValueError(f"guide is {self.guide!r}; choose {CONTRAST}, or null for none")

    def ready(self, task: str) -> Looking:
        """Build the network; what is given looks at an image."""
        from patchbench.networks.pixels import Scale
        from patchbench.streaming import (
            ask_patches,
            choose_patches,
            count_patches,
            local_contrast,
            patch_gradients,
        )

        network, scale = self.network(), Scale.imagenet()
        patch_px = self.patch_px or self.receptive_field_px

        def look(image: Windows) -> Look:
            n_patches = count_patches(network, image.height_px, image.width_px, patch_px)
            guiding = local_contrast(network, image, patch_px, scale) if self.guide else None
            chosen = choose_patches(n_patches, self.share, self.seed, guiding)
            if task == INFERENCE:
                found = ask_patches(network, image, patch_px, chosen, scale=scale)
                return Look(found.logits.cpu().numpy(), len(chosen), patch_px)
            value = patch_gradients(network, image, loss, patch_px, chosen, scale=scale)
            return Look(np.array([value]), len(chosen), patch_px)

        return look
