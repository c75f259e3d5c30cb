"""Where published weights are, and how to know them when they arrive."""

import re
from dataclasses import dataclass

from patchbench.errors import UserError

_BAGNET_FOLDER = (
    "https://bitbucket.org/wielandbrendel/bag-of-feature-pretrained-models/raw/"
    "249e8fa82c0913623a807d9d35eeab9da7dcc2a8/"
)
_BAGNET_FILES = {
    9: "bagnet8-34f4ccd2.pth.tar",
    17: "bagnet16-105524de.pth.tar",
    33: "bagnet32-2ddd53ed.pth.tar",
}
# torchvision's first set of each; named here as well, so that reading a config needs no PyTorch
_TORCHVISION_FOLDER = "https://download.pytorch.org/models/"
_CNN_FILES = {
    "resnet18": "resnet18-f37072fd.pth",
    "resnet50": "resnet50-0676ba61.pth",
    "vgg16_bn": "vgg16_bn-6c64b313.pth",
}


@dataclass(frozen=True)
class Published:
    """A file of weights.

    Attributes
    ----------
    url : str
        Its address; by the custom of PyTorch's hub, the name ends with the first digits of its
        SHA-256. Eight digits tell a wrong or damaged file, not a forged one; what a file may
        hold is limited when it is read.
    """

    url: str

    @property
    def name(self) -> str:
        """File name."""
        return self.url.rpartition("/")[2]

    @property
    def checksum(self) -> str:
        """What its SHA-256 must begin with, as :func:`download.fetch` takes it."""
        digits = re.search(r"-([0-9a-f]{8,})\.pth", self.name)
        if digits is None:
            raise UserError(
                f"{self.url} does not carry its checksum; download it by hand and give its path"
            )
        return f"sha256-begins:{digits[1]}"


def bagnet(receptive_field_px: int) -> Published:
    """The weights that the authors of BagNet trained on ImageNet."""
    return Published(_BAGNET_FOLDER + _BAGNET_FILES[receptive_field_px])


def cnn(kind: str) -> Published:
    """The weights of one of `settings.TORCHVISION_TYPES` that torchvision trained on ImageNet."""
    return Published(_TORCHVISION_FOLDER + _CNN_FILES[kind])
