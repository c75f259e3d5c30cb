"""Columns of embeddings to mean 0 and deviation 1, without a second copy of the matrix."""

from collections.abc import Iterator

import numpy as np

_CHUNK_ROWS = 8192
_SMALLEST_SCALE = 1e-6


def chunks(n_rows: int, n_chunk: int = _CHUNK_ROWS) -> Iterator[slice]:
    """Slices that cover ``n_rows`` rows, so that temporary arrays stay small."""
    return (slice(start, start + n_chunk) for start in range(0, n_rows, n_chunk))


def column_statistics(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column: float32 arrays, (dim,).

    Sums are taken in float64. The deviation of a constant column is set to a small number, so
    that one may divide by it.
    """
    mean, variance = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    for part in chunks(len(rows)):
        mean += rows[part].sum(axis=0, dtype=np.float64) / len(rows)
    for part in chunks(len(rows)):
        variance += np.square(rows[part] - mean).sum(axis=0) / len(rows)
    scale = np.maximum(np.sqrt(variance), _SMALLEST_SCALE)
    return mean.astype(np.float32), scale.astype(np.float32)


def standardise(rows: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Subtract the mean and divide by the scale, in place; the same array."""
    rows -= mean
    rows /= scale
    return rows


def standardised(rows: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """As `standardise`, on a copy: float32 array, (n, dim)."""
    return standardise(np.array(rows, dtype=np.float32), mean, scale)
