"""Promises that every explanation keeps, whatever it is."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from patchbench import plugins
from patchbench.networks.bagnet import BagNet

NAMES = plugins.available("explain")
N_CLASSES = 4
# settings that suit images of 64 px
SMALL: dict[str, dict[str, Any]] = {"integrated_gradients": {"n_steps": 4}}


def lively(network: nn.Module) -> nn.Module:
    """Batch norms that have seen something, in eval mode."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module")
def bagnet() -> nn.Module:
    torch.manual_seed(0)
    return lively(BagNet(17, N_CLASSES, 4, (1, 1, 1, 1)))


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    rng = torch.Generator().manual_seed(3)
    return torch.randn(5, 3, 64, 56, generator=rng)


CLASSES = torch.tensor([0, 3, 1, 1, 2])
every_explainer = pytest.mark.parametrize("name", NAMES)


def build(name: str, **settings: Any) -> Any:
    return plugins.build("explain", name, SMALL.get(name, {}) | settings)


def maps_of(name: str, model: nn.Module, images: torch.Tensor, **settings: Any) -> torch.Tensor:
    classes = CLASSES[: len(images)]
    return build(name, **settings).raw_maps(model, "layer4", images, classes)


@every_explainer
def test_an_explanation_says_what_it_is(name: str) -> None:
    module = plugins.load("explain", name)
    assert module.__doc__
    assert module.Explain.summary and module.Explain.source
    assert isinstance(module.Explain.control, bool)
    assert isinstance(module.Explain.of_layer, bool)
    assert module.Explain.needs in ("gradients", "patch_logits", "nothing")


@every_explainer
def test_maps_are_finite_float32_without_a_graph(name, bagnet, images) -> None:
    maps = maps_of(name, bagnet, images)
    assert maps.dtype == torch.float32
    assert maps.ndim == 3 and len(maps) == len(images)
    assert maps.device.type == "cpu"
    assert not maps.requires_grad
    assert torch.isfinite(maps).all()
    assert maps.numpy().std() > 0


@every_explainer
def test_the_function_gives_what_the_class_gives(name, bagnet, images) -> None:
    module = plugins.load("explain", name)
    found = module.raw_maps(bagnet, bagnet.layer4, images, CLASSES, **SMALL.get(name, {}))
    assert torch.equal(found, maps_of(name, bagnet, images))


@every_explainer
def test_the_same_call_gives_the_same_bytes(name, bagnet, images) -> None:
    assert torch.equal(maps_of(name, bagnet, images), maps_of(name, bagnet, images))


@every_explainer
def test_batch_size_does_not_change_maps(name, bagnet, images) -> None:
    explainer = build(name)
    together = explainer.raw_maps(bagnet, "layer4", images, CLASSES)
    alone = torch.cat(
        [
            explainer.raw_maps(bagnet, "layer4", images[i : i + 1], CLASSES[i : i + 1])
            for i in range(len(images))
        ]
    )
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)


@every_explainer
def test_classes_may_be_an_array(name, bagnet, images) -> None:
    found = build(name).raw_maps(bagnet, "layer4", images, CLASSES.numpy())
    assert torch.equal(found, maps_of(name, bagnet, images))


@every_explainer
@pytest.mark.parametrize("frozen", [False, True])
def test_the_model_is_left_as_it_was_found(name, frozen, bagnet, images) -> None:
    for parameter in bagnet.parameters():
        parameter.requires_grad_(not frozen)
        parameter.grad = torch.full_like(parameter, 0.5)
    before = {key: value.clone() for key, value in bagnet.state_dict().items()}
    pixels = images.clone()
    maps_of(name, bagnet, images)
    for parameter in bagnet.parameters():
        assert parameter.requires_grad is not frozen
        assert torch.equal(parameter.grad, torch.full_like(parameter, 0.5))
        parameter.grad = None
        parameter.requires_grad_(True)
    assert all(torch.equal(before[k], value) for k, value in bagnet.state_dict().items())
    assert not any(m.training or m._forward_hooks or m._backward_hooks for m in bagnet.modules())
    assert torch.equal(images, pixels)
    assert not images.requires_grad and images.grad is None


@every_explainer
def test_frozen_parameters_and_memory_layout_do_not_change_maps(name, bagnet, images) -> None:
    plain = maps_of(name, bagnet, images)
    last = images.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(maps_of(name, bagnet, last), plain, rtol=1e-4, atol=1e-5)
    for parameter in bagnet.parameters():
        parameter.requires_grad_(False)
    with torch.no_grad():
        frozen = maps_of(name, bagnet, images)
    for parameter in bagnet.parameters():
        parameter.requires_grad_(True)
    torch.testing.assert_close(frozen, plain, rtol=1e-5, atol=1e-6)


@every_explainer
def test_a_control_is_blind_to_the_class_and_others_are_not(name, bagnet, images) -> None:
    explainer = build(name)
    found = [
        explainer.raw_maps(bagnet, "layer4", images, np.full(len(images), label))
        for label in range(2)
    ]
    assert torch.equal(*found) == explainer.control


@every_explainer
def test_one_class_per_image_is_asked_for(name, bagnet, images) -> None:
    if build(name).control:
        pytest.skip("a control ignores classes")
    with pytest.raises(ValueError, match="one class to each of the 5 images"):
        build(name).raw_maps(bagnet, "layer4", images, torch.tensor([1, 2]))
