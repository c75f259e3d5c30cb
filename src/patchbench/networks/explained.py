"""Open a fitted network to be explained: whole, with the scale of its pixels and a good layer."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from patchbench import plugins
from patchbench.errors import UserError
from patchbench.faithfulness import resized
from patchbench.networks.bagnet import BagNet
from patchbench.networks.pixels import Scale
from patchbench.networks.places import in_equal_cells
from patchbench.networks.reproducible import reproducible
from patchbench.networks.whole_image import open_cnn

KINDS = ("cnn", "encoder")
Classes = Tensor | np.ndarray

_MOST_LAYERS_NAMED = 12


@dataclass(frozen=True)
class Explained:
    """A fitted network and what is needed to ask it about pixels.

    Attributes
    ----------
    network : Module
        In eval mode, batch norms in place; from (n, 3, height, width) to (n, n_classes).
    scale : Scale
        What it was trained on.
    default_layer : str
        Name of the layer that Grad-CAM looks at if nothing else is asked for, or several
        joined by ``+``.
    device : str
        Where the network is.
    seed, threads : int
        Source of all randomness, and threads to use.
    """

    network: nn.Module
    scale: Scale
    default_layer: str
    device: str = "cpu"
    seed: int = 0
    threads: int = 1

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        """Logits of images, uint8 or float32 (n, height, width, 3), 0-255: float32 (n, classes)."""
        with reproducible(self.seed, self.threads), torch.inference_mode():
            logits: Tensor = self.network(self.scale.tensor(pixels, self.device))
            return logits.float().cpu().numpy()

    def maps(
        self, explainer: Any, layer: str, pixels: np.ndarray, classes: np.ndarray
    ) -> np.ndarray:
        """Maps of images whose values each stand for an equal share of the image.

        Parameters
        ----------
        explainer : Explain
            An explanation plug-in.
        layer : str
            Name of the layer to look at, or several joined by ``+``.
        pixels : uint8 array, (n, height, width, 3)
        classes : int array, (n,)
            Class to explain in each image.

        Returns
        -------
        maps : float32 array, (n, rows, cols)
            Those of a layer are brought from its places to equal cells; see
            :mod:`patchbench.networks.places`. Those of one layer are not scaled. Those of
            several are averaged after each was divided by its mean over the image: layers
            differ in scale by orders of magnitude.
        """
        with reproducible(self.seed, self.threads):
            images = self.scale.tensor(pixels, self.device)
            if not explainer.of_layer:
                found: np.ndarray = explainer.raw_maps(self.network, layer, images, classes).numpy()
                return found
            found_in = []
            for name in layer.split("+"):
                maps = explainer.raw_maps(self.network, name, images, classes).numpy()
                sides_px = pixels.shape[1:3]
                found_in.append(in_equal_cells(maps, self.network, name, *sides_px))
        return found_in[0] if len(found_in) == 1 else _averaged(found_in)


def _averaged(found: list[np.ndarray]) -> np.ndarray:
    """Mean of the maps of several layers, each divided by its own mean; on the finest grid."""
    rows, cols = np.max([maps.shape[1:] for maps in found], axis=0)
    fine = [resized(maps, int(rows), int(cols)) for maps in found]
    means = [maps.mean(axis=(1, 2), keepdims=True) for maps in fine]
    # a map that is zero everywhere has nothing to say
    parts = [maps / np.where(mean > 0, mean, 1.0) for maps, mean in zip(fine, means, strict=True)]
    return np.mean(parts, axis=0).astype(np.float32)


def open_explained(
    kind: str,
    entry: str,
    spec: Mapping[str, Any],
    state: Mapping[str, np.ndarray],
    *,
    seed: int = 0,
    device: str = "cpu",
    threads: int = 1,
    patch_size_px: int | None = None,
) -> Explained:
    """Restore the network of a config entry from its state.

    Parameters
    ----------
    kind : {"cnn", "encoder"}
        Which of the config's maps the entry is of.
    entry, spec : str, mapping
        Name and settings of the entry.
    state : mapping
        Arrays that it wrote when it was fitted.
    seed, device, threads : int, str, int
        As for every network.
    patch_size_px : int or None
        Side of the patches of an encoder.

    Raises
    ------
    UserError
        If the kind is unknown, or the encoder never learned classes.
    """
    fixed: dict[str, Any] = {"seed": seed, "device": device, "threads": threads}
    if kind == "cnn":
        opened: Any = open_cnn(entry, spec, **fixed)
    elif kind == "encoder":
        opened = plugins.build("encoders", entry, spec, patch_size_px=patch_size_px, **fixed)
        if getattr(opened, "head", None) is None:
            raise UserError(
                f"encoders.{entry} has no logits of classes to explain; explain an encoder that "
                "was trained on classes (bagnet) or a CNN"
            )
    else:
        raise UserError(f"model kind {kind!r} is unknown; choose one of {', '.join(KINDS)}")
    opened.restore(state)
    network: nn.Module = opened._network
    network.eval()
    return Explained(network, opened._scale, default_layer(network), **fixed)


def default_layer(network: nn.Module) -> str:
    """The layer that Grad-CAM looks at if nothing else is asked for, or several joined by ``+``.

    A BagNet's and VGG's last one. A ResNet's last one is too coarse for small images: at 96 px
    it has 3 x 3 places, and its maps are hardly better than chance. The stages before it are
    precise but patchy each; their average tells object from background best.

    Raises
    ------
    UserError
        If the network has none of the layers known here.
    """
    names = [name for name, _ in network.named_modules() if name]
    several = ("layer4",) if isinstance(network, BagNet) else ("layer1", "layer2", "layer3")
    for layers in (several, ("features.42",)):
        if set(layers) <= set(names):
            return "+".join(layers)
    near = _closest("layer4", names)
    raise UserError(f"no default layer is known for {type(network).__name__}; name one: {near}")


def find_layer(network: nn.Module, layer: nn.Module | str) -> nn.Module:
    """The layer of that name, or the layer itself.

    Raises
    ------
    UserError
        If there is none; the message names those that exist, the most similar first.
    """
    if isinstance(layer, nn.Module):
        return layer
    found = {name: module for name, module in network.named_modules() if name}
    if layer not in found:
        raise UserError(
            f"{type(network).__name__} has no layer {layer!r}; available: "
            f"{_closest(layer, list(found))}"
        )
    return found[layer]


def _closest(name: str, names: list[str]) -> str:
    near = get_close_matches(name, names, n=_MOST_LAYERS_NAMED, cutoff=0.0)
    more = len(names) - len(near)
    return ", ".join(near) + (f" and {more} more" if more else "")


def as_targets(classes: Classes, images: Tensor) -> Tensor:
    """Classes as Captum takes them: int64 (n,), beside the images.

    Raises
    ------
    ValueError
        If there is not one class per image.
    """
    # a copy: what is read from a table may be read-only
    given = classes if isinstance(classes, Tensor) else torch.tensor(classes)
    targets = given.to(images.device, torch.int64)
    if targets.shape != (len(images),):
        raise ValueError(
            f"classes have shape {tuple(targets.shape)}; give one class to each of the "
            f"{len(images)} images"
        )
    return targets


@contextmanager
def checked_use(network: nn.Module, layer: nn.Module) -> Iterator[Callable[[Tensor], Tensor]]:
    """``network`` as a function that complains if ``layer`` gives no map (n, channels, rows, cols).

    Raises
    ------
    UserError
        When called: the layer is not used, or its output has no rows and columns.
    """
    name = next((name for name, module in network.named_modules() if module is layer), "layer")
    shapes: list[tuple[int, ...]] = []
    hook = layer.register_forward_hook(lambda *seen: shapes.append(tuple(seen[-1].shape)))

    def forward(images: Tensor) -> Tensor:
        logits: Tensor = network(images)
        if not shapes:
            raise UserError(
                f"{type(network).__name__} does not use layer {name!r} on its way to the logits; "
                "name another layer"
            )
        if len(shapes[-1]) != 4:
            raise UserError(
                f"layer {name!r} gives shape {shapes[-1]}, which has no places; name an earlier "
                "one, that gives (n, channels, rows, cols)"
            )
        return logits

    try:
        yield forward
    finally:
        hook.remove()
