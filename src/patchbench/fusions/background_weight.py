"""Mean of the patch probabilities, patches that look like background weighing less.

What background looks like is told by clusters of embeddings that are met in all classes alike.
"""

from dataclasses import dataclass
from typing import ClassVar

from patchbench.fusions._noise import WeighedByNoise


@dataclass
class Fusion(WeighedByNoise):
    """Background weighs less.

    Parameters
    ----------
    detector : str
        Entry of the config's detectors whose scores weigh.
    """

    detector: str = "background_clusters"
    uses: ClassVar[str] = "noise"
    order_agnostic: ClassVar[bool] = True
    uses_position: ClassVar[bool] = False
    fitted: ClassVar[bool] = False
    summary: ClassVar[str] = "mean probability, weight by how little a patch looks like background"
    source: ClassVar[str] = "after the study that this project carries on, 2019"
