"""A database of labelled train patches, searched exactly with faiss."""

from collections.abc import Mapping

import numpy as np

from patchbench.errors import UserError
from patchbench.features import chunks, column_statistics, standardised
from patchbench.scores import log_loss

SCALINGS = ("standardise", "normalise")
# queries searched at once: bounds what a search holds, large enough to keep the processor busy
_CHUNK_QUERIES = 4096


def check_settings(n_reference: int, scaling: str) -> None:
    """Refuse settings that no database can be made with."""
    if n_reference < 1:
        raise ValueError(f"n_reference is {n_reference}; a database needs at least 1 patch")
    if scaling not in SCALINGS:
        raise ValueError(f"scaling is {scaling!r}; choose one of {', '.join(SCALINGS)}")


def check_room(n_reference: int, n_classes: int) -> None:
    """Refuse a limit that would leave a class without any reference patch."""
    if n_reference < n_classes:
        raise UserError(
            f"n_reference is {n_reference}, but the dataset has {n_classes} classes and each "
            "needs a reference patch; raise n_reference"
        )


class Scaling:
    """What embeddings go through before distances are taken.

    Parameters
    ----------
    kind : str
        ``standardise``: every column to mean 0 and deviation 1, as on train. ``normalise``:
        every row to length 1.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def fit(self, rows: np.ndarray) -> "Scaling":
        """Take mean and deviation of train patches, where the kind needs them."""
        if self.kind == "standardise":
            self.mean, self.scale = column_statistics(rows)
        return self

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Scaled copy of the rows: float32 array, (n, dim)."""
        if self.kind == "standardise":
            return standardised(rows, self.mean, self.scale)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        result: np.ndarray = rows / np.maximum(lengths, 1e-12)
        return result

    def of_rows(self, embeddings: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Scaled copy of some rows, without another beside it: float32 array, (len(rows), dim)."""
        found = np.empty((len(rows), embeddings.shape[1]), np.float32)
        for part in chunks(*found.shape):
            found[part] = self(embeddings[rows[part]])
        return found

    def state(self) -> dict[str, np.ndarray]:
        """What was fitted, as arrays."""
        return {"mean": self.mean, "scale": self.scale} if self.kind == "standardise" else {}

    def restore(self, state: Mapping[str, np.ndarray]) -> "Scaling":
        """Take back what :meth:`state` gave."""
        if self.kind == "standardise":
            self.mean, self.scale = state["mean"], state["scale"]
        return self


class Database:
    """Patches among which the nearest are found, by Euclidean distance, none skipped.

    Parameters
    ----------
    patches : float32 array, (n_reference, dim)
        Scaled embeddings, in C order; searched where they lie, since an index of faiss would be a
        second copy.
    threads : int
        Threads of a search.
    """

    def __init__(self, patches: np.ndarray, threads: int) -> None:
        self.patches, self._threads = np.ascontiguousarray(patches, np.float32), threads

    def nearest(self, queries: np.ndarray, n: int) -> np.ndarray:
        """Rows of the ``n`` nearest patches, nearest first: int array, (n_queries, n)."""
        import faiss

        # one number for the whole process, which another database may have set since
        faiss.omp_set_num_threads(self._threads)
        found: np.ndarray = faiss.knn(queries, self.patches, n)[1]
        return found

    def squared_distance(self, queries: np.ndarray) -> np.ndarray:
        """Squared distance to the nearest patch: float32 array, (n_queries,).

        faiss finds which patch it is; the distance is taken anew as a sum of squares, because
        its way, by scalar products, loses digits where patches are alike.
        """
        apart = self.patches[self.nearest(queries, 1)[:, 0]]
        apart -= queries
        result: np.ndarray = np.square(apart, out=apart).sum(axis=1)
        return result


class ClassDatabases:
    """One database for each class that has train patches: how near is the nearest of each.

    Parameters
    ----------
    scaling : Scaling
        Fitted; queries go through it.
    reference : float32 array, (n_reference, dim)
        Train patches, scaled, class after class; searched where they lie.
    labels : int array, (n_reference,)
        Their classes, ascending.
    threads : int
        Threads of a search.
    """

    def __init__(
        self, scaling: Scaling, reference: np.ndarray, labels: np.ndarray, threads: int
    ) -> None:
        self._scaling, self._reference, self._labels = scaling, reference, labels
        self.classes, starts = np.unique(labels, return_index=True)
        self._databases = [Database(part, threads) for part in np.split(reference, starts[1:])]

    def squared_distances(self, embeddings: np.ndarray) -> np.ndarray:
        """To the nearest train patch of each class: float32 array, (n_patches, n_found)."""
        found = np.empty((len(embeddings), len(self._databases)), np.float32)
        for part in query_chunks(*embeddings.shape):
            queries = self._scaling(embeddings[part])
            for column, database in enumerate(self._databases):
                found[part, column] = database.squared_distance(queries)
        return found

    def state(self) -> dict[str, np.ndarray]:
        """What was fitted, as arrays: the databases, scaled, and their labels."""
        return self._scaling.state() | {"reference": self._reference, "labels": self._labels}

    @classmethod
    def restored(
        cls, scaling: str, state: Mapping[str, np.ndarray], threads: int
    ) -> "ClassDatabases":
        """Build again from what :meth:`state` gave."""
        fitted = Scaling(scaling).restore(state)
        return cls(fitted, state["reference"], state["labels"], threads)


def query_chunks(n_queries: int, dim: int) -> list[slice]:
    """Slices of queries that are searched at once."""
    return list(chunks(n_queries, dim, _CHUNK_QUERIES))


def best_bandwidth(distances: np.ndarray, columns: np.ndarray) -> float:
    """The bandwidth with the lowest log-loss of softmax(-distances / bandwidth).

    The loss is convex in one over the bandwidth, so that a bounded search finds the lowest. It
    spans six powers of ten around the typical difference between the classes.
    """
    from scipy.optimize import minimize_scalar

    typical = float(np.ptp(distances, axis=1).mean()) if len(distances) else 0.0
    if typical <= 0:
        return 1.0
    relative = distances / np.float32(typical)
    found = minimize_scalar(
        lambda power: log_loss(-relative / np.float32(10**power), columns),
        bounds=(-3, 3),
        method="bounded",
    )
    return typical * float(10**found.x)
