"""Principal components of pixels: by whichever products are fewer, with the same result."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from patchbench.encoders.raw_pixels import Encoder, principal_components
from patchbench.patchset import TrainingData

SIDE = 4  # 48 values


def patches(n: int, seed: int = 0) -> np.ndarray:
    """Patches with neighbouring pixels alike, so that components differ in variance."""
    rng = np.random.default_rng(seed)
    walk = rng.normal(0, 12, (n, SIDE, SIDE, 3)).cumsum(axis=1).cumsum(axis=2)
    return (128 + walk).clip(0, 255).astype(np.uint8)


def data(pixels: np.ndarray) -> TrainingData:
    none = np.empty(0, int)
    index = pd.DataFrame({"shard": 0, "offset": np.arange(len(pixels))})
    return TrainingData(
        images=pixels,
        train_rows=none,
        val_rows=none,
        train_labels=None,
        val_labels=None,
        n_classes=0,
        pixels=[pixels],
        train_patches=index,
    )


def fitted(pixels: np.ndarray, dim: int) -> Encoder:
    encoder = Encoder(patch_size_px=SIDE, dim=dim)
    encoder.fit(data(pixels))
    return encoder


@pytest.mark.parametrize("n", [30, 48, 400])
def test_embeddings_are_whitened_components(n: int) -> None:
    train, test = patches(n), patches(20, seed=1)
    pca = PCA(10).fit(train.reshape(n, -1).astype(float))
    scale = np.sqrt(pca.explained_variance_ + 1)
    expected = pca.transform(test.reshape(20, -1).astype(float)) / scale
    expected *= np.sign(pca.components_[np.arange(10), np.abs(pca.components_).argmax(axis=1)])
    found = fitted(train, 10).encode(test)
    # weights are rounded to 2 ** -28
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_products_of_rows_and_of_columns_give_the_same() -> None:
    values = patches(48).reshape(48, -1).astype(float)
    values -= values.mean(axis=0)
    by_columns = principal_components(values, 20)
    # a column without variance makes the rows fewer
    by_rows = principal_components(np.column_stack([values, np.zeros(48)]), 20)
    np.testing.assert_allclose(by_rows[0][:48], by_columns[0], atol=1e-9)
    np.testing.assert_allclose(by_rows[1], by_columns[1], rtol=1e-9)
    assert (by_rows[0].max(axis=0) == np.abs(by_rows[0]).max(axis=0)).all()
    np.testing.assert_allclose(by_rows[0].T @ by_rows[0], np.eye(20), atol=1e-9)


@pytest.mark.parametrize(("n", "n_directions"), [(6, 5), (1, 0)])
def test_directions_without_variance_are_0(n: int, n_directions: int) -> None:
    few, many = patches(n), np.repeat(patches(n), 20, axis=0)
    for train in (few, many):
        weights = fitted(train, 10).state()["weights"]
        assert (weights[:, :n_directions] != 0).any(axis=0).all()
        assert (weights[:, n_directions:] == 0).all()


@pytest.mark.parametrize(("side", "n"), [(8, 10_000), (64, 5461), (128, 1365), (2**13, 1)])
def test_large_patches_are_sampled_less(side: int, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def sample(_: TrainingData, n_patches: int, seed: int) -> np.ndarray:
        asked.append(n_patches)
        raise InterruptedError

    monkeypatch.setattr(TrainingData, "sample_patches", sample)
    with pytest.raises(InterruptedError):
        Encoder(patch_size_px=side).fit(data(patches(1)))
    assert asked == [n]
