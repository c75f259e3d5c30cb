"""Mean of the patch probabilities, patches that a whole-image CNN looks at weighing more.

Grad-CAM (Selvaraju et al., ICCV 2017, arXiv:1610.02391) of the class that the CNN predicts. The
CNN has seen the whole image, so the rule knows more than patches do.
"""

from dataclasses import dataclass
from typing import ClassVar

from patchbench.fusions._noise import WeighedByNoise


@dataclass
class Fusion(WeighedByNoise):
    """Patches in a CNN's view weigh more.

    Parameters
    ----------
    detector : str
        Entry of the config's detectors whose scores weigh.
    """

    detector: str = "gradcam"
    uses: ClassVar[str] = "noise"
    order_agnostic: ClassVar[bool] = False
    uses_position: ClassVar[bool] = True
    fitted: ClassVar[bool] = False
    summary: ClassVar[str] = "mean probability, weight by Grad-CAM of a whole-image CNN"
    source: ClassVar[str] = "cf. Selvaraju et al. 2017"
