"""Maps are what their papers say, and networks open with what is needed to ask them."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from patchbench import plugins
from patchbench.errors import UserError
from patchbench.explain import evidence, gradcam, integrated_gradients, occlusion, random_map
from patchbench.networks.bagnet import BagNet
from patchbench.networks.explained import Explained, default_layer, open_explained
from patchbench.networks.pixels import Scale
from patchbench.networks.torchvision_models import build
from patchbench.networks.weights import placed

N_CLASSES = 4


def lively(network: nn.Module) -> nn.Module:
    """Batch norms that have seen something, in eval mode, channels last."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return placed(network.eval(), "cpu")


def some_images(n: int, side_px: int) -> Tensor:
    rng = torch.Generator().manual_seed(3)
    images = torch.randn(n, 3, side_px, side_px, generator=rng)
    return images.contiguous(memory_format=torch.channels_last)


def by_hooks(model: nn.Module, layer: str, images: Tensor, classes: Tensor) -> Tensor:
    """Grad-CAM computed another way: full backward, hooks on the tensor, explicit sums."""
    kept: dict[str, Tensor] = {}

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        kept["activation"] = output.detach().clone()
        output.register_hook(lambda gradient: kept.update(gradient=gradient))
        return output.clone()  # what follows may work in place

    handle = model.get_submodule(layer).register_forward_hook(keep)
    logits = model(images.clone().requires_grad_())
    logits.gather(1, classes[:, None]).sum().backward()
    handle.remove()
    model.zero_grad()
    weights = kept["gradient"].double().sum(dim=(2, 3)) / kept["gradient"][0, 0].numel()
    return torch.einsum("nk,nkij->nij", weights, kept["activation"].double()).clamp(min=0)


@cache
def random_cnn(name: str) -> nn.Module:
    torch.manual_seed(0)
    return lively(build(name, N_CLASSES))


@pytest.mark.parametrize(
    ("name", "layer", "side_px"),
    [
        ("resnet18", "layer4", 96),
        ("resnet18", "layer3", 64),
        ("resnet18", "layer3.1.bn1", 64),  # an in-place ReLU follows
        ("vgg16_bn", "features.42", 64),
        ("vgg16_bn", "features.41", 64),  # so here
    ],
)
def test_gradcam_equals_an_independent_computation(name: str, layer: str, side_px: int) -> None:
    model, images = random_cnn(name), some_images(2, side_px)
    classes = torch.tensor([1, 3])
    expected = by_hooks(model, layer, images, classes)
    found = gradcam.raw_maps(model, layer, images, classes)
    assert expected.max() > 0
    largest = float(expected.max())
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4 * largest)


@pytest.fixture(scope="module")
def bagnet() -> nn.Module:
    torch.manual_seed(0)
    return lively(BagNet(17, N_CLASSES, 4, (1, 1, 1, 1)))


def test_gradcam_of_bagnet_is_the_positive_part_of_its_evidence(bagnet) -> None:
    images, classes = some_images(3, 64), torch.tensor([0, 1, 2])
    signed = evidence.raw_maps(bagnet, "", images, classes)
    by_class = signed - bagnet.fc.bias.detach()[classes][:, None, None]
    n_places = by_class[0].numel()
    found = gradcam.raw_maps(bagnet, "layer4", images, classes)
    torch.testing.assert_close(found * n_places, functional.relu(by_class), rtol=1e-3, atol=1e-5)


def test_evidence_averages_to_the_logit_of_the_image(bagnet) -> None:
    images, classes = some_images(3, 64), torch.tensor([0, 1, 2])
    signed = evidence.raw_maps(bagnet, "", images, classes)
    logits = bagnet(images).detach().gather(1, classes[:, None])[:, 0]
    assert (signed < 0).any()
    torch.testing.assert_close(signed.mean(dim=(1, 2)), logits, rtol=1e-4, atol=1e-5)


def test_evidence_of_a_network_without_it_names_what_to_use_instead() -> None:
    with pytest.raises(UserError, match="gradcam or occlusion"):
        evidence.raw_maps(build("resnet18", 2), "", some_images(1, 32), torch.tensor([0]))


def test_occlusion_equals_a_slow_loop_over_windows(bagnet) -> None:
    images, classes = some_images(2, 48), torch.tensor([1, 2])
    window_px, stride_px = 24, 12
    found = occlusion.raw_maps(bagnet, "", images, classes, window_px, stride_px)
    assert found.shape == (2, 4, 4)
    total, count = torch.zeros(2, 48, 48), torch.zeros(48, 48)
    with torch.no_grad():
        whole = bagnet(images).gather(1, classes[:, None])[:, 0]
        for y in range(0, 48 - window_px + 1, stride_px):
            for x in range(0, 48 - window_px + 1, stride_px):
                hidden, inside = images.clone(), (slice(y, y + window_px), slice(x, x + window_px))
                hidden[:, :, inside[0], inside[1]] = 0
                loss = whole - bagnet(hidden).gather(1, classes[:, None])[:, 0]
                total[:, inside[0], inside[1]] += loss[:, None, None]
                count[inside] += 1
    expected = functional.avg_pool2d(total / count, stride_px)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_window_larger_than_the_images_is_refused(bagnet) -> None:
    with pytest.raises(UserError, match="window_px is 32 but the images are 24 x 24 px"):
        occlusion.raw_maps(bagnet, "", some_images(1, 24), torch.tensor([0]))


def test_integrated_gradients_add_up_to_what_the_image_gains(bagnet) -> None:
    images, classes = some_images(2, 50), torch.tensor([1, 2])
    found = integrated_gradients.raw_maps(bagnet, "", images, classes, n_steps=200, cell_px=8)
    assert found.shape == (2, 7, 7)
    with torch.no_grad():
        gained = (bagnet(images) - bagnet(torch.zeros_like(images))).gather(1, classes[:, None])
    torch.testing.assert_close(found.sum(dim=(1, 2)), gained[:, 0], rtol=0.02, atol=1e-3)


def test_random_maps_follow_the_image_and_the_seed(bagnet) -> None:
    images, classes = some_images(4, 32), torch.zeros(4, dtype=torch.int64)
    maps = random_map.raw_maps(bagnet, "", images, classes, rows=7)
    assert maps.shape == (4, 7, 7)
    assert maps.min() >= 0 and maps.max() <= 1
    backwards = random_map.raw_maps(bagnet, "", images.flip(0), classes, rows=7)
    assert torch.equal(backwards.flip(0), maps)
    assert len(np.unique(maps.numpy().reshape(4, -1), axis=0)) == 4
    assert not torch.equal(random_map.raw_maps(bagnet, "", images, classes, 7, seed=1), maps)


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("occlusion", {"window_px": 8, "stride_px": 16}, "stride_px is 16 and window_px is 8"),
        ("integrated_gradients", {"n_steps": 0}, "n_steps is 0"),
        ("random_map", {"rows": 0}, "rows is 0"),
        ("gradcam", {"window_px": 8}, "no setting 'window_px'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name: str, spec: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        plugins.build("explain", name, spec)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("layr4", r"BagNet has no layer 'layr4'; available: layer4, .* and \d+ more"),
        ("conv1", "does not use layer 'conv1'"),
        ("fc", r"layer 'fc' gives shape \(1, 4\), which has no places"),
    ],
)
def test_a_layer_that_gives_no_map_is_named(bagnet, layer: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        gradcam.raw_maps(bagnet, layer, some_images(1, 32), torch.tensor([0]))
    assert not any(module._forward_hooks for module in bagnet.modules())


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vgg16_bn"])
def test_every_cnn_has_default_layers_that_are_fine_maps(name: str) -> None:
    with torch.device("meta"):
        model = build(name, 2)
    shapes: list[torch.Size] = []
    for layer in default_layer(model).split("+"):
        module = model.get_submodule(layer)
        module.register_forward_hook(lambda *seen: shapes.append(seen[-1].shape))
    model.eval()(torch.empty(1, 3, 96, 96, device="meta"))
    assert shapes and all(len(shape) == 4 and min(shape[2:]) >= 6 for shape in shapes)


def test_several_layers_have_an_equal_say() -> None:
    ones = np.ones(3, np.float32)
    model = Explained(random_cnn("resnet18"), Scale(128 * ones, 50 * ones), "layer2+layer3")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    labels = np.array([1, 3])

    def maps(layer: str) -> np.ndarray:
        return model.maps(gradcam.Explain(), layer, pixels, labels)

    both, parts = maps("layer2+layer3"), [maps("layer2"), maps("layer3")]
    assert both.dtype == np.float32 and both.shape == parts[0].shape == parts[1].shape
    expected = np.mean([part / part.mean(axis=(1, 2), keepdims=True) for part in parts], axis=0)
    np.testing.assert_allclose(both, expected, rtol=1e-4)
    np.testing.assert_allclose(both.mean(axis=(1, 2)), 1, rtol=1e-5)
    assert maps("layer2+layer4").shape == parts[0].shape  # the coarser follows the finer


def test_a_network_without_a_known_layer_says_to_name_one() -> None:
    with pytest.raises(UserError, match="no default layer is known for Sequential; name one"):
        default_layer(nn.Sequential(nn.Conv2d(3, 4, 3)))


def test_an_encoder_is_opened_if_it_knows_classes() -> None:
    spec = {"width": 4, "layers": [1, 1, 1, 1]}
    bagnet = plugins.build("encoders", "bagnet", spec, patch_size_px=24)
    network = bagnet._build(3)
    ones = np.ones(3, np.float32)
    state = {f"network.{key}": value.numpy() for key, value in network.state_dict().items()}
    state |= {"scale.mean": 128 * ones, "scale.deviation": 50 * ones}
    model = open_explained("encoder", "bagnet", spec, state, patch_size_px=24)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), dtype=np.uint8)
    assert model.logits(pixels).shape == (2, 3)
    maps = model.maps(evidence.Explain(), model.default_layer, pixels, np.array([0, 2]))
    assert maps.shape == (2, 10, 10)
    with pytest.raises(UserError, match=r"encoders\.sift has no logits of classes"):
        open_explained("encoder", "sift", {}, {}, patch_size_px=24)
    with pytest.raises(UserError, match="model kind 'svm' is unknown"):
        open_explained("svm", "sift", {}, {})
