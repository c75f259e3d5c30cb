"""Aggregations of descriptors equal the slow, obvious loop over the published formula."""

import numpy as np
import pytest

from patchbench.encoders import _codebooks
from patchbench.errors import UserError

N_PATCHES, N_PLACES, DIM, N_WORDS = 5, 7, 6, 4


@pytest.fixture(scope="module")
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def descriptors(rng) -> np.ndarray:
    return rng.normal(size=(N_PATCHES, N_PLACES, DIM))


@pytest.fixture(scope="module")
def words(rng) -> np.ndarray:
    return rng.normal(size=(N_WORDS, DIM))


@pytest.fixture(scope="module")
def mixture(rng) -> dict[str, np.ndarray]:
    return {
        "weights": rng.dirichlet(np.ones(N_WORDS)),
        "means": rng.normal(size=(N_WORDS, DIM)),
        "variances": rng.uniform(0.5, 2, size=(N_WORDS, DIM)),
    }


def power_unit(values: np.ndarray) -> np.ndarray:
    powered = np.array([np.sign(v) * abs(v) ** 0.5 for v in values.ravel()])
    return powered / np.linalg.norm(powered)


def nearest(descriptor: np.ndarray, words: np.ndarray) -> int:
    return int(np.argmin([np.linalg.norm(descriptor - word) for word in words]))


def test_bag_of_words_counts_the_nearest_words(descriptors, words):
    expected = np.zeros((N_PATCHES, N_WORDS))
    for patch in range(N_PATCHES):
        for descriptor in descriptors[patch]:
            expected[patch, nearest(descriptor, words)] += 1 / N_PLACES
    bags = _codebooks.bag_of_words(descriptors, words)
    np.testing.assert_allclose(bags, np.sqrt(expected), atol=1e-12)


def test_vlad_sums_what_is_left_after_the_nearest_word(descriptors, words):
    expected = []
    for patch in range(N_PATCHES):
        left = np.zeros((N_WORDS, DIM))
        for descriptor in descriptors[patch]:
            word = nearest(descriptor, words)
            left[word] += descriptor - words[word]
        expected.append(power_unit(left))
    np.testing.assert_allclose(_codebooks.vlad(descriptors, words), expected, atol=1e-10)


def density(x: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> float:
    return float(np.prod(np.exp(-((x - mean) ** 2) / 2 / variance) / np.sqrt(2 * np.pi * variance)))


def test_fisher_vector_is_the_published_gradient(descriptors, mixture):
    weights, means, variances = mixture.values()
    expected = []
    for patch in range(N_PATCHES):
        by_mean, by_deviation = np.zeros((2, N_WORDS, DIM))
        for x in descriptors[patch]:
            joint = np.array(
                [weights[k] * density(x, means[k], variances[k]) for k in range(N_WORDS)]
            )
            posterior = joint / joint.sum()
            for k in range(N_WORDS):
                u = (x - means[k]) / np.sqrt(variances[k])
                by_mean[k] += posterior[k] * u / (N_PLACES * np.sqrt(weights[k]))
                by_deviation[k] += posterior[k] * (u**2 - 1) / (N_PLACES * np.sqrt(2 * weights[k]))
        expected.append(power_unit(np.concatenate([by_mean, by_deviation])))
    found = _codebooks.fisher_vector(descriptors, **mixture)
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("name", ["bag_of_words", "vlad", "fisher_vector"])
def test_order_of_places_does_not_matter(descriptors, words, mixture, name):
    book = mixture if name == "fisher_vector" else {"words": words}
    aggregate = getattr(_codebooks, name)
    turned = aggregate(descriptors[:, ::-1], **book)
    np.testing.assert_allclose(turned, aggregate(descriptors, **book), atol=1e-7)


def test_vlad_of_descriptors_that_are_words_is_zero(words):
    exact = words.astype(np.float32)
    np.testing.assert_array_equal(_codebooks.vlad(exact[None], exact), 0)


def test_principal_components_are_those_of_the_covariance(rng):
    values = rng.normal(size=(400, DIM)) @ np.diag([5, 4, 3, 1, 1, 1]) + 2
    book = _codebooks.fit_projection(values.astype(np.float32), 3)
    projected = _codebooks.project(values, **book)
    spread = np.cov(projected, rowvar=False)
    expected = np.linalg.eigvalsh(np.cov(values, rowvar=False))[:-4:-1]
    np.testing.assert_allclose(np.diag(spread), expected, rtol=1e-4)
    np.testing.assert_allclose(spread, np.diag(np.diag(spread)), atol=1e-3)
    np.testing.assert_allclose(projected.mean(axis=0), 0, atol=1e-5)


def blobs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    centers = 10 * np.eye(N_WORDS, DIM)
    return centers, (centers.repeat(50, axis=0) + rng.normal(size=(50 * N_WORDS, DIM)))


def by_largest_entry(rows: np.ndarray) -> np.ndarray:
    return rows[np.argsort(rows.argmax(axis=1))]


def test_words_and_gaussians_find_well_separated_blobs(rng):
    centers, values = blobs(rng)
    words = _codebooks.fit_words(values.astype(np.float32), N_WORDS, 0, 1)["words"]
    np.testing.assert_allclose(by_largest_entry(words), centers, atol=0.6)
    book = _codebooks.fit_mixture(values.astype(np.float32), N_WORDS, 0, 1)
    np.testing.assert_allclose(by_largest_entry(book["means"]), centers, atol=0.6)
    np.testing.assert_allclose(book["weights"], 1 / N_WORDS, atol=1e-3)
    np.testing.assert_allclose(book["variances"], 1, atol=0.6)


def test_the_seed_decides_the_words(rng):
    values = rng.normal(size=(300, DIM)).astype(np.float32)
    words = [_codebooks.fit_words(values, N_WORDS, seed, 1)["words"] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(words[0], words[1])
    assert not np.array_equal(words[0], words[2])


def test_a_mixture_of_equal_descriptors_is_finite():
    values = np.zeros((50, DIM), np.float32)
    book = _codebooks.fit_mixture(values, N_WORDS, 0, 1)
    assert all(np.isfinite(array).all() for array in book.values())
    assert np.isfinite(_codebooks.fisher_vector(values[None], **book)).all()


def test_too_few_descriptors_are_told_in_one_sentence():
    few = np.zeros((3, DIM), np.float32)
    with pytest.raises(UserError, match="n_words is 4 but the train split gives 3 descriptors"):
        _codebooks.fit_words(few, N_WORDS, 0, 1)
    with pytest.raises(UserError, match="pca_dim is 4 but the train split gives 3 descriptors"):
        _codebooks.fit_projection(few, 4)
