"""Kinds of patches that all classes have in common tell no class: they are background.

k-means on the embeddings of train patches; a cluster is noisier the more evenly its patches are
spread over the classes. The idea of discriminative patches of Hou et al., CVPR 2016,
arXiv:1504.07947, reduced to one step.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patchbench.noise import PatchView
from patchbench.seeds import derive

_ROUNDS = 20
_MOST_PER_CLUSTER = 256


@dataclass(kw_only=True)
class Detector:
    """Noisier the higher the entropy of classes in the patch's cluster.

    Parameters
    ----------
    n_clusters : int
        Clusters; fewer where there are not ten patches for each.
    """

    n_clusters: int = 64
    seed: int = 0
    threads: int = 1

    uses: ClassVar[str] = "embeddings"
    uses_labels: ClassVar[bool] = False
    control: ClassVar[bool] = False
    summary: ClassVar[str] = "in a cluster of embeddings that all classes share"
    source: ClassVar[str] = "after Hou et al., CVPR 2016, arXiv:1504.07947"

    def __post_init__(self) -> None:
        if self.n_clusters < 2:
            raise ValueError(f"n_clusters is {self.n_clusters}; give at least 2")

    def fit(self, train: PatchView) -> None:
        """Cluster the train embeddings and count classes in each cluster, fold by fold."""
        import faiss

        if train.labels is None:
            raise ValueError("background_clusters needs labels of train patches")
        n_clusters = max(2, min(self.n_clusters, len(train) // 10))
        seed = derive(self.seed, "detector", "background_clusters")
        rows = self._sample(train, _MOST_PER_CLUSTER * n_clusters, seed)
        self._mean, self._scale = rows.mean(axis=0), rows.std(axis=0) + 1e-6
        faiss.omp_set_num_threads(self.threads)
        kmeans = faiss.Kmeans(
            rows.shape[1],
            n_clusters,
            niter=_ROUNDS,
            seed=seed,
            min_points_per_centroid=1,
            max_points_per_centroid=_MOST_PER_CLUSTER,
        )
        kmeans.train(np.ascontiguousarray((rows - self._mean) / self._scale, np.float32))
        self._centers = np.array(kmeans.centroids)
        folds = np.zeros(len(train), np.int64) if train.folds is None else train.folds
        counts = np.zeros((folds.max() + 1, n_clusters, train.n_classes))
        for part, embeddings in train.embedding_chunks():
            nearest = self._nearest((embeddings - self._mean) / self._scale)
            np.add.at(counts, (folds[part], nearest, train.labels[part]), 1)
        total = counts.sum(axis=0)
        self._entropy = _entropy(total)
        self._entropy_outside = _entropy(total - counts)

    @staticmethod
    def _sample(train: PatchView, n_rows: int, seed: int) -> np.ndarray:
        """At most so many embeddings, drawn without replacement: float32 (m, dim)."""
        rng = np.random.default_rng(seed)
        chosen = np.zeros(len(train), dtype=bool)
        chosen[rng.permutation(len(train))[:n_rows]] = True
        return np.concatenate([part[chosen[rows]] for rows, part in train.embedding_chunks()])

    def _nearest(self, rows: np.ndarray) -> np.ndarray:
        import faiss

        rows = np.ascontiguousarray(rows, np.float32)
        found: np.ndarray = faiss.knn(rows, self._centers, 1)[1][:, 0]
        return found

    def score(self, patches: PatchView) -> np.ndarray:
        """Entropy of classes in the cluster, nats, counted outside the patch's own fold.

        One patch of each class is added to every cluster, so that small ones count as mixed.
        Float64 (n_patches,).
        """
        scores = np.empty(len(patches))
        for rows, part in patches.embedding_chunks():
            cluster = self._nearest((part - self._mean) / self._scale)
            if patches.folds is None:
                scores[rows] = self._entropy[cluster]
            else:
                scores[rows] = self._entropy_outside[patches.folds[rows], cluster]
        return scores


def _entropy(counts: np.ndarray) -> np.ndarray:
    """Entropy (...) of the classes counted in (..., n_classes), with one more of each."""
    share = (counts + 1) / (counts + 1).sum(axis=-1, keepdims=True)
    entropy: np.ndarray = -(share * np.log(share)).sum(axis=-1)
    return entropy
