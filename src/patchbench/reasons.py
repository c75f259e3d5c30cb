"""Column ``reason`` of tables: why statistics of a row, or their intervals, are null.

A row with one statistic gives the reason as it is. A row with several names the column before each
reason, ``difference: not defined on these images; random_difference: ...``.
"""

from collections.abc import Mapping

# what a reader misses nothing by: there is no such thing
NOT_COMPARED = "not compared with anything"
EMPTY_BIN = "no prediction in the bin"


def joined(reasons: Mapping[str, str]) -> str | None:
    """One text for the reasons of several columns, empty ones left out; None where all are.

    >>> joined({"value": "", "difference": "not defined on these images"})
    'difference: not defined on these images'
    """
    return "; ".join(f"{column}: {reason}" for column, reason in reasons.items() if reason) or None


def reason_of(column: str, text: str | None) -> str:
    """The reason of one column out of what :func:`joined` gives; empty where there is none.

    >>> reason_of("p", "value: no interval: few draws; p: not defined on these images")
    'not defined on these images'
    """
    parts = dict(part.split(": ", 1) for part in (text or "").split("; ") if ": " in part)
    return parts.get(column, "")
