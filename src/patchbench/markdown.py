"""Tables in Markdown that read as plain text too, and the numbers in them."""

from collections.abc import Sequence

import pandas as pd


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown whose columns are as wide as what they hold, so that it reads as plain text too.

    >>> print(table(["a", "b"], [["x", "1.5"]]))
    | a | b   |
    |---|-----|
    | x | 1.5 |
    """
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        "| "
        + " | ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        + " |"
        for row in [head, *rows]
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def number(value: float, digits: int) -> str:
    """Write a value with so many digits; nothing where it is not known."""
    return "" if pd.isna(value) else f"{value:.{digits}f}"


def with_interval(
    value: float, low: float, high: float, *, digits: int = 3, sign: bool = False
) -> str:
    """Write a value and the ends of its interval; nothing where the value is not known.

    >>> with_interval(0.5, 0.41, 0.6), with_interval(0.1, 0.02, 0.21, digits=2, sign=True)
    ('0.500 [0.410, 0.600]', '+0.10 [+0.02, +0.21]')
    >>> with_interval(1.0, float("nan"), float("nan"))
    '1.000 [no interval]'
    """
    if pd.isna(value):
        return ""
    form = f"{'+' if sign else ''}.{digits}f"
    known = [value] if pd.isna(low) or pd.isna(high) else [value, low, high]
    # the sum makes a zero of -0
    shown = [f"{round(number, digits) + 0.0:{form}}" for number in known]
    told, *ends = (text.replace("-", "\N{MINUS SIGN}") for text in shown)
    return f"{told} [{', '.join(ends) or 'no interval'}]"


def p_value(value: float) -> str:
    """Write a p; nothing where it is not known.

    >>> p_value(0.0123), p_value(0.00012)
    ('0.012', '< 0.001')
    """
    return "< 0.001" if value < 0.001 else number(value, 3)
