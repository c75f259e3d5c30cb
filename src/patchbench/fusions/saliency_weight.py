"""Mean of the patch probabilities, patches that stand out of their image weighing more.

How a patch stands out is told by the spectral residual of Hou & Zhang, "Saliency Detection: A
Spectral Residual Approach", CVPR 2007, from the image alone.
"""

from dataclasses import dataclass
from typing import ClassVar

from patchbench.fusions._noise import WeighedByNoise


@dataclass
class Fusion(WeighedByNoise):
    """Salient patches weigh more.

    Parameters
    ----------
    detector : str
        Entry of the config's detectors whose scores weigh.
    """

    detector: str = "spectral_residual"
    uses: ClassVar[str] = "noise"
    order_agnostic: ClassVar[bool] = False
    uses_position: ClassVar[bool] = True
    fitted: ClassVar[bool] = False
    summary: ClassVar[str] = "mean probability, weight by saliency (spectral residual)"
    source: ClassVar[str] = "cf. Hou & Zhang 2007"
