"""One pass over an image gives the embeddings of its patches."""

import numpy as np
import pandas as pd
import pytest

from patchbench import grid, plugins
from patchbench.patchset import TrainingData
from patchbench.stages.encode import pieces

SIDE_PX = 72
SETTINGS = {"width": 4, "layers": [2, 1, 1, 1], "epochs": 1, "batch_size": 4}


def fitted(receptive_field_px: int, patch_size_px: int, **settings):
    spec = {**SETTINGS, "receptive_field_px": receptive_field_px, **settings}
    encoder = plugins.build("encoders", "bagnet", spec, patch_size_px=patch_size_px, seed=0)
    labels = np.arange(10) % 2
    encoder.fit(
        TrainingData(
            images=photographs(),
            train_rows=np.arange(6),
            val_rows=np.arange(6, 10),
            train_labels=labels[:6],
            val_labels=labels[6:],
            n_classes=2,
            pixels=[],
            train_patches=pd.DataFrame(),
        )
    )
    return encoder


def photographs() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (10, SIDE_PX, SIDE_PX + 8, 3), dtype=np.uint8)


def cut(images: np.ndarray, size_px: int, stride_px: int, edge: str) -> tuple[np.ndarray, ...]:
    ys, xs = (grid.starts(side, size_px, stride_px, edge) for side in images.shape[1:3])
    return np.concatenate([grid.cut(image, ys, xs, size_px) for image in images]), ys, xs


@pytest.mark.parametrize(
    ("receptive_field_px", "size_px", "stride_px"),
    [(9, 9, 8), (9, 32, 16), (17, 17, 8), (17, 32, 16), (17, 40, 24), (33, 33, 8), (33, 48, 8)],
)
def test_dense_pass_equals_patch_pass(receptive_field_px, size_px, stride_px):
    encoder, images = fitted(receptive_field_px, size_px), photographs()
    patches, ys, xs = cut(images, size_px, stride_px, "drop")
    assert encoder.takes_grid(ys, xs, *images.shape[1:3])
    dense = encoder.encode_grid(images, ys, xs)
    np.testing.assert_allclose(dense, encoder.encode(patches), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("size_px", "stride_px", "edge"),
    [(32, 12, "drop"), (32, 16, "reflect"), (36, 24, "shift-last")],
)
def test_a_grid_that_does_not_fit_is_left_to_the_patch_pass(size_px, stride_px, edge):
    encoder, images = fitted(17, size_px), photographs()
    _, ys, xs = cut(images, size_px, stride_px, edge)
    assert not encoder.takes_grid(ys, xs, *images.shape[1:3])


def test_dense_can_be_switched_off():
    encoder = plugins.build("encoders", "bagnet", {"dense": False}, patch_size_px=32, seed=0)
    assert not encoder.takes_grid(np.array([0, 16]), np.array([0, 16]), 48, 48)


@pytest.mark.parametrize("stride_px", [16, 12])
def test_the_stage_gives_one_result_either_way(stride_px):
    encoder, images = fitted(17, 32), photographs()
    patches, ys, xs = cut(images[3:8], 32, stride_px, "drop")
    part = pd.DataFrame(
        {
            "image_row": np.repeat(np.arange(3, 8), len(ys) * len(xs)),
            "y_px": np.tile(np.repeat(ys, len(xs)), 5),
            "x_px": np.tile(xs, len(ys) * 5),
        }
    )
    found = np.full((len(patches), encoder.dim), np.nan, np.float32)
    for rows, encode in pieces(encoder, patches, images, part):
        found[rows] = encode()
    np.testing.assert_allclose(found, encoder.encode(patches), rtol=0, atol=1e-4)


def test_bfloat16_embeddings_are_close_to_float32_ones():
    exact, images = fitted(17, 32), photographs()
    coarse = plugins.build(
        "encoders", "bagnet", SETTINGS | {"inference": "bfloat16"}, patch_size_px=32, seed=0
    )
    coarse.restore(exact.state())
    patches, ys, xs = cut(images, 32, 16, "drop")
    wanted = exact.encode(patches)
    for found in (coarse.encode(patches), coarse.encode_grid(images, ys, xs)):
        assert found.dtype == np.float32
        assert np.abs(found - wanted).max() < 0.03 * np.abs(wanted).max()
