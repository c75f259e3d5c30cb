"""Promises that every encoder keeps, whatever it is."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from patchbench import plugins, tables
from patchbench.errors import UserError
from patchbench.io import read_state, write_state
from patchbench.patchset import TrainingData

PATCH_SIZE_PX = 20
N_CLASSES = 3

# settings that make trained encoders quick; all others are tried as they are
SMALL: dict[str, dict[str, Any]] = {
    "bagnet": {
        "width": 4,
        "layers": [1, 1, 1, 1],
        "epochs": 2,
        "batch_size": 4,
        "precision": "float32",
    },
    "tile2vec": {
        "width": 4,
        "dim": 8,
        "epochs": 2,
        "n_triplets": 8,
        "batch_size": 4,
        "precision": "float32",
    },
    "raw_pixels": {"n_fit_patches": 6},
    "pretrained": {"weights": "scratch", "backbone": "shufflenet_v2_x0_5"},
}
# networks sum in another order when the batch has another size; the others may not
TOLERANCE = {"bagnet": 1e-5, "tile2vec": 1e-5, "pretrained": 1e-5}
# settings that take another way through an encoder's code, tried beside the plain ones
VARIANTS: dict[str, dict[str, Any]] = {
    "sift-grid": {"type": "sift", "aggregate": "grid", "step_px": 3, "support_px": [8, 12]},
    "sift-opponent": {"type": "sift", "color": "opponent"},
    "sift-bovw": {"type": "sift", "aggregate": "bovw", "step_px": 3},
    "sift-vlad": {"type": "sift", "aggregate": "vlad", "step_px": 3},
    "sift-fisher": {
        "type": "sift",
        "aggregate": "fisher",
        "step_px": 3,
        "color": "opponent",
        "pca_dim": 12,
    },
}
SMALL |= VARIANTS

ENCODERS = plugins.available("encoders")
every_encoder = pytest.mark.parametrize("name", ENCODERS)


def build(name: str, seed: int = 0, **settings: Any) -> Any:
    spec = SMALL.get(name, {}) | settings
    return plugins.build("encoders", name, spec, patch_size_px=PATCH_SIZE_PX, seed=seed)


def data_for(encoder: Any) -> TrainingData:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (15, 40, 48, 3), dtype=np.uint8)
    labels = np.arange(15) % N_CLASSES
    pixels = images[:, :PATCH_SIZE_PX, :PATCH_SIZE_PX]
    patches = pd.DataFrame({"shard": 0, "offset": np.arange(9)})
    return TrainingData(
        images=images,
        train_rows=np.arange(9),
        val_rows=np.arange(9, 15),
        train_labels=labels[:9] if encoder.supervised else None,
        val_labels=labels[9:] if encoder.supervised else None,
        n_classes=N_CLASSES if encoder.supervised else 0,
        pixels=[pixels],
        train_patches=patches,
    )


@pytest.fixture(scope="module")
def patches() -> np.ndarray:
    rng = np.random.default_rng(2)
    noise = rng.integers(0, 256, (70, PATCH_SIZE_PX, PATCH_SIZE_PX, 3), dtype=np.uint8)
    noise[0], noise[1] = 0, 255
    return noise


@pytest.fixture(scope="module", params=[*ENCODERS, *VARIANTS])
def fitted(request: pytest.FixtureRequest) -> tuple[str, Any, pd.DataFrame]:
    encoder = build(request.param)
    return request.param, encoder, encoder.fit(data_for(encoder))


def test_embeddings_are_finite_float32_of_the_promised_length(fitted, patches):
    _, encoder, _ = fitted
    embeddings = encoder.encode(patches)
    assert embeddings.shape == (len(patches), encoder.dim)
    assert embeddings.dtype == np.float32
    assert np.isfinite(embeddings).all()


def test_length_is_known_before_fit(fitted):
    name, encoder, _ = fitted
    assert build(name).dim == encoder.dim


def test_an_embedding_depends_on_its_own_patch_only(fitted, patches):
    name, encoder, _ = fitted
    together = encoder.encode(patches)
    order = np.random.default_rng(3).permutation(len(patches))
    shuffled = encoder.encode(patches[order])
    alone = np.concatenate([encoder.encode(patches[i : i + 1]) for i in range(5)])
    atol = TOLERANCE.get(name, 0.0)
    np.testing.assert_allclose(shuffled, together[order], rtol=0, atol=atol)
    np.testing.assert_allclose(alone, together[:5], rtol=0, atol=atol)


def test_different_patches_have_different_embeddings(fitted, patches):
    _, encoder, _ = fitted
    assert len(np.unique(encoder.encode(patches[2:12]), axis=0)) == 10


def test_patches_may_be_views_into_an_image(fitted, patches):
    _, encoder, _ = fitted
    canvas = np.zeros((4, 60, 60, 3), np.uint8)
    view = canvas[:, 7 : 7 + PATCH_SIZE_PX, 9 : 9 + PATCH_SIZE_PX]
    view[:] = patches[2:6]
    np.testing.assert_array_equal(encoder.encode(view), encoder.encode(patches[2:6]))


def test_a_written_encoder_gives_the_same_bytes_when_read(fitted, patches, tmp_path):
    name, encoder, _ = fitted
    write_state(tmp_path / "encoder.npz", encoder.state())
    again = build(name)
    again.restore(read_state(tmp_path / "encoder.npz"))
    np.testing.assert_array_equal(again.encode(patches), encoder.encode(patches))


def test_same_seed_gives_the_same_bytes(fitted, patches):
    name, encoder, history = fitted
    again = build(name)
    pd.testing.assert_frame_equal(again.fit(data_for(again)), history)
    np.testing.assert_array_equal(again.encode(patches), encoder.encode(patches))


def test_another_seed_matters_only_where_something_is_drawn(fitted, patches):
    name, encoder, _ = fitted
    other = build(name, seed=1)
    other.fit(data_for(other))
    draws = bool(encoder.state())
    assert np.array_equal(other.encode(patches), encoder.encode(patches)) is not draws


def test_history_has_loss_curves_and_one_kept_epoch_where_something_is_trained(fitted):
    _, encoder, history = fitted
    tables.to_arrow(history, "history")
    if not encoder.trained:
        assert history.empty
        return
    losses = history[history["measure"] == "loss"].pivot(
        index="epoch", columns="split", values="value"
    )
    assert list(losses.columns) == ["train", "val"]
    kept = history.loc[history["kept"], "epoch"].unique()
    assert list(kept) == [losses["val"].idxmin()]


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.full((2, PATCH_SIZE_PX, PATCH_SIZE_PX, 3), np.nan), "float64 with NaN among them"),
        (np.zeros((2, PATCH_SIZE_PX, PATCH_SIZE_PX, 3), np.float32), "take uint8 RGB, 0 to 255"),
        (np.zeros((2, PATCH_SIZE_PX, PATCH_SIZE_PX), np.uint8), r"expected (n, 20, 20, 3)"),
        (np.zeros((2, 8, 8, 3), np.uint8), r"expected (n, 20, 20, 3)"),
    ],
)
def test_pixels_of_another_kind_are_refused_in_one_sentence(fitted, pixels, said):
    _, encoder, _ = fitted
    with pytest.raises(UserError, match=re.escape(said)):
        encoder.encode(pixels)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_gives_the_same_embeddings(fitted, patches):
    name, encoder, _ = fitted
    spec = SMALL.get(name, {})
    other = plugins.build(
        "encoders", name, spec, patch_size_px=PATCH_SIZE_PX, seed=0, device="cuda"
    )
    other.restore(encoder.state())
    wanted = encoder.encode(patches)
    atol = 1e-2 * np.abs(wanted).max()  # convolutions may take TF32 products there
    np.testing.assert_allclose(other.encode(patches), wanted, rtol=0, atol=atol)


@every_encoder
def test_labels_are_withheld_unless_declared(name):
    encoder = build(name)
    data = data_for(encoder)
    assert (data.train_labels is not None) is encoder.supervised
    encoder.fit(data)


@every_encoder
def test_encoder_says_what_it_is(name):
    encoder = build(name)
    for flag in ("supervised", "trained", "differentiable", "control"):
        assert isinstance(getattr(encoder, flag), bool)
    assert encoder.summary.endswith(".")
    assert encoder.source
    assert 0 < encoder.receptive_field_px <= PATCH_SIZE_PX
    assert plugins.load("encoders", name).__doc__


def test_reading_settings_costs_no_heavy_import():
    code = (
        "import sys\n"
        "from patchbench import plugins\n"
        f"for name in {ENCODERS}:\n"
        "    plugins.build('encoders', name, {}, patch_size_px=40)\n"
        "import patchbench.networks.whole_image\n"
        "heavy = {'torch', 'torchvision', 'cv2', 'faiss', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    source = str(Path(plugins.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("bagnet", {"receptive_field_px": 15}, "9, 17 or 33"),
        ("bagnet", {"receptive_field_px": 33}, "patch_size_px is 20"),
        ("bagnet", {"layers": [3, 4, 6]}, "4 numbers"),
        ("bagnet", {"epochs": -1}, "epochs is -1"),
        ("bagnet", {"crop": 1.5}, "crop is 1.5"),
        ("bagnet", {"precision": "half"}, "auto, float32, bfloat16"),
        ("tile2vec", {"margin": -1}, "margin is -1"),
        ("tile2vec", {"neighbour_radius_px": 0}, "neighbour_radius_px is 0"),
        ("tile2vec", {"lr": 0}, "lr is 0"),
        ("bagnet", {"weights": "imagenet"}, "published networks have 64"),
        ("bagnet", {"freeze": True}, "random features would stay random"),
        ("bagnet", {"schedule": "cosine"}, "one-cycle, constant"),
        ("tile2vec", {"distant": "far"}, "other-image, anywhere"),
        ("tile2vec", {"betas": [0.9]}, "two numbers"),
        ("raw_pixels", {"dim": 5000}, "only 1200 values"),
        ("color_histogram", {"bins": 300}, "only 256 values"),
        ("pretrained", {"resize_px": 0}, "resize_px is 0"),
        ("sift", {"step_px": 0}, "step_px is 0"),
        ("sift", {"support_px": 21}, "support_px is 21"),
        ("sift", {"support_px": [12, 21]}, "support_px is 21"),
        ("sift", {"support_px": "all"}, "it must be int or a list of int or null"),
        ("bagnet", {"layers": 3}, "layers is 3; it must be a list of int"),
        ("bagnet", {"layers": [1.5, 1, 1, 1]}, "it must be a list of int"),
        ("bagnet", {"freeze": "yes"}, "it must be bool"),
        ("tile2vec", {"betas": ["a", "b"]}, "it must be a list of float"),
        ("sift", {"aggregate": "max"}, "mean, grid, bovw, vlad, fisher"),
        ("sift", {"aggregate": "vlad"}, "give step_px a number"),
        ("sift", {"color": "hsv"}, "grey, opponent"),
        ("sift", {"pca_dim": 129}, "from 1 to 128"),
        ("sift", {"n_words": 0}, "n_words is 0"),
        ("random_projection", {"dim": 0}, "dim is 0"),
        ("bagnet", {"receptive_field": 17}, "Did you mean 'receptive_field_px'?"),
    ],
)
def test_a_wrong_setting_is_one_sentence(name, settings, said):
    with pytest.raises(UserError, match=said.replace("?", r"\?")) as caught:
        build(name, **settings)
    assert "\n" not in str(caught.value)


def test_images_too_small_to_train_on_are_refused():
    encoder = build("bagnet", crop=0.3)
    with pytest.raises(UserError, match="raise crop or the image size"):
        encoder.fit(data_for(encoder))
