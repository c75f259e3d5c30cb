"""Many descriptors of a patch become one embedding: words, VLAD, Fisher vector.

Code books are fitted on descriptors of train patches and kept as plain arrays. Every product
here is one small matrix product per patch, of a shape that does not depend on how many patches
there are, so an embedding has the same bits alone and in company.
"""

import numpy as np

from patchbench.errors import UserError

_KMEANS_ROUNDS = 25
_MIXTURE_ROUNDS = 30
# Gaussians may not get narrower than this share of the variance of all descriptors, or one
# would close around the many equal descriptors of uniform patches
_LEAST_VARIANCE = 1e-3


def fit_projection(descriptors: np.ndarray, dim: int) -> dict[str, np.ndarray]:
    """Principal components of descriptors (n, d): ``center`` (d,) and ``axes`` (d, dim)."""
    if len(descriptors) < dim:
        raise UserError(
            f"pca_dim is {dim} but the train split gives {len(descriptors)} descriptors; lower it"
        )
    values = descriptors.astype(np.float64)
    center = values.mean(axis=0)
    values -= center
    _, vectors = np.linalg.eigh(values.T @ values)
    axes = vectors[:, ::-1][:, :dim]  # eigh sorts upwards
    # the sign of an axis is arbitrary: its largest entry is made positive
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
    return {
        "center": center.astype(np.float32),
        "axes": np.ascontiguousarray(axes * np.sign(largest), np.float32),
    }


def project(descriptors: np.ndarray, center: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Descriptors (n_patches, n_places, d) in principal components, (..., dim)."""
    projected: np.ndarray = (descriptors - center) @ axes
    return projected


def fit_words(
    descriptors: np.ndarray, n_words: int, seed: int, threads: int
) -> dict[str, np.ndarray]:
    """Means of faiss k-means on descriptors (n, d): ``words``, float32 (n_words, d)."""
    words, _ = _kmeans(descriptors, n_words, seed, threads)
    return {"words": words}


def _kmeans(
    descriptors: np.ndarray, n_words: int, seed: int, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Means (n_words, d), and which one each descriptor is nearest to, (n,)."""
    import faiss

    if len(descriptors) < n_words:
        raise UserError(
            f"n_words is {n_words} but the train split gives {len(descriptors)} descriptors; "
            "lower it, or give a smaller step_px"
        )
    faiss.omp_set_num_threads(threads)
    values = np.ascontiguousarray(descriptors, np.float32)
    kmeans = faiss.Kmeans(
        values.shape[1],
        n_words,
        niter=_KMEANS_ROUNDS,
        seed=seed,
        # all descriptors count: the sample was drawn before, and faiss would draw another
        max_points_per_centroid=len(values),
        min_points_per_centroid=1,
    )
    kmeans.train(values)
    _, nearest = kmeans.assign(values)
    return np.array(kmeans.centroids), np.asarray(nearest)


def fit_mixture(
    descriptors: np.ndarray, n_words: int, seed: int, threads: int
) -> dict[str, np.ndarray]:
    """Diagonal Gaussian mixture of descriptors (n, d), started from k-means.

    Gives ``weights`` (n_words,), ``means`` and ``variances`` (n_words, d), float64.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    words, nearest = _kmeans(descriptors, n_words, seed, threads)
    values = descriptors.astype(np.float64)
    least = max(_LEAST_VARIANCE * values.var(axis=0).mean(), 1e-9)
    within = ((values - words[nearest]) ** 2).mean(axis=0) + least
    counts = np.bincount(nearest, minlength=n_words) + 1.0
    model = GaussianMixture(
        n_words,
        covariance_type="diag",
        reg_covar=least,
        max_iter=_MIXTURE_ROUNDS,
        weights_init=counts / counts.sum(),
        means_init=words.astype(np.float64),
        precisions_init=np.tile(1 / within, (n_words, 1)),
        init_params="random_from_data",  # all is given above; the default would cost a k-means
        random_state=seed,
    )
    with warnings.catch_warnings():
        # a code book only has to cover the descriptors; the last digits of likelihood do not pay
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(values)
    return {"weights": model.weights_, "means": model.means_, "variances": model.covariances_}


def bag_of_words(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Root of the share of each word among the descriptors of a patch: (n_patches, n_words).

    Sivic & Zisserman, "Video Google", ICCV 2003; the root is Hellinger's kernel.
    ``descriptors`` is (n_patches, n_places, d).
    """
    shares: np.ndarray = np.sqrt(_members(descriptors, words).mean(axis=1))
    return shares


def vlad(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Sum of what is left of each descriptor after its nearest word: (n_patches, n_words * d).

    Jegou, Douze, Schmid & Perez, "Aggregating local descriptors into a compact image
    representation", CVPR 2010; signed square root and unit length as in their later work.
    """
    members = _members(descriptors, words)
    sums = np.swapaxes(members, 1, 2) @ descriptors.astype(np.float64)
    return _power_unit(sums - members.sum(axis=1)[..., None] * words)


def fisher_vector(
    descriptors: np.ndarray, weights: np.ndarray, means: np.ndarray, variances: np.ndarray
) -> np.ndarray:
    """Gradients of the log-likelihood by means and deviations: (n_patches, 2 * n_words * d).

    Perronnin, Sanchez & Mensink, "Improving the Fisher kernel for large-scale image
    classification", ECCV 2010, with its signed square root and unit length.
    """
    values = descriptors.astype(np.float64)
    posteriors = _posteriors(values, weights, means, variances)
    mass = posteriors.sum(axis=1)[..., None]
    onto_words = np.swapaxes(posteriors, 1, 2)
    first, second = onto_words @ values, onto_words @ values**2
    by_mean = (first - mass * means) / np.sqrt(variances)
    by_deviation = (second - 2 * means * first + mass * means**2) / variances - mass
    n_places, root_weights = descriptors.shape[1], np.sqrt(weights)[:, None]
    by_mean /= n_places * root_weights
    by_deviation /= n_places * np.sqrt(2) * root_weights
    return _power_unit(np.concatenate([by_mean, by_deviation], axis=1))


def _members(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """1.0 at the nearest word of each descriptor: float64 (n_patches, n_places, n_words)."""
    places = words.astype(np.float64)
    distances = (places**2).sum(axis=1) - 2 * (descriptors.astype(np.float64) @ places.T)
    nearest = distances.argmin(axis=-1)
    members: np.ndarray = (nearest[..., None] == np.arange(len(words))).astype(np.float64)
    return members


def _posteriors(
    values: np.ndarray, weights: np.ndarray, means: np.ndarray, variances: np.ndarray
) -> np.ndarray:
    """Probability of each Gaussian given a descriptor: (n_patches, n_places, n_words)."""
    constant = np.log(weights) - 0.5 * (np.log(variances) + means**2 / variances).sum(axis=1)
    scores = values @ (means / variances).T - 0.5 * (values**2 @ (1 / variances).T) + constant
    likelihoods = np.exp(scores - scores.max(axis=-1, keepdims=True))
    posteriors: np.ndarray = likelihoods / likelihoods.sum(axis=-1, keepdims=True)
    return posteriors


def _power_unit(values: np.ndarray) -> np.ndarray:
    """Signed square root, then unit length, of each (n_words, d): (n_patches, n_words * d)."""
    flat = values.reshape(len(values), -1)
    powered = np.sign(flat) * np.sqrt(np.abs(flat))
    norms = np.sqrt((powered**2).sum(axis=1, keepdims=True))
    unit: np.ndarray = powered / np.maximum(norms, 1e-12)
    return unit
