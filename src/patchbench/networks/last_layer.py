"""What goes into the last, linear layer of a trained CNN, and what that layer does with it."""

import numpy as np
from torch import Tensor, nn

from patchbench.errors import UserError
from patchbench.networks.image_classification import INFERENCE_BATCH
from patchbench.networks.inference import in_batches
from patchbench.networks.reproducible import reproducible
from patchbench.networks.whole_image import WholeImageCnn
from patchbench.subject import Channels


def channels_of(cnn: WholeImageCnn, images: np.ndarray, rows: np.ndarray) -> Channels:
    """Features before the last layer for the chosen rows of ``images``, and the layer.

    Raises
    ------
    UserError
        If the network does not end in a linear layer.
    """
    network = cnn._network
    layers = [part for part in network.modules() if isinstance(part, nn.Linear)]
    if not layers:
        raise UserError(
            f"cnns.{cnn.type} does not end in a linear layer, so its channels cannot be told; "
            "leave channel_blackout out of benchmark.experiments"
        )
    last, seen = layers[-1], list[Tensor]()
    hook = last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    def ask(batch: Tensor) -> Tensor:
        seen.clear()
        network(batch)
        return seen[-1]

    try:
        with reproducible(cnn.seed, cnn.threads):
            found = in_batches(ask, images, rows, cnn._scale, cnn.device, INFERENCE_BATCH)
    finally:
        hook.remove()
    weights, bias = (part.detach().float().cpu().numpy() for part in (last.weight, last.bias))
    return Channels(found, weights.T, bias)
