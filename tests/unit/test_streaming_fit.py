"""A streamed training is the ordinary one, whatever norm, pool and number of images."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from patchbench.encoders.bagnet import Encoder
from patchbench.errors import UserError
from patchbench.networks.bagnet import BagNet
from patchbench.networks.course import Checkpoint
from patchbench.networks.folding import folded
from patchbench.networks.pixels import Scale
from patchbench.networks.settings import Plan
from patchbench.streaming import (
    LargeImages,
    Streaming,
    predict_streamed,
    stream_batch,
    stream_fit,
    stream_gradients,
    stream_logits,
)
from patchbench.streaming.pools import attention, log_mean_exp, top_places, top_share
from patchbench.windows import ArrayWindows

POOLS = {
    "mean": None,
    "top": top_share(0.03),
    "exp": log_mean_exp(2.0),
    "attention": attention,  # of 2 classes; the third number is the weight
}


def network(norm: str = "channels", width: int = 2) -> BagNet:
    torch.manual_seed(1)
    return BagNet(17, 3, width, (1, 1, 1, 1), norm=norm)


def some_images(n: int = 2, dtype=torch.float64) -> LargeImages:
    rng = np.random.default_rng(0)
    tensors = [torch.from_numpy(rng.normal(i / 3, 1, (3, 41, 49 + i))).to(dtype) for i in range(n)]
    return LargeImages(lambda i: tensors[i], np.arange(n) % 3)


def whole(model: BagNet, image: Tensor, pool) -> Tensor:
    """Logits of an image in one pass, (1, n_classes)."""
    return model(image[None]) if pool is None else pool(model.patch_logits(image[None])[0])[None]


def all_of(model: nn.Module, what) -> Tensor:
    return torch.cat([what(part).detach().double().flatten() for part in model.parameters()])


def apart(found: Tensor, wanted: Tensor) -> float:
    return ((found - wanted).norm() / wanted.norm()).item()


@pytest.mark.parametrize(
    ("pool", "dtype", "tolerance"),
    [
        ("mean", torch.float64, 1e-9),
        ("top", torch.float64, 1e-9),
        ("attention", torch.float64, 1e-9),
        ("exp", torch.float32, 1e-3),
    ],
)
def test_ten_steps_with_a_norm_that_learns_end_at_the_same_weights(pool, dtype, tolerance):
    images, losses, gradients, weights = some_images(dtype=dtype), [[], []], [], []
    for streamed in (False, True):
        model = network().to(dtype).train()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
        for _ in range(10):
            optimizer.zero_grad()
            if streamed:
                how = Streaming(tile_px=33, pool=POOLS[pool])
                losses[1].append(stream_batch(model, images, range(2), how))
            else:
                logits = torch.cat([whole(model, images.open(i), POOLS[pool]) for i in range(2)])
                value = functional.cross_entropy(logits, torch.from_numpy(images.labels))
                value.backward()
                losses[0].append(value.item())
            optimizer.step()
        gradients.append(all_of(model, lambda part: part.grad))
        weights.append(all_of(model, lambda part: part))
    assert losses[0][-1] < losses[0][0]
    assert losses[1] == pytest.approx(losses[0], rel=tolerance)
    assert apart(gradients[1], gradients[0]) < tolerance  # of the tenth step
    assert apart(weights[1], weights[0]) < tolerance


def test_tiles_without_a_place_that_counts_are_left_out():
    model, image = network().double(), some_images().open(0)
    loss = lambda logits: functional.cross_entropy(logits, torch.tensor([1]))  # noqa: E731
    few = stream_gradients(model, image, loss, 25, pool=top_share(0.001))
    assert 1 <= few.n_backward <= 3 < few.n_tiles  # one place of each class
    assert stream_gradients(model, image, loss, 25).n_backward == few.n_tiles


def test_attention_is_a_mean_weighted_by_what_places_say_of_themselves():
    evidence = torch.tensor([[[1.0, 2.0, 0.0], [3.0, -2.0, math.log(3.0)]]])
    torch.testing.assert_close(attention(evidence), torch.tensor([2.5, -1.0]))
    evidence[..., -1] = 7.0
    torch.testing.assert_close(attention(evidence), evidence[0, :, :-1].mean(dim=0))


def test_a_channel_norm_is_that_of_each_place_and_survives_folding():
    model, images = network().eval(), torch.randn(2, 3, 33, 41)
    features = torch.randn(2, 2, 5, 7)
    wanted = torch.stack([nn.LayerNorm(2)(features[:, :, r, 3]) for r in range(5)], dim=2)
    torch.testing.assert_close(model.bn1(features)[..., 3], wanted)
    torch.testing.assert_close(folded(model)(images), model(images))
    # training and inference are the same function
    torch.testing.assert_close(model.train()(images[:1]), model.eval()(images)[:1])


def test_the_norm_is_a_setting_of_the_encoder():
    assert Encoder(patch_size_px=32).norm == "batch"
    with pytest.raises(ValueError, match="norm is 'group'; choose one of batch, channels"):
        Encoder(patch_size_px=32, norm="group")
    with pytest.raises(ValueError, match="norm is 'channels'; the published networks have 'batch'"):
        Encoder(patch_size_px=32, norm="channels", weights="imagenet", width=64)


class Counted(ArrayWindows):
    open_now = 0

    def __init__(self, pixels: np.ndarray) -> None:
        super().__init__(pixels)
        Counted.open_now += 1

    def close(self) -> None:
        Counted.open_now -= 1


def test_fitting_learns_windows_opens_one_at_a_time_and_keeps_the_best_epoch():
    pixels = np.random.default_rng(0).integers(0, 60, (8, 33, 33, 3), dtype=np.uint8)
    labels = np.arange(8) % 2
    pixels[labels == 1, 8:26, 8:26, 0] += 150

    def opened(i: int) -> Counted:
        assert Counted.open_now == 0
        return Counted(pixels[i])

    model = network(width=4)
    images = LargeImages(opened, labels)
    how = Streaming(Scale.of(pixels, np.arange(8)), POOLS["exp"])
    history = stream_fit(model, images, images, how, Plan(epochs=8, batch_size=2, lr=0.01), 0)
    assert Counted.open_now == 0 and not model.training
    loss = history[(history["split"] == "val") & (history["measure"] == "loss")]
    assert loss["kept"].sum() == 1
    found = predict_streamed(model, images, how)
    assert functional.cross_entropy(found, torch.from_numpy(labels)).item() == pytest.approx(
        loss.loc[loss["kept"], "value"].item()
    )
    assert (found.argmax(dim=1).numpy() == labels).mean() > 0.8
    without = stream_fit(model, images, None, how, Plan(epochs=1, batch_size=4, lr=0.01), 0)
    assert list(without["split"]) == ["train"]


class Scaled(nn.Module):
    """A pool that learns how much logits count, and notes its weight when it need not learn."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.2))
        self.seen: list[float] = []

    def forward(self, evidence: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            self.seen.append(self.weight.item())
        return evidence.flatten(0, -2).amax(dim=0) * self.weight


@pytest.mark.parametrize("patches", [None, lambda row: np.array([0, 1])])
def test_a_pool_that_learns_is_trained_with_the_network_and_comes_from_the_same_epoch(patches):
    images = replace(some_images(4, torch.float32), patches=patches)
    model, pool = network(width=4), Scaled()
    how = Streaming(pool=pool, tile_px=33)
    history = stream_fit(model, images, images, how, Plan(epochs=4, batch_size=2, lr=0.3), 0)
    loss = history[(history["split"] == "val") & (history["measure"] == "loss")]
    best, *others = pool.seen[::4][int(loss["value"].argmin())], *pool.seen[::4]
    assert len(set(others)) == 4 and pool.weight.item() == best != others[-1]
    assert not pool.training and not model.training
    found = predict_streamed(model, images, how)
    assert not found.requires_grad
    wanted = functional.cross_entropy(found, torch.from_numpy(images.labels)).item()
    assert wanted == pytest.approx(loss["value"].min())


def test_a_training_that_goes_on_takes_up_its_pool(tmp_path):
    images, plan = some_images(2, torch.float32), Plan(epochs=3, batch_size=2, lr=0.1)
    kept, ends = Checkpoint(tmp_path / "kept.npz", most_share=1e9), []
    for _ in range(2):  # the second start finds two epochs done
        model, how = network(), Streaming(pool=(pool := Scaled()), tile_px=33)
        stream_fit(model, images, images, how, plan, 0, kept)
        ends.append((len(pool.seen), pool.weight.item()))
    assert ends[0][1] == ends[1][1] != 0.2
    assert [n for n, _ in ends] == [6, 2]


def test_without_a_pool_predictions_are_the_mean_s():
    model, images = network().double(), some_images()
    found = predict_streamed(model, images, Streaming(tile_px=33))
    torch.testing.assert_close(found[1], stream_logits(model, images.open(1), 41).logits)


@pytest.mark.parametrize(
    "wrong", [partial(top_share, 0), partial(top_places, 0), partial(log_mean_exp, -1)]
)
def test_a_pool_of_nothing_is_refused(wrong):
    with pytest.raises(UserError, match=r"(share|n_places|sharpness) is .*; give"):
        wrong()
