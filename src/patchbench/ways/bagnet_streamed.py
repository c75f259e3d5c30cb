"""A BagNet sees the image tile by tile; it gives what it gives in one pass, up to rounding."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patchbench.measuring import INFERENCE
from patchbench.ways._looks import Look, Looking, OfBagNet, loss
from patchbench.windows import Windows


@dataclass(kw_only=True)
class Way(OfBagNet):
    """A BagNet that is streamed; its other settings are those of :class:`OfBagNet`.

    Parameters
    ----------
    max_memory_mib : float
        For the feature maps of a tile, which is as large as this allows.
    """

    max_memory_mib: float = 512.0

    summary: ClassVar[str] = "a BagNet streamed over tiles that overlap, exact"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.max_memory_mib > 0:
            raise ValueError(f"max_memory_mib is {self.max_memory_mib:g}; give a number above 0")

    def ready(self, task: str) -> Looking:
        """Build the network; what is given looks at an image."""
        from patchbench.networks.pixels import Scale
        from patchbench.streaming import stream_gradients, stream_logits

        network, scale = self.network(), Scale.imagenet()

        def look(image: Windows) -> Look:
            if task == INFERENCE:
                found = stream_logits(
                    network, image, scale=scale, max_memory_mib=self.max_memory_mib
                )
                values = found.logits.cpu().numpy()
                return Look(values, found.n_tiles, found.tile_px, found.redundant_work)
            done = stream_gradients(
                network, image, loss, scale=scale, max_memory_mib=self.max_memory_mib
            )
            return Look(np.array([done.loss]), done.n_tiles, done.tile_px, done.redundant_work)

        return look
