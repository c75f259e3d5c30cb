"""Streamed training is training on whole images with frozen batch norms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from patchbench.errors import UserError
from patchbench.networks.bagnet import BagNet
from patchbench.networks.pixels import Scale
from patchbench.streaming import patch_gradients, stream_gradients, stream_logits
from patchbench.streaming.pools import top_share
from patchbench.windows import ArrayWindows, open_windows

FIELDS_PX = (9, 17, 33)


def network(receptive_field_px: int, width: int = 2, n_classes: int = 3) -> BagNet:
    torch.manual_seed(receptive_field_px)
    found = BagNet(receptive_field_px, n_classes, width, (1, 1, 1, 1))
    for part in found.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, std=0.2)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
    return found.eval()


def cross_entropy(label: int):
    return lambda logits: functional.cross_entropy(logits, torch.tensor([label]))


def photograph(height_px: int, width_px: int, dtype=torch.float64) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(3, height_px, width_px))).to(
        dtype
    )


def gradients(model: nn.Module) -> Tensor:
    return torch.cat([part.grad.double().flatten() for part in model.parameters()])


def apart(found: Tensor, wanted: Tensor) -> float:
    return ((found - wanted).norm() / wanted.norm()).item()


@pytest.mark.parametrize("field_px", FIELDS_PX)
@settings(max_examples=12, deadline=None, derandomize=True)
@given(more=st.tuples(st.integers(0, 70), st.integers(0, 70)), tile=st.integers(0, 80))
def test_any_tile_gives_the_whole_image_s_loss_and_gradient(field_px, more, tile):
    model = network(field_px).double()
    image = photograph(field_px + more[0], field_px + more[1])
    whole = cross_entropy(1)(model(image[None]))
    whole.backward()
    wanted = gradients(model)
    model.zero_grad()
    found = stream_gradients(model, image, cross_entropy(1), field_px + tile)
    assert found.loss == pytest.approx(whole.item(), rel=1e-10)
    assert apart(gradients(model), wanted) < 1e-10
    for name, part in model.named_parameters():
        assert part.grad.shape == part.shape, name


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-3)])
def test_ten_steps_over_batches_of_images_end_at_the_same_weights(dtype, tolerance):
    images, labels = [photograph(49, 41 + n, dtype) + n / 3 for n in range(3)], [0, 1, 2]
    weights, losses = [], []
    for streamed in (False, True):
        model, told = network(17).to(dtype), []
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
        for _ in range(10):
            optimizer.zero_grad()
            if streamed:
                told += [
                    stream_gradients(model, image, cross_entropy(label), 33, weight=1 / 3).loss
                    for image, label in zip(images, labels, strict=True)
                ]
            else:
                parts = [
                    cross_entropy(label)(model(image[None]))
                    for image, label in zip(images, labels, strict=True)
                ]
                torch.stack(parts).mean().backward()
                told += [part.item() for part in parts]
            optimizer.step()
        weights.append(torch.cat([part.detach().flatten() for part in model.parameters()]))
        losses.append(torch.tensor(told))
    assert losses[0][-1] < 0.7 * losses[0][2]  # it learns
    assert apart(losses[1], losses[0]) < tolerance
    assert apart(weights[1], weights[0]) < tolerance


def test_the_published_size_in_float32_has_the_same_gradient():
    torch.manual_seed(0)
    model, image = BagNet(33, 1000).eval(), photograph(49, 57, torch.float32)
    cross_entropy(7)(model(image[None])).backward()
    wanted = gradients(model)
    model.zero_grad()
    assert stream_gradients(model, image, cross_entropy(7), 41).n_tiles == 4
    assert apart(gradients(model), wanted) < 1e-3


def test_bfloat16_is_as_near_as_ordinary_training_in_bfloat16():
    model, image = network(17, width=16), photograph(70, 70, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        whole = cross_entropy(1)(model(image[None]))
    whole.backward()
    wanted = gradients(model)
    model.zero_grad()
    found = stream_gradients(model, image, cross_entropy(1), 41, precision="bfloat16")
    assert found.loss == pytest.approx(whole.item(), rel=0.02)
    assert apart(gradients(model), wanted) < 0.1


@pytest.mark.parametrize("pool", [None, top_share(0.2)])
def test_in_bfloat16_logits_and_loss_are_still_told_in_the_type_of_the_model(pool):
    model, image = network(17, width=16), photograph(70, 70, torch.float32)
    found = stream_gradients(model, image, cross_entropy(1), 41, precision="bfloat16", pool=pool)
    assert found.logits.dtype == torch.float32
    assert found.loss == pytest.approx(cross_entropy(1)(found.logits[None]).item(), rel=1e-6)
    if pool is None:  # only the features were rounded
        wanted = stream_logits(model, image, 41).logits
        assert 0 < apart(found.logits, wanted) < 0.01


def test_batch_norms_keep_statistics_and_mode():
    model, image = network(9).train(), photograph(40, 40, torch.float32)
    before = {name: value.clone() for name, value in model.named_buffers()}
    stream_gradients(model, image, cross_entropy(0), 17)
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())
    assert all(part.training for part in model.modules())


def test_gradients_add_to_those_there_were():
    model, image = network(9).double(), photograph(50, 44)
    stream_gradients(model, image, cross_entropy(0), 25)
    once = gradients(model)
    stream_gradients(model, image, cross_entropy(0), 25, weight=0.5)
    assert apart(gradients(model), 1.5 * once) < 1e-12


def test_of_a_network_frozen_in_part_the_rest_learns():
    model, image = network(9).double(), photograph(50, 44)
    stream_gradients(model, image, cross_entropy(0), 25)
    wanted = model.fc.weight.grad.clone()
    model.zero_grad()
    for name, part in model.named_parameters():
        part.requires_grad_(name.startswith("fc."))
    stream_gradients(model, image, cross_entropy(0), 25)
    assert apart(model.fc.weight.grad, wanted) < 1e-12
    assert model.conv1.weight.grad is None


def test_logits_are_those_of_inference():
    model, image = network(33).double(), photograph(90, 70)
    found = stream_gradients(model, image, cross_entropy(2), 41)
    assert apart(found.logits, stream_logits(model, image, 49).logits) < 1e-12


class Weighted(nn.Module):
    """A pool that learns what each class counts."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, evidence: Tensor) -> Tensor:
        return evidence.flatten(0, -2).mean(dim=0) * self.weight


class Ending(ArrayWindows):
    """An image that is gone after so many windows."""

    def __init__(self, pixels: np.ndarray, n_windows: int) -> None:
        super().__init__(pixels)
        self.left = n_windows

    def read(self, *window: int) -> np.ndarray:
        self.left -= 1
        if self.left < 0:
            raise UserError("the image is gone")
        return super().read(*window)


@pytest.mark.parametrize("ask", [stream_gradients, patch_gradients])
def test_a_pool_that_learns_gets_its_gradient_with_the_network_s_or_not_at_all(ask):
    model, pool = network(17), Weighted()
    pixels = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    told = {"scale": Scale.imagenet(), "pool": pool}
    parameters = [*model.parameters(), *pool.parameters()]
    ask(model, Ending(pixels, 8), cross_entropy(0), 33, **told)  # two passes over four tiles
    kept = [part.grad.clone() for part in parameters]
    with pytest.raises(UserError, match="the image is gone"):
        ask(model, Ending(pixels, 6), cross_entropy(0), 33, **told)
    assert all(torch.equal(part.grad, was) for part, was in zip(parameters, kept, strict=True))
    ask(model, Ending(pixels, 8), cross_entropy(0), 33, **told)
    torch.testing.assert_close([part.grad for part in parameters], [2 * was for was in kept])


@pytest.mark.parametrize("before", [False, True])
def test_a_file_changed_between_the_passes_is_told_and_no_gradient_is_touched(tmp_path, before):
    from PIL import Image

    path, model = tmp_path / "it.png", network(17)
    pixels = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    if before:
        stream_gradients(model, pixels, cross_entropy(0), 33, scale=Scale.imagenet())
    kept = [None if p.grad is None else p.grad.clone() for p in model.parameters()]

    def changing(logits: Tensor) -> Tensor:
        Image.fromarray(pixels[::-1, :50]).save(path)
        return cross_entropy(0)(logits)

    with (
        open_windows(path) as image,
        pytest.raises(UserError, match=r"it\.png was changed or removed while it was being read"),
    ):
        stream_gradients(model, image, changing, 33, scale=Scale.imagenet())
    for part, was in zip(model.parameters(), kept, strict=True):
        assert (part.grad is None) if was is None else torch.equal(part.grad, was)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tile_px": 16}, "tile_px is 16, less than the receptive field of 17 px"),
        ({"max_memory_mib": 5}, "max_memory_mib is 5, less than one receptive field of 17 px"),
    ],
)
def test_too_small_a_tile_is_told_in_one_sentence(options, sentence):
    with pytest.raises(UserError, match=sentence):
        stream_gradients(network(17), photograph(40, 40), cross_entropy(0), **options)


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="precision"):
        stream_gradients(network(17), photograph(40, 40), cross_entropy(0), 33, precision="float16")
