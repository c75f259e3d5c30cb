"""Lay the embeddings of a few hundred test patches out on a plane, so that one can look at them.

Which patches is decided by the seed and the index alone, so every encoder of one patches entry
is mapped with the same ones. The map shows embeddings as they are: no label is used in it.
"""

import argparse
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd

from patchbench.cost import Stopwatch, Work
from patchbench.io import provenance, read_table, write_table
from patchbench.patchset import gather, refuse_holes
from patchbench.seeds import derive

N_PATCHES = 600
N_COMPONENTS = 50  # van der Maaten & Hinton (2008) reduce to 30; scikit-learn advises 50
PERPLEXITY = 30.0
MIN_PATCHES = 8  # below, t-SNE has no neighbourhoods to keep


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage."""
    parser.add_argument("--index", type=Path, required=True, help="index.parquet of the patches")
    parser.add_argument(
        "--embeddings", type=Path, nargs="+", required=True, help="embedding shards, in order"
    )
    parser.add_argument("--out", type=Path, required=True, help="map.parquet to write")


def run(args: argparse.Namespace) -> Work:
    """Draw patches, read their embeddings shard by shard, lay them out."""
    sample = draw_patches(read_table(args.index, "patches"), args.seed)
    embeddings = gather(args.embeddings, sample)
    refuse_holes(embeddings, "test patches")
    import_module("sklearn.manifold")  # which is no part of the work
    watch = Stopwatch()
    with watch:
        placed = lay_out(embeddings, derive(args.seed, "map_embeddings", "t-sne"), args.threads)
    columns = ["patch_id", "label", "shard", "offset"]
    frame = pd.concat([sample[columns].reset_index(drop=True), placed], axis=1)
    write_table(args.out, frame, "embedding_map", provenance("map_embeddings", args.code, {}))
    return Work(len(frame), "patch", work_s=watch.elapsed_s)


def draw_patches(index: pd.DataFrame, seed: int, n_patches: int = N_PATCHES) -> pd.DataFrame:
    """At most ``n_patches`` test patches, as many of each class as there are, in index order.

    Patches are shuffled, then taken class by class in turn: class counts differ by more than
    one only where a class has no more patches.
    """
    test = index[index["split"] == "test"]
    order = np.random.default_rng(derive(seed, "map_embeddings", "sample")).permutation(len(test))
    shuffled = test.iloc[order]
    turn = shuffled.groupby("label").cumcount()
    taken = turn.sort_values(kind="stable").index[:n_patches]
    return test.loc[taken.sort_values()]


def lay_out(embeddings: np.ndarray, seed: int, threads: int = 1) -> pd.DataFrame:
    """Two maps of the rows: t-SNE [1]_ and the first two principal components.

    Every dimension is standardised first, so that none counts more for its unit; t-SNE works
    on at most 50 principal components and starts from the first two.

    Parameters
    ----------
    embeddings : float array, (n_patches, dim)
    seed : int
        For whatever t-SNE draws; its start and the principal components draw nothing.
    threads : int
        Threads t-SNE may use.

    Returns
    -------
    frame : DataFrame
        Columns ``x, y`` (t-SNE), ``pca_x, pca_y``, and ``explained``, the share of variance
        that the two components hold. Rows that are all alike lie at 0, 0.

    References
    ----------
    .. [1] van der Maaten & Hinton, "Visualizing data using t-SNE", Journal of Machine
       Learning Research 9:2579-2605, 2008.
    """
    components, shares = _principal_components(_standardised(embeddings))
    plane = np.zeros((len(embeddings), 2))
    n_axes = min(2, components.shape[1])
    plane[:, :n_axes] = components[:, :2]
    tsne = plane if len(plane) < MIN_PATCHES or not plane.any() else None
    if tsne is None:
        tsne = _t_sne(components, plane, seed, threads)
    columns = {"x": tsne[:, 0], "y": tsne[:, 1], "pca_x": plane[:, 0], "pca_y": plane[:, 1]}
    return pd.DataFrame(columns | {"explained": float(shares[:2].sum())})


def _standardised(embeddings: np.ndarray) -> np.ndarray:
    """Mean 0 and deviation 1 in every dimension; 0 in those that are constant."""
    values = embeddings.astype(np.float64)
    if not len(values):
        return values
    deviation = values.std(axis=0)
    # the deviation of equal numbers is seldom exactly 0
    varies = deviation > 1e-7 * np.abs(values).max(axis=0)
    return np.where(varies, values - values.mean(axis=0), 0.0) / np.where(varies, deviation, 1.0)


def _principal_components(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores on the first components, and the share of variance of each."""
    from sklearn.decomposition import PCA

    if not values.any():
        return np.zeros((len(values), 1)), np.zeros(1)
    pca = PCA(n_components=min(N_COMPONENTS, *values.shape), svd_solver="full")
    scores: np.ndarray = pca.fit_transform(values)
    return scores, pca.explained_variance_ratio_


def _t_sne(components: np.ndarray, plane: np.ndarray, seed: int, threads: int) -> np.ndarray:
    from sklearn.manifold import TSNE

    # what init="pca" does, without its random solver
    start = (1e-4 * plane / plane[:, 0].std()).astype(np.float32)
    perplexity = min(PERPLEXITY, (len(plane) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init=start, random_state=seed, n_jobs=threads)
    placed: np.ndarray = tsne.fit_transform(components.astype(np.float32))
    return placed.astype(np.float64)
