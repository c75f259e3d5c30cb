"""Places of the patch grid, known again from image to image by where their centres lie."""

import numpy as np

# centres of one place differ by rounding only; those of two by far more than a thousandth
_DECIMALS = 4


def distinct(centers: np.ndarray) -> np.ndarray:
    """The places among centres (n_patches, 2), each once: float (n_cells, 2)."""
    found: np.ndarray = np.unique(np.round(centers, _DECIMALS), axis=0)
    return found


def cell_of(centers: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Which of the cells each patch lies in, ``len(cells)`` where in none: int (n_patches,)."""
    known = {tuple(cell): i for i, cell in enumerate(cells.tolist())}
    places, at = np.unique(np.round(centers, _DECIMALS), axis=0, return_inverse=True)
    numbers = np.array([known.get(tuple(place), len(cells)) for place in places.tolist()])
    found: np.ndarray = numbers[at.ravel()]
    return found
