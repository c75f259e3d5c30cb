"""Refuse settings that cannot be meant, in a sentence that names them."""

from collections.abc import Sequence


def check_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse a value that is none of ``allowed`` with a ValueError that names them."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(allowed)}")


def check_counts(**counts: int) -> None:
    """Refuse a count below 1 with a ValueError that names it."""
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} is {count}; give at least 1")
