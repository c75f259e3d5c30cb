"""How much a file of somebody else's may take: held by the stage that reads it, for its process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# above it, Pillow takes a file for an attack
PILLOW_MEGAPIXELS = 178.0


@dataclass(frozen=True)
class Limits:
    """What is refused for its size.

    Attributes
    ----------
    max_image_megapixels : float
        Pixels of an image that is decoded whole, in millions, up to `PILLOW_MEGAPIXELS`.
    max_download_gib : float
        Size of a file that is downloaded, and of all that an archive unpacks to, GiB.
    """

    max_image_megapixels: float = 80.0
    max_download_gib: float = 50.0

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if not 0 < self.max_image_megapixels <= PILLOW_MEGAPIXELS:
            raise ValueError(
                f"max_image_megapixels is {self.max_image_megapixels}; it must be above 0 and not "
                f"above {PILLOW_MEGAPIXELS:g}"
            )
        if not self.max_download_gib > 0:
            raise ValueError(f"max_download_gib is {self.max_download_gib}; it must be above 0")


_held = [Limits()]


def current() -> Limits:
    """The limits that hold now, in all threads of the process."""
    return _held[-1]


@contextmanager
def hold(limits: Limits) -> Iterator[None]:
    """Let other limits hold within the block."""
    _held.append(limits)
    try:
        yield
    finally:
        _held.pop()
