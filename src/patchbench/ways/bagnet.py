"""A BagNet sees the whole image at once, each place through a small square."""

from dataclasses import dataclass
from typing import ClassVar

from patchbench.ways._looks import Looking, OfBagNet, whole


@dataclass(kw_only=True)
class Way(OfBagNet):
    """A BagNet in one pass; see :class:`OfBagNet` for its settings."""

    summary: ClassVar[str] = "a BagNet in one pass over the whole image"

    def ready(self, task: str) -> Looking:
        """Build the network; what is given looks at an image."""
        return whole(self.network(), task, self.device)
