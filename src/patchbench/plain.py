"""Settings as plain values: what YAML can hold beyond these is refused before it does harm.

YAML can also hold dates, sets, keys that are no text, numbers that are none, references that
lead back to themselves, and by references (``a: &a [..]``, ``b: [*a, *a]``) more values than
memory.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from patchbench.errors import UserError

_MOST_VALUES = 100_000
_DEEPEST = 50


def refuse_others(config: Mapping[str, Any]) -> None:
    """Refuse settings that are not text, numbers, truth values, null, lists and maps of these.

    Raises
    ------
    UserError
        Naming the place and what is there.
    """
    # iterators, not lists: a list of a million references to one list is never written out
    open_places = [_inner(config, "")]
    n_values = 0
    while open_places:
        place, value = next(open_places[-1], (None, None))
        if place is None:
            open_places.pop()
            continue
        n_values += 1
        if n_values > _MOST_VALUES or len(open_places) > _DEEPEST:
            raise UserError(
                f"config: more than {_MOST_VALUES:,} values, or {_DEEPEST} within each other, at "
                f"{place}; write out what references (*name) repeat"
            )
        _refuse(place, value)
        if isinstance(value, Mapping | list | tuple):
            open_places.append(_inner(value, place))


def _inner(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """What a map or a list holds, each with its place in words."""
    if not isinstance(value, Mapping):
        yield from ((f"{place}.{number}", item) for number, item in enumerate(value))
        return
    for key, item in value.items():
        if not isinstance(key, str):
            raise UserError(
                f"config: {place or 'the config'} has the key {key!r}, which is no text; put it "
                "into quotes, or remove it"
            )
        yield f"{place}.{key}" if place else key, item


def _refuse(place: str, value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"config: {place} is {value}; give a finite number")
    if not isinstance(value, str | int | float | Mapping | list | tuple | None):
        raise UserError(
            f"config: {place} is {value!r}, of type {type(value).__name__}; give text (in quotes), "
            "a number, true, false, null, a list or a map"
        )
