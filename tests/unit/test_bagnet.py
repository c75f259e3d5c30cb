"""BagNet is the published network, and exactly a bag of patches."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from patchbench.networks.bagnet import BagNet
from patchbench.networks.folding import folded


def small(receptive_field_px: int = 17) -> BagNet:
    """A narrow BagNet whose batch norms have seen something, in eval mode."""
    torch.manual_seed(0)
    network = BagNet(receptive_field_px, 5, 8, (2, 1, 1, 2), stem_momentum=0.5)
    for _ in range(3):
        network(torch.randn(4, 3, 49, 49) * 2 + 1)
    return network.eval()


@pytest.mark.parametrize(
    ("receptive_field_px", "n_parameters"), [(9, 15_688_744), (17, 16_213_032), (33, 18_310_184)]
)
def test_published_sizes_have_the_published_number_of_parameters(receptive_field_px, n_parameters):
    with torch.device("meta"):
        network = BagNet(receptive_field_px)
    assert sum(p.numel() for p in network.parameters()) == n_parameters


def test_state_dict_has_the_published_names_and_shapes():
    with torch.device("meta"):
        state = BagNet(17).state_dict()
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    assert list(shapes)[:3] == ["conv1.weight", "conv2.weight", "bn1.weight"]
    assert shapes["conv1.weight"] == (64, 3, 1, 1)
    assert shapes["conv2.weight"] == (64, 64, 3, 3)
    assert shapes["layer1.0.downsample.0.weight"] == (256, 64, 1, 1)
    assert shapes["layer3.0.conv2.weight"] == (256, 256, 3, 3)
    assert shapes["layer3.5.conv2.weight"] == (256, 256, 1, 1)
    assert shapes["layer4.0.conv2.weight"] == (512, 512, 1, 1)
    assert shapes["layer4.2.bn3.running_var"] == (2048,)
    assert shapes["fc.weight"] == (1000, 2048)
    assert len(shapes) == 2 + 5 + 4 * 6 + 16 * 3 * 6 + 2


@pytest.mark.parametrize("receptive_field_px", [9, 17, 33])
def test_a_feature_sees_exactly_its_receptive_field(receptive_field_px):
    network = small(receptive_field_px)
    images = torch.randn(1, 3, 57, 57, requires_grad=True)
    network.embed(images)[0, 1, 2].sum().backward()
    seen = images.grad[0].abs().sum(dim=0) > 0
    rows, cols = seen.any(dim=1).nonzero(), seen.any(dim=0).nonzero()
    assert (rows.min(), rows.max()) == (8, 8 + receptive_field_px - 1)
    assert (cols.min(), cols.max()) == (16, 16 + receptive_field_px - 1)


@pytest.mark.parametrize("receptive_field_px", [9, 17, 33])
def test_dense_pass_equals_patch_by_patch(receptive_field_px):
    network = small(receptive_field_px)
    images = torch.randn(2, 3, 49, 60)
    with torch.inference_mode():
        dense = network.patch_logits(images)
        for row in range(dense.shape[1]):
            for col in range(dense.shape[2]):
                y, x = 8 * row, 8 * col
                patch = images[..., y : y + receptive_field_px, x : x + receptive_field_px]
                alone = network.patch_logits(patch)
                assert alone.shape == (2, 1, 1, 5)
                torch.testing.assert_close(alone[:, 0, 0], dense[:, row, col], atol=1e-5, rtol=0)


def test_image_logits_are_the_mean_of_patch_logits_on_rectangular_images():
    network = small()
    images = torch.randn(2, 3, 41, 72)
    with torch.inference_mode():
        patch_logits = network.patch_logits(images)
        assert network.embed(images).shape == (*patch_logits.shape[:3], network.dim)
        mean = patch_logits.mean(dim=(1, 2))
        torch.testing.assert_close(network(images), mean, atol=1e-5, rtol=0)


def test_merged_stem_equals_the_two_published_convolutions():
    network = small()
    images = torch.randn(2, 3, 33, 33)
    out = functional.relu(network.bn1(network.conv2(network.conv1(images))))
    for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
        out = stage(out)
    torch.testing.assert_close(network.embed(images), out.permute(0, 2, 3, 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("receptive_field_px", [9, 17, 33])
def test_shortcuts_are_cropped_at_the_right_and_the_bottom(receptive_field_px):
    block = small(receptive_field_px).layer1[0]
    features = torch.randn(1, 8, 20, 23)
    out = functional.relu(block.bn1(block.conv1(features)))
    out = block.bn3(block.conv3(functional.relu(block.bn2(block.conv2(out)))))
    shortcut = block.downsample(features)[..., : out.shape[2], : out.shape[3]]
    torch.testing.assert_close(block(features), functional.relu(out + shortcut))


def test_folded_network_is_the_same_function_without_batch_norms():
    network = small()
    images = torch.randn(2, 3, 49, 57)
    merged = folded(network)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in merged.modules())
    with torch.inference_mode():
        torch.testing.assert_close(merged(images), network(images), atol=1e-5, rtol=1e-5)


def test_what_is_no_bagnet_is_refused():
    with pytest.raises(ValueError, match="receptive_field_px is 16; BagNets have 9, 17 or 33"):
        BagNet(16)


def test_encoder_module_offers_the_network_by_name():
    from patchbench.encoders import bagnet

    assert bagnet.BagNet is BagNet
    with pytest.raises(AttributeError, match="no attribute 'BagNot'"):
        _ = bagnet.BagNot


@pytest.mark.parametrize(("n_in", "n_out", "stride"), [(4, 8, 2), (16, 64, 2), (20, 8, 3)])
def test_a_strided_pointwise_convolution_is_the_library_s(
    n_in: int, n_out: int, stride: int
) -> None:
    from patchbench.networks.pointwise import convolution

    ours, theirs = (
        convolution(n_in, n_out, 1, stride),
        nn.Conv2d(n_in, n_out, 1, stride, bias=False),
    )
    theirs.load_state_dict(ours.state_dict())
    images = torch.rand(2, n_in, 17, 20)
    torch.testing.assert_close(ours(images), theirs(images))


@pytest.mark.parametrize("receptive_field_px", [9, 17, 33])
def test_the_published_network_gives_the_same_logits(receptive_field_px):
    from pytorchcv.models import bagnet as published_bagnets

    torch.manual_seed(0)
    published = getattr(published_bagnets, f"bagnet{receptive_field_px}")().eval()
    for module in published.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.2)
    ours = BagNet(receptive_field_px).eval()
    theirs = published.state_dict()
    assert [v.shape for v in theirs.values()] == [v.shape for v in ours.state_dict().values()]
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.values(), strict=True)))
    images = torch.randn(1, 3, 57, 57)
    with torch.inference_mode():
        published.features.final_pool = nn.AdaptiveAvgPool2d(1)
        wanted = published(images)
        # logits of order 10, as those of the trained networks are
        scale = 10 / wanted.abs().max()
        torch.testing.assert_close(scale * ours(images), scale * wanted, atol=1e-4, rtol=0)
        merged = folded(ours)
        torch.testing.assert_close(scale * merged(images), scale * wanted, atol=1e-4, rtol=0)
        row, col = 3, 2
        patch = images[..., 24 : 24 + receptive_field_px, 16 : 16 + receptive_field_px]
        alone, dense = published(patch), merged.patch_logits(images)[:, row, col]
        torch.testing.assert_close(scale * dense, scale * alone, atol=1e-4, rtol=0)
