"""A 1x1 convolution with a stride, safe at any width.

The CPU kernels behind PyTorch 2.13 write past a buffer in the backward pass of a strided 1x1
convolution with fewer than 16 input channels: narrow networks then crash or, worse, do not.
Taking every n-th pixel first and convolving without a stride is the same function.
"""

from torch import Tensor, nn
from torch.nn import functional


class StridedPointwise(nn.Conv2d):
    """``nn.Conv2d(n_in, n_out, 1, stride, bias=False)``, parameter names included."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__(n_in, n_out, 1, stride, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(n, n_in, rows, cols) to (n, n_out, rows', cols')."""
        step = self.stride[0]
        return functional.conv2d(features[:, :, ::step, ::step], self.weight, self.bias)


def convolution(n_in: int, n_out: int, kernel_size: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias, by the safe way where there are two."""
    if kernel_size == 1 and stride > 1:
        return StridedPointwise(n_in, n_out, stride)
    return nn.Conv2d(n_in, n_out, kernel_size, stride, bias=False)
