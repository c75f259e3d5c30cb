"""The network of Tile2Vec against the published one, restated here as a plain loop."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from patchbench.networks.tile2vec import Tile2Vec

State = dict[str, Tensor]
STRIDES = (1, 2, 2, 2, 2)  # of the first block of each stage
WIDTH, DIM = 8, 24


def channels(width: int, dim: int) -> list[int]:
    """Output channels of the five stages: 64, 128, 256, 512, z where the width is 64."""
    return [width, 2 * width, 4 * width, 8 * width, dim]


def network(width: int = WIDTH, dim: int = DIM) -> Tile2Vec:
    """In eval mode, with statistics, scales and shifts that a wrong norm would not survive."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        net = Tile2Vec(dim=dim, width=width)
    for name, value in net.state_dict().items():
        if name.endswith("running_mean"):
            value.copy_(0.3 * torch.randn(value.shape, generator=generator))
        elif value.ndim == 1:  # running variances, weights and biases of norms
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return net.eval()


def norm(features: Tensor, state: State, name: str) -> Tensor:
    """Batch normalisation with kept statistics, written out."""
    weight, bias, mean, var = (
        state[f"{name}.{part}"][:, None, None]
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (features - mean) / torch.sqrt(var + 1e-5) * weight + bias


def block(features: Tensor, state: State, name: str, stride: int) -> Tensor:
    out = functional.conv2d(features, state[f"{name}.conv1.weight"], None, stride, 1)
    out = torch.relu(norm(out, state, f"{name}.bn1"))
    out = norm(functional.conv2d(out, state[f"{name}.conv2.weight"], None, 1, 1), state,
               f"{name}.bn2")  # fmt: skip
    if out.shape != features.shape:
        features = functional.conv2d(features, state[f"{name}.shortcut.0.weight"], None, stride)
        features = norm(features, state, f"{name}.shortcut.1")
    return torch.relu(out + features)


def published_map(tiles: Tensor, state: State, width: int, dim: int) -> Tensor:
    """The map that is averaged into embeddings."""
    out = torch.relu(norm(functional.conv2d(tiles, state["conv1.weight"], None, 1, 1), state,
                          "bn1"))  # fmt: skip
    for stage, (n_out, stride) in enumerate(zip(channels(width, dim), STRIDES, strict=True)):
        out = block(out, state, f"blocks.{2 * stage}", stride)
        out = block(out, state, f"blocks.{2 * stage + 1}", 1)
        assert out.shape[1] == n_out
    return out


def tiles(side_px: int) -> Tensor:
    return torch.randn(3, 3, side_px, side_px, generator=torch.Generator().manual_seed(side_px))


# with dim equal to the width of the fourth stage, as published, only the stride asks for the
# shortcut of the fifth
@pytest.mark.parametrize("dim", [DIM, 8 * WIDTH])
@pytest.mark.parametrize("side_px", [32, 50])
def test_embeddings_are_those_of_the_published_network(side_px: int, dim: int) -> None:
    net = network(dim=dim)
    with torch.no_grad():
        found = net(tiles(side_px))
        wanted = published_map(tiles(side_px), net.state_dict(), WIDTH, dim)
        wanted = wanted.sum(dim=(2, 3)) / (wanted.shape[2] * wanted.shape[3])
    assert found.shape == (3, dim)
    assert wanted.std() > 0.01  # dead features would agree with anything
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


def test_every_array_of_the_state_is_used_by_the_published_network() -> None:
    class Noting(dict[str, Tensor]):
        def __getitem__(self, name: str) -> Tensor:
            read.add(name)
            return super().__getitem__(name)

    read: set[str] = set()
    state = network().state_dict()
    published_map(tiles(32), Noting(state), WIDTH, DIM)
    # counters of batches take part in no computation
    assert read == {name for name in state if not name.endswith("num_batches_tracked")}


def test_an_embedding_of_a_tile_of_50_px_pools_4_by_4_places() -> None:
    net = network()
    seen: list[tuple[int, ...]] = []
    net.blocks.register_forward_hook(lambda module, given, out: seen.append(tuple(out.shape)))
    with torch.no_grad():
        net(tiles(50))
    assert seen == [(3, DIM, 4, 4)]
    assert published_map(tiles(50), net.state_dict(), WIDTH, DIM).shape == seen[0]


def test_the_published_width_has_the_published_number_of_parameters() -> None:
    # 3x3 weights of the stem and of two blocks of two convolutions per stage
    stem = 9 * 3 * 64
    stage_1 = 9 * (4 * 64 * 64)
    stage_2 = 9 * (64 * 128 + 3 * 128 * 128)
    stage_3 = 9 * (128 * 256 + 3 * 256 * 256)
    stage_4 = 9 * (256 * 512 + 3 * 512 * 512)
    stage_5 = 9 * (512 * 512 + 3 * 512 * 512)
    # 1x1 shortcuts where a stage begins with a stride
    shortcuts = 64 * 128 + 128 * 256 + 256 * 512 + 512 * 512
    # a scale and a shift per channel: after the stem, every convolution and every shortcut
    norms = 2 * (64 + 4 * 64 + 5 * 128 + 5 * 256 + 5 * 512 + 5 * 512)
    wanted = stem + stage_1 + stage_2 + stage_3 + stage_4 + stage_5 + shortcuts + norms
    with torch.device("meta"):  # shapes alone
        net = Tile2Vec(dim=512, width=64)
    assert sum(parameter.numel() for parameter in net.parameters()) == wanted
