"""Settings that several experiments have."""

from collections.abc import Sequence


def check_fractions(fractions: Sequence[float]) -> None:
    """Refuse shares that cannot be removed."""
    wrong = [share for share in fractions if not 0 <= share < 1]
    if wrong or not fractions:
        raise ValueError(
            f"fractions is {list(fractions)}; give at least one share to remove, each 0 or more "
            "and below 1"
        )


def check_count(**counts: int) -> None:
    """Refuse counts below 1."""
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
