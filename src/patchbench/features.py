"""Columns of embeddings to mean 0 and deviation 1, without a second copy of the matrix."""

from collections.abc import Iterator

import numpy as np

# what a chunk takes in float64, whatever its width
_CHUNK_BYTES = 16 * 2**20
_SMALLEST_SCALE = 1e-6


def chunks(n_rows: int, dim: int, n_most: int | None = None) -> Iterator[slice]:
    """Slices that cover ``n_rows`` rows, so that temporary arrays stay small.

    The wider the rows, the fewer are in a slice; never more than ``n_most``.
    """
    n_chunk = max(1, _CHUNK_BYTES // (8 * max(1, dim)))
    n_chunk = min(n_chunk, n_most or n_chunk)
    return (slice(start, start + n_chunk) for start in range(0, n_rows, n_chunk))


def column_statistics(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column: float32 arrays, (dim,).

    Sums are taken in float64. The deviation of a constant column is set to a small number, so
    that one may divide by it.
    """
    mean, variance = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    for part in chunks(*rows.shape):
        mean += rows[part].sum(axis=0, dtype=np.float64) / len(rows)
    for part in chunks(*rows.shape):
        variance += _squared_differences(rows[part], mean) / len(rows)
    scale = np.maximum(np.sqrt(variance), _SMALLEST_SCALE)
    return mean.astype(np.float32), scale.astype(np.float32)


def _squared_differences(rows: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Sum down each column, (dim,); a function, so that a chunk is freed before the next."""
    apart = rows - mean
    result: np.ndarray = np.square(apart, out=apart).sum(axis=0)
    return result


def standardise(rows: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Subtract the mean and divide by the scale, in place; the same array."""
    rows -= mean
    rows /= scale
    return rows


def standardised(rows: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """As `standardise`, on a copy: float32 array, (n, dim)."""
    return standardise(np.array(rows, dtype=np.float32), mean, scale)
