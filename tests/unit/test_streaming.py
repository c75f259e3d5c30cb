"""Streamed logits are those of the pass over the whole image."""

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from patchbench.errors import UserError
from patchbench.networks.bagnet import BagNet
from patchbench.networks.folding import folded
from patchbench.networks.pixels import Scale
from patchbench.streaming import stream_logits
from patchbench.streaming.footprint import multiply_adds
from patchbench.streaming.tiles import laid_out
from patchbench.windows import ArrayWindows, open_windows

FIELDS_PX = (9, 17, 33)


def network(receptive_field_px: int, width: int = 2, **settings) -> BagNet:
    """A narrow BagNet whose batch norms have seen something."""
    torch.manual_seed(receptive_field_px)
    found = BagNet(receptive_field_px, 3, width, (1, 1, 1, 1), stem_momentum=0.5, **settings)
    for part in found.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, std=0.2)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
    return found.eval()


NARROW = {field_px: network(field_px).double() for field_px in FIELDS_PX}


def photograph(height_px: int, width_px: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(3, height_px, width_px)))


def relative(found: Tensor, wanted: Tensor) -> float:
    assert found.shape == wanted.shape
    return ((found - wanted).abs().max() / wanted.abs().max()).item()


@pytest.mark.parametrize("field_px", FIELDS_PX)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(more=st.tuples(st.integers(0, 90), st.integers(0, 90)), tile=st.integers(0, 100))
@example(more=(0, 0), tile=0)
@example(more=(7, 8), tile=0)
@example(more=(23, 64), tile=100)
def test_any_tile_gives_the_whole_image_s_logits_evidence_and_embeddings(field_px, more, tile):
    model, image = NARROW[field_px], photograph(field_px + more[0], field_px + more[1], sum(more))
    with torch.inference_mode():
        embeddings = model.embed(image[None])[0]
        evidence, logits = model.patch_logits(image[None])[0], model(image[None])[0]
    found = stream_logits(model, image, field_px + tile, evidence=True, embeddings=True)
    for ours, whole in [
        (found.logits, logits),
        (found.evidence, evidence),
        (found.embeddings, embeddings),
        (found.evidence.mean(dim=(0, 1)), logits),
    ]:
        assert relative(ours, whole) < 1e-10
    assert field_px <= found.tile_px <= field_px + tile
    assert (found.redundant_work == 0) == (found.n_tiles == 1)


@pytest.mark.parametrize("field_px", FIELDS_PX)
def test_the_published_size_in_float32_is_equal_to_1e_4(field_px):
    torch.manual_seed(0)
    model, image = BagNet(field_px, 1000).eval(), torch.randn(3, 83, 118)
    with torch.inference_mode():
        evidence = model.patch_logits(image[None])[0]
    found = stream_logits(model, image, 60, evidence=True)
    assert found.n_tiles > 1
    assert relative(found.logits, evidence.mean(dim=(0, 1))) < 1e-4
    assert relative(found.evidence, evidence) < 1e-4


def test_only_the_classes_asked_for_are_on_the_evidence_map():
    model, image = NARROW[17], photograph(60, 70)
    every = stream_logits(model, image, 40, evidence=True).evidence
    chosen = stream_logits(model, image, 40, evidence=True, classes=[2, 0]).evidence
    torch.testing.assert_close(chosen, every[..., [2, 0]])
    found = stream_logits(model, image, 40)
    assert found.evidence is None and found.embeddings is None


def test_a_network_without_batch_norms_or_in_training_mode_gives_the_same():
    model, image = network(17, width=4), photograph(70, 61).float()
    wanted = stream_logits(model, image, 33).logits
    assert relative(stream_logits(folded(model), image, 33).logits, wanted) < 1e-5
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert relative(stream_logits(model.train(), image, 33).logits, wanted) < 1e-6
    assert all(part.training for part in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_arrays_and_files_are_scaled_tile_by_tile(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (58, 75, 3), dtype=np.uint8)
    model, scale = network(17), Scale.imagenet()
    with torch.inference_mode():
        wanted = model(scale.tensor(pixels[None], "cpu"))[0]
    tifffile.imwrite(tmp_path / "it.tif", pixels, photometric="rgb", tile=(16, 16))
    with open_windows(tmp_path / "it.tif") as file:
        for image in (pixels, ArrayWindows(pixels), file):
            assert relative(stream_logits(model, image, 33, scale=scale).logits, wanted) < 1e-5


def test_tiles_overlap_by_receptive_field_less_stride_and_hold_every_feature_once():
    for field_px in FIELDS_PX:
        layout = laid_out(NARROW[field_px], 145, 201, 73)
        seen = np.zeros((layout.n_rows, layout.n_cols), int)
        for tile in layout:
            seen[tile.rows, tile.cols] += 1
            assert (tile.y_px, tile.x_px) == (8 * tile.rows.start, 8 * tile.cols.start)
        assert (seen == 1).all()
        first, second = list(layout)[:2]
        assert first.x_px + first.width_px - second.x_px == field_px - 8


def test_redundant_work_is_what_the_tiles_add_up_to():
    model = NARROW[33]
    layout = laid_out(model, 200, 130, 81)
    tiles = sum(multiply_adds(model, tile.height_px, tile.width_px) for tile in layout)
    # pixels that no feature sees are no part of the whole: 200 px hold as many features as 193 px
    whole = multiply_adds(model, 193, 129)
    assert layout.redundant_work(model) == pytest.approx(tiles / whole - 1)
    assert layout.redundant_work(model) > 0
    assert laid_out(model, 200, 130, 200).redundant_work(model) == 0


def test_multiply_adds_are_those_that_pytorch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    model = NARROW[33]
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model.embed(photograph(61, 84)[None])
    # PyTorch also counts the product of the two stem convolutions, which is no work on pixels
    stem = 2 * 3 * model.conv2.weight.numel()
    assert 2 * multiply_adds(model, 61, 84) == counter.get_total_flops() - stem


SCALED = torch.zeros(3, 40, 40)


@pytest.mark.parametrize(
    ("image", "options", "sentence"),
    [
        (SCALED, {"tile_px": 16}, "tile_px is 16, less than the receptive field of 17 px"),
        (SCALED, {"max_memory_mib": 2}, "max_memory_mib is 2, less than one receptive field of"),
        (SCALED[:, :12], {}, "the image has 12 x 40 px, but one feature of this BagNet sees 17"),
        (SCALED[:1], {}, "the image has 1 channels, but the model takes 3"),
        (SCALED[None], {}, r"tensor of shape \(1, 3, 40, 40\); give \(channels, height, width\)"),
        (SCALED.byte(), {}, r"tensor of torch.uint8; give a scaled floating-point tensor"),
        (np.zeros((40, 40, 3)), {}, "pixels of type float64; give uint8"),
        (np.zeros((40, 40), np.uint8), {}, r"shape \(40, 40\); give \(height, width, channels\)"),
        (np.zeros((40, 40, 4), np.uint8), {"scale": Scale.imagenet()}, "4 channels, but the model"),
        (np.zeros((40, 40, 3), np.uint8), {}, "no scale; give the scale"),
    ],
)
def test_what_cannot_be_streamed_is_told_in_one_sentence(image, options, sentence):
    with pytest.raises(UserError, match=sentence) as told:
        stream_logits(NARROW[17], image, **options)
    assert "\n" not in str(told.value)


def test_a_network_that_pads_is_refused():
    with pytest.raises(UserError, match="the model is a Conv2d; only a BagNet"):
        stream_logits(nn.Conv2d(3, 2, 3, padding=1), SCALED, 20)
